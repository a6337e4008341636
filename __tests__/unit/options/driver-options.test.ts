import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import {
  inheritDriverOptions,
  parseDriverOptions,
  readDriverOptions,
} from '../../../src/options/driver-options.ts';
import type { KubernetesDriverOptions } from '../../../src/options/options.ts';
import { inputErrorOf, problemsOf, readerOf } from './parse-inputs.ts';

function parse(text: string): KubernetesDriverOptions {
  const reader = readerOf({ 'driver-opts': text });
  const options = parseDriverOptions(readDriverOptions(reader), reader.problems);
  reader.problems.throwIfAny();
  return options;
}

const problems = (text: string): string[] => problemsOf({ 'driver-opts': text });

describe('driver-opts', () => {
  it('tells what is wrong with both names of the mode', () => {
    expect(problems('mode=root,rootless=maybe')).toHaveLength(2);
  });

  it('lists what is known once', () => {
    const [first, second] = problems('frobnicate=1\nconstructor=2');
    expect(first).toMatch(/`frobnicate` .*Known are/);
    expect(second).toMatch(/`constructor` is not a driver option$/);
  });

  it('has defaults', () => {
    expect(parse('')).toEqual({
      namespace: undefined,
      image: undefined,
      imagePullPolicy: undefined,
      imagePullSecrets: [],
      replicas: 1,
      mode: 'privileged',
      requests: { cpu: '250m', memory: '512Mi' },
      limits: {},
      stateVolume: { kind: 'empty-dir' },
      nodeSelector: {},
      tolerations: [],
      serviceAccount: undefined,
      schedulerName: undefined,
      annotations: {},
      labels: {},
      env: {},
      qemuImage: undefined,
      loadBalance: 'sticky',
      defaultLoad: false,
      timeoutMs: 120_000,
      timeoutIsExplicit: false,
      drainTimeoutMs: undefined,
    });
  });

  it.each([
    ['one per line', 'namespace=ci\nreplicas=2'],
    ['several per line', 'namespace=ci,replicas=2'],
    ['both', 'namespace=ci,image=\nreplicas=2'],
    ['quoted fields', '"namespace=ci","replicas=2"'],
    ['blanks around fields and keys', ' namespace = ci , replicas=2 ,'],
    ['any letter case', 'Namespace=ci,REPLICAS=2'],
    ['windows line ends', 'namespace=ci\r\nreplicas=2\r\n'],
    ['a YAML map', 'namespace: ci\nreplicas: 2'],
    ['a YAML map in any letter case', 'NameSpace: ci\nReplicas: "2"'],
    ['a YAML flow map', '{namespace: ci, replicas: 2}'],
    ['a YAML map with comments', '# pool\nnamespace: ci # here\nreplicas: 2'],
    ['a YAML map with quoted keys', '"namespace": ci\n"replicas": 2'],
    ['duplicates, of which the last wins', 'replicas=7\nnamespace=ci\nreplicas=2'],
    ['YAML duplicates, of which the last wins', 'replicas: 7\nnamespace: ci\nreplicas: 2'],
  ])('reads %s', (_, text) => {
    expect(parse(text)).toMatchObject({ namespace: 'ci', replicas: 2 });
  });

  it.each([
    ['CSV', 'requests.cpu=1.50,limits.memory=2Gi,requests.ephemeral-storage=10G'],
    ['dotted YAML', 'requests.cpu: 1.50\nlimits.memory: 2Gi\nrequests.ephemeral-storage: 10G'],
    ['nested YAML', 'requests:\n  CPU: 1.50\n  ephemeral-storage: 10G\nlimits: {memory: 2Gi}'],
  ])('keeps quantities as they were written in %s', (_, text) => {
    expect(parse(text)).toMatchObject({
      requests: { cpu: '1.50', memory: '512Mi', 'ephemeral-storage': '10G' },
      limits: { memory: '2Gi' },
    });
  });

  it('asks for no more than the limit when nothing was asked for', () => {
    expect(parse('limits.memory=256Mi,limits.cpu=4')).toMatchObject({
      requests: { cpu: '250m', memory: '256Mi' },
      limits: { cpu: '4', memory: '256Mi' },
    });
  });

  it('compares requests and limits by value', () => {
    expect(parse('requests.memory=1024Mi,limits.memory=1Gi').requests.memory).toBe('1024Mi');
    expect(problems('requests.memory=1Gi,limits.memory=1G')).toEqual([
      expect.stringMatching(/`requests.memory=1Gi` is more than `limits.memory=1G`/),
    ]);
  });

  it('knows whether the timeout was chosen', () => {
    expect(parse('timeout=120s')).toMatchObject({ timeoutMs: 120_000, timeoutIsExplicit: true });
    expect(parse('timeout: 2m30s')).toMatchObject({ timeoutMs: 150_000, timeoutIsExplicit: true });
  });

  it('keeps an image with a colon apart from YAML', () => {
    expect(parse('image=r.io:5000/buildkit:v1').image).toBe('r.io:5000/buildkit:v1');
    expect(parse('image: r.io:5000/buildkit:v1').image).toBe('r.io:5000/buildkit:v1');
  });

  it.each([
    'rootless=false',
    'loadbalance=sticky',
    'qemu.install: "false"',
    'qemu: {install: false}',
  ])('accepts what happens anyway: %s', (text) => {
    expect(parse(text)).toEqual(parse(''));
  });

  it.each([
    [
      'requests.memory=12Gb',
      /`requests.memory=12Gb` is not a quantity.*512Mi.*\| Write 12Gi .*12G\./,
    ],
    ['requests.memory=512m', /`requests.memory=512m` is a fraction of a byte.*Write 512Mi/],
    ['limits.cpu=-1', /`limits.cpu=-1` is not a quantity/],
    ['limits.cpu=', /`limits.cpu=` is not a quantity/],
    ['requests: {cpu: [1]}', /`requests.cpu` has a list/],
    ['replicas=0', /`replicas=0` is not a number of pods; expected a whole number of at least 1/],
    ['replicas=-1', /replicas=-1/],
    ['replicas=1.5', /replicas=1.5/],
    ['replicas=2147483648', /replicas=2147483648/],
    ['replicas=two', /replicas=two/],
    ['timeout=120', /`timeout=120` is not a duration; expected .*90s/],
    ['timeout=0s', /timeout=0s/],
    ['timeout=-5s', /timeout=-5s/],
    ['timeout=600h', /longer than 596h/],
    ['namespace=', /`namespace=` is not a name of a namespace/],
    ['namespace=Build_Kit', /namespace=Build_Kit/],
    ['namespace=-a', /namespace=-a/],
    [`namespace=${'a'.repeat(64)}`, /at most 63/],
    ['image=UPPER//case', /`image=UPPER\/\/case` is not an image reference/],
    ['image=Moby/BuildKit', /upper-case/],
    ['replica=2', /`replica` is not a driver option.*Did you mean `replicas`\?/],
    ['request.memory=2', /Did you mean `requests.memory`\?/],
    ['requests.gpu=1', /`requests.gpu` is not a driver option/],
    ['frobnicate=1', /`frobnicate` is not a driver option.*Known are annotation.*, timeout/],
    ['memory=4g', /`memory` is not a driver option.*For pods it is `limits.memory`/],
    ['constructor=1', /`constructor` is not a driver option/],
    ['namespace', /`namespace` is not an option; expected key=value/],
    ['=ci', /expected key=value/],
    ['namespace="ci"', /misplaced quote; expected quotes around the whole field/],
    ['namespace: [', /not valid YAML/],
    ['namespace: ci\nreplicas=2', /YAML/],
    ['requests: {cpu: 1}\nrequests.cpu: x', /`requests.cpu=x`/],
  ])('refuses %s', (text, message) => {
    expect(problems(text).join('\n')).toMatch(message);
  });

  it('has a value for every option', () => {
    const text = `
      "nodeselector=disk=ssd,pool=ci"
      "annotations=a/b=x=y,note=1,2"
      annotation=c=d
      labels=team=infra
      "tolerations=key=ci,operator=Exists,effect=NoExecute,tolerationSeconds=60;key=arch,value=arm64"
      serviceaccount=builder, schedulername=volcano
      env.HTTP_PROXY=http://user:pass@proxy:3128?a=b
      "env.no_proxy=10.0.0.0/8,.cluster.local"
      image-pull-policy=Always
      "image-pull-secrets=hub,ghcr"
      mode=userns, loadbalance=least-busy, drain-timeout=90s, default-load=true
      persistent-volume-claim.requests.storage=20Gi
      persistent-volume-claim.storage-class=fast
      persistent-volume-claim.access-mode=ReadWriteMany
      qemu.install=true, qemu.image=example.com/binfmt:1`;
    expect(parse(text)).toMatchObject({
      nodeSelector: { disk: 'ssd', pool: 'ci' },
      annotations: { 'a/b': 'x=y', note: '1,2', c: 'd' },
      labels: { team: 'infra' },
      tolerations: [
        { key: 'ci', operator: 'Exists', effect: 'NoExecute', tolerationSeconds: 60 },
        { key: 'arch', value: 'arm64' },
      ],
      serviceAccount: 'builder',
      schedulerName: 'volcano',
      env: {
        HTTP_PROXY: 'http://user:pass@proxy:3128?a=b',
        no_proxy: '10.0.0.0/8,.cluster.local',
      },
      imagePullPolicy: 'Always',
      imagePullSecrets: ['hub', 'ghcr'],
      mode: 'userns',
      loadBalance: 'least-busy',
      drainTimeoutMs: 90_000,
      defaultLoad: true,
      stateVolume: {
        kind: 'claim',
        storage: '20Gi',
        storageClass: 'fast',
        accessMode: 'ReadWriteMany',
      },
      qemuImage: 'example.com/binfmt:1',
    });
  });

  it('reads the same as a YAML map', () => {
    const text = `
NodeSelector: {disk: ssd, pool: ci}
annotations:
  a/b: x=y
  note: 1,2
annotation:
  c: d
labels:
  team: infra
tolerations:
  - key: ci
    operator: Exists
    effect: NoExecute
    tolerationSeconds: 60
  - {key: arch, value: arm64}
env:
  HTTP_PROXY: http://user:pass@proxy:3128?a=b
env.no_proxy: 10.0.0.0/8,.cluster.local
image-pull-secrets: [hub, ghcr]
persistent-volume-claim:
  requests:
    storage: 20Gi
  storage-class: fast
qemu:
  install: true`;
    expect(parse(text)).toMatchObject({
      nodeSelector: { disk: 'ssd', pool: 'ci' },
      annotations: { 'a/b': 'x=y', note: '1,2', c: 'd' },
      labels: { team: 'infra' },
      tolerations: [
        { key: 'ci', operator: 'Exists', effect: 'NoExecute', tolerationSeconds: 60 },
        { key: 'arch', value: 'arm64' },
      ],
      env: {
        HTTP_PROXY: 'http://user:pass@proxy:3128?a=b',
        no_proxy: '10.0.0.0/8,.cluster.local',
      },
      imagePullSecrets: ['hub', 'ghcr'],
      stateVolume: {
        kind: 'claim',
        storage: '20Gi',
        storageClass: 'fast',
        accessMode: 'ReadWriteOnce',
      },
      qemuImage: 'tonistiigi/binfmt:latest',
    });
  });

  it.each<[string, string, Readonly<Record<string, string>>]>([
    ['one pair', 'labels=a=b', { a: 'b' }],
    ['pairs in a quoted field', '"labels=a=b,c=d"', { a: 'b', c: 'd' }],
    ['quotes of a shell', '"labels=""a=b,c=d"""', { a: 'b', c: 'd' }],
    ['several options', 'labels=a=b\nlabels=c=d', { a: 'b', c: 'd' }],
    ['the last of equal keys', 'labels=a=b\nlabels=a=c', { a: 'c' }],
    ['an empty value', 'labels=a=', { a: '' }],
    ['no pair', 'labels=', {}],
    ['a trailing comma', '"labels=a=b,"', { a: 'b' }],
    ['lines in YAML', 'labels: |\n  a=b\n  c=d', { a: 'b', c: 'd' }],
    ['pairs in YAML', 'labels: a=b, c=d', { a: 'b', c: 'd' }],
    ['empty YAML', 'labels:', {}],
    [
      'values that YAML might change',
      'labels: {a: 1.10, b: yes, c: 007}',
      { a: '1.10', b: 'yes', c: '007' },
    ],
  ])('reads maps with %s', (_, text, expected) => {
    expect(parse(text).labels).toEqual(expected);
  });

  it.each([
    ['"annotations=note=x,y,z,b=c"', { note: 'x,y,z', b: 'c' }],
    ['"annotations=""note=x,y=z"",b=c"', { note: 'x,y=z', b: 'c' }],
    ['annotations: {note: "x,y=z", b: c}', { note: 'x,y=z', b: 'c' }],
    ['"annotations=note={""a"":1,""b"":2}"', { note: '{"a":1,"b":2}' }],
    ['annotations=Example.COM/Note=x', { 'Example.COM/Note': 'x' }],
  ])('keeps `=` and `,` of values: %s', (text, expected) => {
    expect(parse(text).annotations).toEqual(expected);
  });

  it.each<[string, readonly object[]]>([
    ['tolerations=key=a;', [{ key: 'a' }]],
    ['tolerations=', []],
    ['tolerations=operator=exists', [{ operator: 'Exists' }]],
    ['tolerations=key=a\ntolerations=key=b', [{ key: 'a' }, { key: 'b' }]],
    ['tolerations: [key=a;key=b, {key: c}]', [{ key: 'a' }, { key: 'b' }, { key: 'c' }]],
    [
      'tolerations: {key: a, tolerationseconds: 5, effect: NoExecute}',
      [{ key: 'a', effect: 'NoExecute', tolerationSeconds: 5 }],
    ],
    ['tolerations: "key=a,value=b"', [{ key: 'a', value: 'b' }]],
  ])('reads %s', (text, expected) => {
    expect(parse(text).tolerations).toEqual(expected);
  });

  it.each([
    ['rootless=true', 'rootless'],
    ['rootless=1,mode=rootless', 'rootless'],
    ['rootless=false', 'privileged'],
    ['rootless=false,mode=userns', 'userns'],
    ['MODE=Auto', 'auto'],
  ])('%s is the mode %s', (text, mode) => {
    expect(parse(text).mode).toBe(mode);
  });

  it.each([
    ['buildkit-root-volume-memory=2Gi', { kind: 'memory', sizeLimit: '2Gi' }],
    ['persistent-volume-claim.requests.storage=', { kind: 'empty-dir' }],
    [
      'persistent-volume-claim.requests.storage=1G,persistent-volume-claim.storage-class=',
      { kind: 'claim', storage: '1G', storageClass: undefined, accessMode: 'ReadWriteOnce' },
    ],
  ])('%s chooses the volume', (text, stateVolume) => {
    expect(parse(text).stateVolume).toEqual(stateVolume);
  });

  it('takes empty names for the default, as buildx does', () => {
    const text = 'image=\nserviceaccount=\nschedulername=\nqemu.image=\nimage-pull-secrets=';
    expect(parse(text)).toEqual(parse(''));
  });

  it('can drain for no time at all', () => {
    expect(parse('drain-timeout=0').drainTimeoutMs).toBe(0);
    expect(parse('drain-timeout=0s').drainTimeoutMs).toBe(0);
  });

  it('warns of an emulator that is not installed', () => {
    const reader = readerOf({ 'driver-opts': 'qemu.image=example.com/binfmt' });
    const { qemuImage } = parseDriverOptions(readDriverOptions(reader), reader.problems);
    expect(qemuImage).toBeUndefined();
    expect(reader.problems.warnings).toEqual([expect.stringContaining('`qemu.install=true`')]);
  });

  it.each([
    [
      'labels=a b=c',
      /`labels=a b=c` has the key `a b`, which is not allowed; expected \[domain\/\]name/,
    ],
    ['labels=-a=c', /has the key `-a`/],
    [`labels=${'k'.repeat(64)}=c`, /which is not allowed/],
    ['labels=Ex.com/a=c', /has the key `Ex.com\/a`/],
    ['labels=a=b c', /`labels=a=b c` has a value that is not allowed; expected at most 63/],
    [`labels=a=${'v'.repeat(64)}`, /value that is not allowed/],
    ['"nodeselector=a=b,c"', /`nodeselector=a=b,c` has a value that is not allowed/],
    ['nodeselector=a', /`nodeselector=a` is no pair; expected nodeselector=key=value/],
    ['nodeselector==a', /is no pair/],
    ['labels: [a=b]', /`labels` has a list; expected a map/],
    ['labels: {a: {b: c}}', /`labels.a` has a map; expected one text/],
    ['labels=app.kubernetes.io/managed-by=me', /managed-by=me` is reserved.*Use another key/],
    ['labels=app.kubernetes.io/instance=me', /is reserved/],
    ['labels=app.kubernetes.io/component=me', /is reserved/],
    ['labels=kube-buildx-action/run-id=1', /is reserved/],
    ['annotations=kube-buildx-action/sha=1', /is reserved/],
    ['annotations=buildx.docker.com/platform=linux/amd64', /is reserved/],
    [
      'nodeselector=a=b,c=d',
      /`c` is not a driver option.*If this belongs to `nodeselector`, put quotes/,
    ],
    ['tolerations=key=a,operator=Exists', /`operator` is not a driver option.*"tolerations=…,…"/],
    ['"tolerations=key=a,operator=Exits"', /unknown operator `Exits`; expected Equal, Exists/],
    [
      '"tolerations=key=a,effect=NoRun"',
      /unknown effect `NoRun`; expected NoSchedule, PreferNoSchedule, NoExecute/,
    ],
    ['"tolerations=key=a,efect=NoSchedule"', /unknown field `efect`.*Did you mean `effect`\?/],
    ['"tolerations=key=a,Exists"', /the field `Exists`, which has no `=`/],
    ['tolerations=value=a', /has no key; expected a key, or `operator=Exists`/],
    ['"tolerations=key=a,operator=Exists,value=b"', /a value beside `operator=Exists`/],
    ['"tolerations=key=a b"', /has the key `a b`/],
    ['"tolerations=key=a,value=b c"', /value that is not allowed/],
    [
      '"tolerations=key=a,effect=NoExecute,tolerationSeconds=1m"',
      /`tolerationSeconds` `1m`; expected whole seconds/,
    ],
    ['"tolerations=key=a,tolerationSeconds=1"', /without `effect=NoExecute`/],
    ['tolerations: [{key: [a]}]', /`tolerations=key` is not one value/],
    ['serviceaccount=Build_Kit', /is not a name of a service account/],
    ['schedulername=a..b', /is not a name of a scheduler/],
    ['image-pull-secrets: [A]', /`image-pull-secrets=A` is not a name of a Secret/],
    ['image-pull-policy=Sometimes', /not a known value; expected Always, IfNotPresent, Never/],
    [
      'loadbalance=stikky',
      /expected sticky, random, least-busy, buildx \| Did you mean `sticky`\?/,
    ],
    ['mode=user-ns', /`mode=user-ns` is not a known value.*Did you mean `userns`/],
    ['rootless=yes', /`rootless=yes` is not a boolean; expected true or false/],
    ['qemu.install=', /`qemu.install=` is not a boolean/],
    ['qemu.image=A//b', /`qemu.image=A\/\/b` is not an image reference/],
    ['default-load=maybe', /`default-load=maybe` is not a boolean/],
    ['drain-timeout=-1s', /`drain-timeout=-1s` is not a duration/],
    ['env.1X=a', /`env.1X` is not a name of a variable/],
    ['env.=a', /`env.` is not a name of a variable/],
    ['env: {A: [b]}', /`env.A` has a list; expected one text/],
    [
      'requests=1',
      /`requests` is not a driver option.*Known are requests.cpu, requests.ephemeral-storage, requests.memory/,
    ],
    ['requests: {gpu: 1}', /`requests.gpu` is not a driver option/],
    ['buildkit-root-volume-memory=0', /is no size; expected a size such as 20Gi/],
    ['buildkit-root-volume-memory=lots', /is not a quantity/],
    ['persistent-volume-claim.requests.storage=20GB', /Write 20Gi/],
    [
      'persistent-volume-claim.storage-class=fast',
      /no size is; expected `persistent-volume-claim.requests.storage`/,
    ],
    [
      'persistent-volume-claim.requests.storage=1Gi,persistent-volume-claim.access-mode=RWO',
      /expected ReadWriteOnce, ReadWriteOncePod, ReadWriteMany/,
    ],
    ['memory=2Gi', /`memory` is not a driver option/],
  ])('refuses the value of %s', (text, message) => {
    expect(problems(text)).toEqual([expect.stringMatching(message)]);
  });

  it.each([
    ['rootless=true,mode=userns', /^INPUT_CONTRADICTION: .*`rootless=true` and `mode=userns`/],
    ['rootless=true,mode=auto', /^INPUT_CONTRADICTION/],
    ['rootless=0,mode=rootless', /^INPUT_CONTRADICTION/],
    [
      'buildkit-root-volume-memory=1Gi,persistent-volume-claim.requests.storage=1Gi',
      /^INPUT_CONTRADICTION: .*buildkit-root-volume-memory.*persistent-volume-claim/,
    ],
  ])('finds the contradiction in %s', (text, message) => {
    expect(problems(text)).toEqual([expect.stringMatching(message)]);
  });

  it.each([
    'env.TOKEN=abc,hunter2',
    'env.1TOKEN=hunter2',
    'env: {TOKEN: [hunter2]}',
    'env: {TOKEN: {a: hunter2}}',
    'env: hunter2',
    'env: [hunter2]',
  ])('keeps the values of variables out of messages: %s', (text) => {
    expect(problems(text).join('\n')).not.toMatch(/hunter2/);
  });

  it('reports everything that is wrong', () => {
    const found = problems('requests.memory=12Gb\nreplica=2,image=UPPER//case\nrootless=maybe');
    expect(found).toHaveLength(4);
  });

  it('finds all problems of any text without failing otherwise', () => {
    const piece = fc.oneof(
      fc.constantFrom(
        'namespace',
        'replicas',
        'requests',
        'timeout',
        '=',
        ':',
        ',',
        '\n',
        '"',
        ' ',
      ),
      fc.constantFrom('{', '}', '[', '&a ', '*a', '!', '#', '__proto__', '1', '2Gi', '- '),
      fc.string({ maxLength: 4 }),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        const text = pieces.join('');
        const reader = readerOf({ 'driver-opts': text });
        parseDriverOptions(readDriverOptions(reader), reader.problems);
        try {
          reader.problems.throwIfAny();
        } catch (error) {
          for (const problem of inputErrorOf(() => {
            throw error;
          }).problems) {
            expect(problem.message).toMatch(/driver-opts|driver option/);
          }
        }
      }),
    );
  });
});

describe('options of a further node', () => {
  const inherit = (first: string, own: string): KubernetesDriverOptions => {
    const reader = readerOf({ 'driver-opts': first });
    const ownReader = readerOf({ 'driver-opts': own });
    const given = inheritDriverOptions(readDriverOptions(reader), readDriverOptions(ownReader));
    const options = parseDriverOptions(given, reader.problems);
    reader.problems.throwIfAny();
    return options;
  };

  it('are those of the first where it says nothing', () => {
    const first = 'namespace=ci,replicas=3,labels=a=b,env.A=1';
    expect(inherit(first, '')).toEqual(parse(first));
    expect(inherit(first, 'replicas=1')).toEqual({ ...parse(first), replicas: 1 });
  });

  it('are its own as a whole, except for variables', () => {
    expect(
      inherit('nodeselector=arch=x\nenv.A=1\nenv.B=2', 'nodeselector=pool=arm\nenv.B=3'),
    ).toMatchObject({ nodeSelector: { pool: 'arm' }, env: { A: '1', B: '3' } });
  });

  it('replace what they exclude', () => {
    expect(inherit('rootless=true', 'mode=privileged').mode).toBe('privileged');
    expect(inherit('mode=userns', 'rootless=true').mode).toBe('rootless');
    expect(
      inherit('persistent-volume-claim.requests.storage=1Gi', 'buildkit-root-volume-memory=2Gi')
        .stateVolume,
    ).toEqual({ kind: 'memory', sizeLimit: '2Gi' });
  });
});
