import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import { parseDriverOptions } from '../../../src/options/driver-options.ts';
import type { KubernetesDriverOptions } from '../../../src/options/options.ts';
import { inputErrorOf, problemsOf, readerOf } from './parse-inputs.ts';

function parse(text: string): KubernetesDriverOptions {
  const reader = readerOf({ 'driver-opts': text });
  const options = parseDriverOptions(reader);
  reader.problems.throwIfAny();
  return options;
}

const problems = (text: string): string[] => problemsOf({ 'driver-opts': text });

describe('driver-opts', () => {
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

  it.each([
    'nodeselector=kubernetes.io/arch=arm64',
    '"nodeselector=a=b,c=d"',
    'nodeselector: {kubernetes.io/arch: arm64}',
    'labels: {a: b}',
    'tolerations: [{key: a}]',
    'env.HTTP_PROXY=http://user:hunter2@proxy',
    'env: {TOKEN: hunter2}',
    'rootless=true',
    'mode=userns',
    'loadbalance=random',
    'persistent-volume-claim.requests.storage=10Gi',
    'persistent-volume-claim: {storage-class: fast}',
    'drain-timeout=10m',
    'annotation=a=b',
  ])('says that this is not supported yet, without its value: %s', (text) => {
    const error = inputErrorOf(() => parse(text));
    expect(error.code).toBe('INPUT_UNSUPPORTED');
    expect(error.message).toMatch(/^driver option `[\w.-]+(?:\/\w+)?` is not supported yet$/);
    expect(error.message).not.toContain('hunter2');
  });

  it('reports everything that is wrong', () => {
    const found = problems('requests.memory=12Gb\nreplica=2,image=UPPER//case\nrootless=true');
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
        parseDriverOptions(reader);
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
