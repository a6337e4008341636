import { afterEach, describe, expect, it } from '@jest/globals';
import type { ServerResponse } from 'node:http';
import { parseAllDocuments } from 'yaml';

import { builderSpec, type BuilderSpec } from '../../src/kubernetes/builder-spec.ts';
import { createKubeClient } from '../../src/kubernetes/kube-http-client.ts';
import { Notices } from '../../src/kubernetes/notices.ts';
import { preflight } from '../../src/kubernetes/preflight.ts';
import { MissingRightsError } from '../../src/kubernetes/preflight/missing-rights.ts';
import type {
  BuilderMode,
  BuilderOptions,
  KubernetesDriverOptions,
} from '../../src/options/options.ts';
import { type Logger, nullLogger } from '../../src/shared/logger.ts';
import { FakeKubeApi, json, refuse, type SeenRequest } from '../fakes/fake-kube-api.ts';
import { builderOptions } from '../helpers/builder-options.ts';

const never = new AbortController().signal;
const open: (AsyncDisposable | Disposable)[] = [];

afterEach(async () => {
  for (const each of open.splice(0).reverse()) {
    if (Symbol.asyncDispose in each) await each[Symbol.asyncDispose]();
    else each[Symbol.dispose]();
  }
});

type Answer = (response: ServerResponse, request: SeenRequest) => void;

/** What a server with nothing against us answers, by the last part of the path. */
const everythingGoes: Readonly<Record<string, Answer>> = {
  selfsubjectrulesreviews: reviewed([{ verbs: ['*'], apiGroups: ['*'], resources: ['*'] }]),
  selfsubjectreviews: (response) => {
    json(response, 201, { status: { userInfo: { username: 'system:serviceaccount:ci:bot' } } });
  },
  ci: (response) => {
    json(response, 200, {});
  },
  pods: (response, { body }) => {
    json(response, 201, JSON.parse(body) as object);
  },
  resourcequotas: items(),
  limitranges: items(),
  nodes: items(node('n')),
};

function items(...list: object[]): Answer {
  return (response) => {
    json(response, 200, { metadata: {}, items: list });
  };
}

function reviewed(rules: readonly object[], incomplete = false): Answer {
  return (response) => {
    json(response, 201, { status: { resourceRules: rules, incomplete } });
  };
}

function forbids(message: string, status = 403): Answer {
  return (response) => {
    refuse(response, status, message);
  };
}

function node(name: string, userNamespaces = true): object {
  return {
    metadata: { name, uid: name },
    status: { runtimeHandlers: [{ name: '', features: { userNamespaces } }] },
  };
}

const noRight = forbids('x is forbidden: User "u" cannot create resource "x"');

interface Case {
  readonly answers?: Readonly<Record<string, Answer>>;
  readonly driver?: Partial<KubernetesDriverOptions>;
  readonly builder?: Partial<Omit<BuilderOptions, 'driver'>>;
  /** Answers nothing before so many have asked. */
  readonly holdFor?: number;
}

async function run({ answers = {}, driver = {}, builder = {}, holdFor = 0 }: Case) {
  const held: (() => void)[] = [];
  const all = { ...everythingGoes, ...answers };
  const api = await FakeKubeApi.start((request, response) => {
    const name = request.path.split('/').at(-1) ?? '';
    const answer = all[name] ?? forbids(`no ${request.path}`, 404);
    held.push(() => {
      answer(response, request);
    });
    if (api.requests.length >= holdFor) for (const each of held.splice(0)) each();
  });
  const client = createKubeClient(api.config(), {});
  open.push(api, client);
  const lines: string[] = [];
  const logger = { ...nullLogger, info: (line: string) => lines.push(line) } as Logger;
  const input = { spec: specOf(driver, builder), notices: new Notices(logger) };
  const connection = builder.connection ?? 'exec';
  return { api, lines, result: preflight(client, { ...input, connection }, never) };
}

function specOf(
  driver: Partial<KubernetesDriverOptions>,
  builder: Partial<Omit<BuilderOptions, 'driver'>>,
): BuilderSpec {
  const options = builderOptions({ ...builder, driver: { namespace: 'ci', ...driver } });
  const { mode } = options.driver;
  return builderSpec({
    builder: options,
    files: [],
    job: {
      jobId: 'j',
      runId: '1',
      repository: 'acme/app',
      sha: '',
      runUrl: '',
      runAttempt: '1',
      version: 'test',
    },
    namespace: 'ci',
    mode: mode === 'auto' ? 'privileged' : mode,
  });
}

const needed = [
  { verbs: ['get', 'create', 'delete'], apiGroups: ['apps'], resources: ['deployments'] },
  { verbs: ['list'], apiGroups: [''], resources: ['pods'] },
  { verbs: ['create'], apiGroups: [''], resources: ['pods/exec'] },
];

describe('preflight', () => {
  it('asks all it wants to know in one round', async () => {
    const { result, lines, api } = await run({ holdFor: 7 });
    expect(await result).toMatchObject({ mode: 'privileged' });
    expect(lines).toEqual([]);
    expect(api.requests.map(({ path }) => path.split('/').at(-1)).sort()).toEqual(
      Object.keys(everythingGoes).sort(),
    );
    const tried = api.requests.find(({ path }) => path.endsWith('/pods'));
    expect([tried?.query.get('dryRun'), tried?.method]).toEqual(['All', 'POST']);
    expect(JSON.parse(tried?.body ?? '')).toMatchObject({
      kind: 'Pod',
      metadata: { labels: { 'app.kubernetes.io/managed-by': 'kube-buildx-action' } },
      spec: { containers: [{ name: 'buildkitd', securityContext: { privileged: true } }] },
    });
  });

  it('goes on where nothing but what is needed is allowed, and says what is lost', async () => {
    const { result, lines } = await run({
      answers: {
        selfsubjectrulesreviews: reviewed(needed),
        selfsubjectreviews: noRight,
        ci: noRight,
        pods: noRight,
        resourcequotas: noRight,
        limitranges: noRight,
        nodes: noRight,
      },
    });
    const { may } = await result;
    expect([may('create', 'deployments'), may('create', 'jobs')]).toEqual([true, false]);
    expect(lines).toEqual([
      'No right to create, get jobs: a builder whose runner is lost does not expire by itself.',
      'No right to watch pods: pods are polled, so their changes are seen later.',
      'No right to list, watch deployments or list, watch replicasets: refusals by quota and policy may be seen only as a timeout.',
      'No right to create pods or list resourcequotas or list limitranges: that the namespace refuses the pods is seen only once they do not come.',
      'No right to list, watch events: what the scheduler and the node say about the pods is not shown.',
      'No right to get pods: why a builder was lost may not be told.',
      'No right to get pods/log: the last lines of a daemon that ends are not shown.',
      'No right to get pods/exec: what lets only WebSocket pass cannot be passed.',
    ]);
  });

  it.each([
    ['a quota', { resourcequotas: forbids('no', 400) }],
    ['nodes', { nodes: forbids('no', 400) }],
    ['the user', { selfsubjectreviews: forbids('no', 404) }],
  ])('does without %s that cannot be read', async (_what, answers) => {
    const { result, lines } = await run({ answers });
    expect(await result).toMatchObject({ mode: 'privileged' });
    expect(lines).toEqual([]);
  });
});

describe('missing rights', () => {
  it('are named in one error, with a Role and its binding', async () => {
    const rules = [
      { verbs: ['get', 'list'], apiGroups: ['*'], resources: ['*'] },
      // Of another group.
      { verbs: ['*'], apiGroups: ['extensions'], resources: ['deployments'] },
      // For one object only, which is no use for a new one.
      { verbs: ['create'], apiGroups: ['apps'], resources: ['deployments'], resourceNames: ['a'] },
    ];
    const { result } = await run({
      builder: { name: 'pool', cleanup: false },
      answers: { selfsubjectrulesreviews: reviewed(rules) },
    });
    const error = await result.catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(MissingRightsError);
    const { message, role, hint } = error as MissingRightsError;
    expect(message).toBe(
      'user "system:serviceaccount:ci:bot" of context "fake" lacks rights in namespace "ci": ' +
        'create deployments, delete deployments, create configmaps, delete configmaps',
    );
    expect(hint).toContain(role);
    expect(parseAllDocuments(role).map((each) => each.toJS() as unknown)).toEqual([
      {
        apiVersion: 'rbac.authorization.k8s.io/v1',
        kind: 'Role',
        metadata: { name: 'kube-buildx-action', namespace: 'ci' },
        rules: [
          { apiGroups: ['apps'], resources: ['deployments'], verbs: ['create', 'delete'] },
          { apiGroups: [''], resources: ['configmaps'], verbs: ['create', 'delete'] },
        ],
      },
      {
        apiVersion: 'rbac.authorization.k8s.io/v1',
        kind: 'RoleBinding',
        metadata: { name: 'kube-buildx-action', namespace: 'ci' },
        roleRef: {
          apiGroup: 'rbac.authorization.k8s.io',
          kind: 'Role',
          name: 'kube-buildx-action',
        },
        subjects: [{ kind: 'ServiceAccount', name: 'bot', namespace: 'ci' }],
      },
    ]);
  });

  it('may come from a namespace that is not there, where that cannot be seen', async () => {
    const { result } = await run({
      answers: {
        ci: noRight,
        selfsubjectrulesreviews: reviewed([]),
        selfsubjectreviews: (response) => {
          json(response, 201, { status: { userInfo: { username: 'jane "x"' } } });
        },
      },
    });
    await expect(result).rejects.toMatchObject({
      message:
        'user "jane "x"" of context "fake" lacks rights in namespace "ci", if there is such a namespace: ' +
        'list pods, create or get pods/exec, get deployments, create deployments, delete deployments',
      hint: expect.stringContaining('kind: User, name: "jane \\"x\\""'),
    });
  });

  it.each([
    [
      'get',
      'No right to create pods/exec: the connection goes by WebSocket alone, without SPDY, which is faster.',
    ],
    ['create', 'No right to get pods/exec: what lets only WebSocket pass cannot be passed.'],
  ])('are none where pods/exec has %s alone', async (verb, line) => {
    const rules = [
      { verbs: ['*'], apiGroups: ['', 'apps', 'batch'], resources: allBut('pods/exec') },
      { verbs: [verb], apiGroups: [''], resources: ['pods/exec'] },
    ];
    const { result, lines } = await run({
      answers: { selfsubjectrulesreviews: reviewed(rules) },
    });
    await result;
    expect(lines).toEqual([line]);
  });

  it.each([
    [
      ['get', 'create', 'delete'],
      ['No right to patch jobs: a builder whose runner is lost lives its whole max-lifetime.'],
    ],
    [
      ['get', 'create', 'patch'],
      ['No right to delete jobs: of a removed builder an empty Job stays until it expires.'],
    ],
    [
      ['create', 'patch'],
      ['No right to get jobs: a builder whose runner is lost does not expire by itself.'],
    ],
  ])('are told by what is lost with only %j on jobs', async (verbs, expected) => {
    const { result, lines } = await run({
      answers: {
        selfsubjectrulesreviews: reviewed([
          { verbs: ['*'], apiGroups: ['', 'apps'], resources: ['*'] },
          { verbs, apiGroups: ['batch'], resources: ['jobs'] },
        ]),
      },
    });
    await result;
    expect(lines).toEqual(expected);
  });

  it('are asked for one by one where an authorizer does not list its rules', async () => {
    const allowed = new Set(['list pods', 'get pods/exec']);
    const asked: string[] = [];
    const rules = [{ verbs: ['*'], apiGroups: ['*'], resources: ['deployments'] }];
    const { result } = await run({
      builder: { name: 'pool', cleanup: false },
      answers: {
        selfsubjectrulesreviews: reviewed(rules, true),
        selfsubjectaccessreviews: (response, { body }) => {
          const { spec } = JSON.parse(body) as {
            spec: { resourceAttributes: Record<string, string> };
          };
          const { verb = '', resource = '', subresource = '' } = spec.resourceAttributes;
          const what = `${verb} ${resource}${subresource === '' ? '' : `/${subresource}`}`;
          asked.push(what);
          json(response, 201, { status: { allowed: allowed.has(what) } });
        },
      },
    });
    await expect(result).rejects.toMatchObject({
      message: expect.stringMatching(
        / in namespace "ci": get configmaps, create configmaps, delete configmaps$/,
      ),
    });
    expect(asked.sort()).toEqual([
      'create configmaps',
      'create pods/exec',
      'delete configmaps',
      'get configmaps',
      'get pods/exec',
      'list pods',
    ]);
  });

  it('are not known to who may not even ask', async () => {
    const { result, lines } = await run({
      answers: { selfsubjectrulesreviews: noRight, selfsubjectaccessreviews: noRight },
    });
    const { may } = await result;
    expect(may('create', 'jobs')).toBeUndefined();
    expect(lines).toEqual([]);
  });

  it('are told at once, and what else was asked is given up', async () => {
    const closed = Promise.withResolvers<unknown>();
    const { result } = await run({
      answers: {
        selfsubjectrulesreviews: reviewed([]),
        pods: (response) => {
          response.on('close', () => {
            closed.resolve(undefined);
          });
        },
      },
    });
    await expect(result).rejects.toBeInstanceOf(MissingRightsError);
    await closed.promise;
  });

  it('do not hide that the namespace is missing', async () => {
    const { result } = await run({
      answers: {
        selfsubjectrulesreviews: reviewed([]),
        ci: (response) => {
          refuse(response, 404, 'namespaces "ci" not found', { details: { kind: 'namespaces' } });
        },
      },
    });
    await expect(result).rejects.toMatchObject({
      code: 'NAMESPACE_MISSING',
      message: 'namespace "ci" not found',
    });
  });
});

describe('the pods', () => {
  const security =
    'pods "x" is forbidden: violates PodSecurity "baseline:latest": privileged (container "buildkitd" must not set securityContext.privileged=true)';

  it('that Pod Security refuses come with the modes that it takes', async () => {
    const { result, api } = await run({
      answers: {
        deployments: forbids('not found', 404),
        pods: (response, { body }) => {
          const pod = JSON.parse(body) as { spec: PodSpec };
          const isPrivileged = pod.spec.containers.some(
            ({ securityContext }) => securityContext?.privileged === true,
          );
          if (isPrivileged) refuse(response, 403, security);
          else json(response, 201, pod);
        },
      },
    });
    await expect(result).rejects.toMatchObject({
      code: 'BUILDER_REFUSED',
      message:
        'namespace "ci" does not take the pods (mode=privileged): violates PodSecurity "baseline:latest": ' +
        'privileged (container "buildkitd" must not set securityContext.privileged=true)',
      hint: expect.stringMatching(
        /^It takes mode=rootless: set that in driver-opts\. Or: .*enforce=privileged/,
      ),
    });
    expect(created(api)).toEqual([]);
  });

  it.each([
    [
      'admission webhook "p.example" denied the request: no naked pods',
      403,
      [
        'A policy may refuse the pods: admission webhook "p.example" denied the request: no naked pods',
      ],
    ],
    ['admission webhook "p.example" does not support dry run', 400, []],
    ['pods "x" is forbidden: status unknown for quota: q, resources: requests.cpu', 403, []],
    [
      'pods "x" is forbidden: error looking up service account ci/default: serviceaccount "default" not found',
      403,
      [],
    ],
  ])('go their way when only the trial failed: %s', async (message, status, expected) => {
    const { result, lines } = await run({ answers: { pods: forbids(message, status) } });
    expect(await result).toMatchObject({ mode: 'privileged' });
    expect(lines).toEqual(expected);
  });

  it.each([
    [
      'error looking up service account ci/bot: serviceaccount "bot" not found',
      403,
      /serviceaccount in driver-opts/,
    ],
    ['no PriorityClass with name high was found', 403, /in pod-template/],
    [
      'maximum memory usage per Container is 1Gi, but limit is 2Gi',
      403,
      /requests\.\* or limits\.\*/,
    ],
    ['spec.containers[0].env[0].name: Invalid value', 422, /driver-opts or pod-template/],
  ])('are refused before anything is created: %s', async (reason, status, hint) => {
    const is = status === 403 ? 'forbidden' : 'invalid';
    const { result, api } = await run({
      driver: { serviceAccount: 'bot' },
      answers: { pods: forbids(`pods "x-1" is ${is}: ${reason}`, status) },
    });
    await expect(result).rejects.toMatchObject({
      code: 'BUILDER_REFUSED',
      message: `namespace "ci" does not take the pods (mode=privileged): ${reason}`,
      hint: expect.stringMatching(hint),
    });
    expect(created(api)).toEqual([]);
  });

  it('of user namespaces are refused where the server drops the field', async () => {
    const { result } = await run({
      driver: { mode: 'userns' },
      answers: { pods: dropHostUsers },
    });
    await expect(result).rejects.toMatchObject({
      code: 'BUILDER_REFUSED',
      message: expect.stringContaining('does not know user namespaces'),
      hint: expect.stringMatching(/^It takes mode=rootless and mode=privileged/),
    });
  });

  const strictly =
    (reason: string): Answer =>
    (response, { body, query }) => {
      if (query.get('fieldValidation') === 'Strict') refuse(response, 400, reason);
      else json(response, 201, JSON.parse(body) as object);
    };
  const decoding = 'Pod in version "v1" cannot be handled as a Pod: ';

  it.each([
    [
      'names',
      `${decoding}strict decoding error: unknown field "spec.contaners", unknown field "spec.containers[0].securityContext.appArmorProfile"`,
      /^pod-template: the cluster knows no spec\.contaners$/,
    ],
    [
      'types',
      `${decoding}json: cannot unmarshal string into Go struct field PodSpec.spec.terminationGracePeriodSeconds of type int64`,
      /^pod-template: spec\.terminationGracePeriodSeconds is a string, and the cluster expects int64$/,
    ],
  ])('are refused for wrong %s in their template', async (_, reason, message) => {
    const { result } = await run({
      builder: { podTemplate: { spec: { contaners: [] } } },
      answers: { pods: strictly(reason) },
    });
    await expect(result).rejects.toMatchObject({
      code: 'POD_TEMPLATE_INVALID',
      message: expect.stringMatching(message),
    });
  });

  it('may have fields of ours that an older cluster does not know', async () => {
    const { result } = await run({
      builder: { podTemplate: { spec: { priorityClassName: 'ci' } } },
      answers: {
        pods: strictly(`${decoding}strict decoding error: unknown field "spec.hostUsers"`),
      },
    });
    expect((await result).mode).toBe('privileged');
  });

  it('that no node takes are told of, since one may be added', async () => {
    const { result, lines, api } = await run({
      builder: { platforms: [{ os: 'linux', architecture: 's390x', variant: '' }] },
      answers: { nodes: items() },
    });
    await result;
    expect(lines).toEqual([
      'No node that takes pods has kubernetes.io/os=linux and kubernetes.io/arch=s390x: unless one is added, the builder cannot come.',
    ]);
    const { query } = api.requests.find(({ path }) => path.endsWith('/nodes'))!;
    expect(Object.fromEntries(query)).toEqual({
      labelSelector: 'kubernetes.io/os=linux,kubernetes.io/arch=s390x',
      fieldSelector: 'spec.unschedulable=false',
      limit: '1',
    });
  });
});

describe('quotas and limits', () => {
  const quota = (hard: object, used: object, spec: object = {}) => ({
    metadata: { name: 'small', uid: 'q' },
    spec,
    status: { hard, used },
  });

  it('that are too small are named with what is asked and what is left', async () => {
    const { result, api } = await run({
      driver: { replicas: 3 },
      answers: {
        resourcequotas: items(
          quota(
            { 'requests.memory': '2Gi', pods: '5', 'count/deployments.apps': '2' },
            { 'requests.memory': '1Gi', pods: '1', 'count/deployments.apps': '2' },
          ),
        ),
      },
    });
    await expect(result).rejects.toMatchObject({
      code: 'BUILDER_QUOTA',
      message:
        'namespace "ci" has no room for the builder: ' +
        'quota "small" has 1Gi of 2Gi requests.memory left, and the builder asks for 1536Mi (3 pods of 512Mi); ' +
        'quota "small" has 0 of 2 count/deployments.apps left, and the builder asks for 1',
      hint: expect.stringMatching(/^Lower requests\.memory or replicas.* Let jobs share a builder/),
    });
    expect(created(api)).toEqual([]);
  });

  it('count the Secret of a connection other than by exec', async () => {
    const full = { secrets: '1' };
    const answers = { resourcequotas: items(quota(full, full)) };
    expect(await (await run({ answers })).result).toMatchObject({ mode: 'privileged' });
    const { result } = await run({ answers, builder: { connection: 'auto' } });
    await expect(result).rejects.toMatchObject({
      message: expect.stringMatching(/has 0 of 1 secrets left, and the builder asks for 1$/),
    });
  });

  it('count what admission fills in', async () => {
    const { result } = await run({
      answers: {
        pods: (response, { body }) => {
          const pod = JSON.parse(body) as { spec: PodSpec };
          const mesh = { name: 'mesh', resources: { requests: { cpu: '2', memory: '1Mi' } } };
          pod.spec.containers.push(mesh);
          json(response, 201, pod);
        },
        resourcequotas: items(quota({ cpu: '2' }, { cpu: '0' })),
      },
    });
    await expect(result).rejects.toMatchObject({
      message: expect.stringMatching(/has 2 of 2 cpu left, and the builder asks for 2250m$/),
    });
  });

  it('count what the namespace fills in where nothing could be tried', async () => {
    const range = {
      metadata: { name: 'defaults', uid: 'l' },
      spec: { limits: [{ type: 'Container', default: { memory: '4Gi' }, max: { memory: '8Gi' } }] },
    };
    const answers = {
      pods: noRight,
      limitranges: items(range),
      resourcequotas: items(quota({ 'limits.memory': '3Gi' }, {})),
    };
    const { result } = await run({ answers });
    await expect(result).rejects.toMatchObject({
      message: expect.stringMatching(
        /has 3Gi of 3Gi limits.memory left, and the builder asks for 4Gi$/,
      ),
    });
    const wide = await run({
      driver: { limits: { memory: '16Gi' } },
      answers: { ...answers, resourcequotas: items() },
    });
    await expect(wide.result).rejects.toMatchObject({
      code: 'BUILDER_REFUSED',
      message:
        'namespace "ci" does not allow the builder: LimitRange "defaults" allows 8Gi of memory, container buildkitd has 16Gi',
    });
  });

  it('are no matter once another step has created the builder', async () => {
    const { result, lines } = await run({
      answers: {
        resourcequotas: items(quota({ pods: '1' }, { pods: '1' })),
        [specOf({}, {}).workload]: (response) => {
          json(response, 200, { metadata: { name: 'x', uid: 'u' } });
        },
      },
    });
    expect(await result).toMatchObject({ mode: 'privileged' });
    expect(lines).toEqual([]);
  });
});

describe('mode auto', () => {
  const auto = { mode: 'auto' satisfies BuilderMode } as const;

  it.each([
    [
      'that all nodes can run',
      {},
      'userns',
      'Mode userns: the namespace takes it, and its nodes have user namespaces',
    ],
    [
      'tried where nodes cannot be read',
      { nodes: noRight },
      'userns',
      'Mode userns: the namespace takes it; nodes cannot be read, so it is tried',
    ],
    [
      'that not all nodes can run',
      { nodes: items(node('new'), node('old', false)) },
      'rootless',
      'Mode rootless: the namespace takes it; not userns: 1 of 2 nodes, such as old, have no user namespaces for pods',
    ],
    [
      'that the server does not know',
      { pods: dropHostUsers },
      'rootless',
      'Mode rootless: the namespace takes it; not userns: the cluster does not know user namespaces (hostUsers: false)',
    ],
    [
      'that policy refuses',
      { pods: refusesUnless((spec) => spec.containers[0]?.securityContext?.privileged === true) },
      'userns',
      'Mode userns: the namespace takes it, and its nodes have user namespaces',
    ],
    [
      'all but one of which policy refuses',
      {
        pods: refusesUnless(
          (spec) =>
            spec.hostUsers !== false && spec.containers[0]?.securityContext?.privileged === true,
        ),
      },
      'privileged',
      'Mode privileged: the namespace takes it; not userns: denied; not rootless: denied',
    ],
  ])('chooses, of modes %s, %#', async (_name, answers, mode, line) => {
    const { result, lines } = await run({ driver: auto, answers });
    expect(await result).toMatchObject({ mode });
    expect(lines).toEqual([line]);
  });

  it('says of each mode why it is not to be had', async () => {
    const { result } = await run({
      driver: auto,
      answers: { pods: refusesUnless(() => false) },
    });
    await expect(result).rejects.toMatchObject({
      code: 'BUILDER_REFUSED',
      message:
        'no mode is known to work in namespace "ci": userns: denied; rootless: denied; privileged: denied',
    });
  });

  it('cannot do without the right to try', async () => {
    const { result } = await run({
      driver: auto,
      answers: { selfsubjectrulesreviews: reviewed(needed), pods: noRight },
    });
    await expect(result).rejects.toMatchObject({
      message: expect.stringMatching(/lacks rights in namespace "ci": create pods$/),
    });
  });
});

interface PodSpec {
  hostUsers?: boolean;
  readonly containers: {
    readonly name: string;
    readonly resources?: object;
    readonly securityContext?: { readonly privileged?: boolean };
  }[];
}

function dropHostUsers(response: ServerResponse, { body }: SeenRequest): void {
  const pod = JSON.parse(body) as { spec: PodSpec };
  delete pod.spec.hostUsers;
  json(response, 201, pod);
}

function refusesUnless(taken: (spec: PodSpec) => boolean): Answer {
  return (response, { body }) => {
    const pod = JSON.parse(body) as { spec: PodSpec };
    if (taken(pod.spec)) json(response, 201, pod);
    else refuse(response, 403, 'pods "x" is forbidden: denied');
  };
}

function allBut(...left: string[]): string[] {
  const resources = ['deployments', 'replicasets', 'jobs', 'pods', 'pods/log', 'events'];
  return [...resources, 'resourcequotas', 'limitranges'].filter((each) => !left.includes(each));
}

/** What was created rather than tried or asked. */
function created(api: FakeKubeApi): string[] {
  return api.requests
    .filter(({ method, query, path }) => {
      const isReview = path.includes('review');
      return method !== 'GET' && query.get('dryRun') !== 'All' && !isReview;
    })
    .map(({ path }) => path);
}
