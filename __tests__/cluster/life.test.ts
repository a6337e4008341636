import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { once } from 'node:events';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';

import type { StepResult } from '../../scripts/action-runner.ts';
import { findCluster } from '../../scripts/find-cluster.ts';
import { bootstrap, type Builder } from '../../src/kubernetes/driver.ts';
import type { KubeClient } from '../../src/kubernetes/kube-client.ts';
import { cleanUpBuilder } from '../../src/kubernetes/teardown.ts';
import type { Dialer } from '../../src/shared/dialer.ts';
import { nullLogger } from '../../src/shared/logger.ts';
import { Playground, type Rule } from '../helpers/action-on-cluster.ts';
import { builderOptions, clientFrom, testJob } from '../helpers/builder-options.ts';
import { startCountingApiProxy } from '../helpers/counting-api-proxy.ts';

const cluster = findCluster();
const never = new AbortController().signal;

jest.setTimeout(90_000);

/** The step runs, rather than the log telling of it. */
const hasBegun = /^#\d+ \d+\.\d+ from:/m;

let playground: Playground;

/** A namespace of one's own, for tests that run at the same time; all they run is the bundle. */
function newPlayground(): Promise<Playground> {
  return Playground.create({ cluster });
}

beforeAll(async () => {
  // A build of this one takes a second, and tells when by the one clock of its node.
  const slow = [
    'FROM busybox',
    'ARG WHO',
    'RUN echo "from:$(cut -d" " -f1 /proc/uptime) $WHO"; sleep 1; echo "to:$(cut -d" " -f1 /proc/uptime)"',
  ].join('\n');
  const files = { Dockerfile: 'FROM scratch\n', slow };
  playground = await Playground.create({ cluster, files });
});

afterAll(async () => {
  await playground[Symbol.asyncDispose]();
});

interface User {
  readonly kubeconfig: string;
  readonly token: string;
  /** Ends it; the kubeconfig then has a token that the server has never seen as a good one. */
  revoke(): Promise<void>;
}

/** A service account that may do what docs/rbac says. */
async function newUser(playground: Playground): Promise<User> {
  const { rules } = parse(readFileSync('docs/rbac/provision.yaml', 'utf8')) as { rules: Rule[] };
  const { namespace, core } = playground;
  const kubeconfig = await playground.kubeconfigWithRules(rules);
  const text = readFileSync(kubeconfig, 'utf8');
  const token = /token: (\S+)/.exec(text)?.[1] ?? '';
  const claims = Buffer.from(token.split('.')[1] ?? '', 'base64url').toString();
  const name = /"sub":"[^"]+:([^":]+)"/.exec(claims)?.[1] ?? '';
  return {
    kubeconfig,
    token,
    revoke: async () => {
      const unseen = await playground.createToken(name);
      await core.deleteNamespacedServiceAccount({ namespace, name });
      writeFileSync(kubeconfig, text.replace(token, unseen));
    },
  };
}

/** What makes the clock of a runner wrong. */
function clockOff(playground: Playground, byMs: number): Readonly<Record<string, string>> {
  const path = join(playground.temp, `clock${byMs}.mjs`);
  const text = `
const Real = Date;
globalThis.Date = class Date extends Real {
  constructor(...args) {
    if (args.length === 0) super(Real.now() + ${byMs});
    else super(...args);
  }
  static now() {
    return Real.now() + ${byMs};
  }
};
`;
  writeFileSync(path, text);
  return { NODE_OPTIONS: `--import=${path}` };
}

describe('a builder of a job', () => {
  it.concurrent(
    'expires when credentials end before post, unless a plugin gives others',
    async () => {
      await using playground = await newPlayground();
      const user = await newUser(playground);
      const lost = playground.job().step({ kubeconfig: user.kubeconfig, 'max-lifetime': '5s' });
      expect(await lost.main().done).toMatchObject({ exitCode: 0 });
      await user.revoke();
      const post = await lost.post().done;
      expect(post.exitCode).toBe(0);
      expect(post.log).toMatch(
        /^::warning::Could not remove builder \S+ in namespace \S+; it expires at \S+ at the latest/m,
      );
      expect(post.log).toContain('KUBE_UNAUTHORIZED');
      const expiry = Date.parse(/expires at (\S+)/.exec(post.log)?.[1] ?? '');

      const [first, second] = await Promise.all([newUser(playground), newUser(playground)]);
      const tokenFile = join(playground.temp, 'token');
      const plugin = join(playground.temp, 'plugin');
      const credential = '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential"';
      writeFileSync(
        plugin,
        `#!/bin/sh\nprintf '${credential},"status":{"token":"%s"}}' "$(cat ${tokenFile})"\n`,
      );
      chmodSync(plugin, 0o700);
      const kubeconfig = playground.kubeconfig((config) => {
        for (const entry of config.users) {
          entry.user = {
            exec: {
              apiVersion: 'client.authentication.k8s.io/v1',
              command: plugin,
              interactiveMode: 'Never',
            },
          };
        }
      });
      writeFileSync(tokenFile, first.token);
      const step = playground.job().step({ kubeconfig });
      expect(await step.main().done).toMatchObject({ exitCode: 0 });
      await first.revoke();
      writeFileSync(tokenFile, second.token);
      expect(await step.post().done).toMatchObject({
        exitCode: 0,
        log: expect.stringMatching(/^Removed builder /m),
      });

      expect(await playground.left()).toEqual([]);
      // The garbage collector has its own pace, but it was the expiry that set it off.
      expect(Date.now()).toBeGreaterThan(expiry);
    },
  );

  it.concurrent('is not that of another one of the same run, whatever the clocks say', async () => {
    await using playground = await newPlayground();
    const inputs = { 'max-lifetime': '1m' };
    const [early, late] = [clockOff(playground, -300_000), clockOff(playground, 300_000)].map(
      (env) => playground.job({ runId: '7' }).step(inputs, env),
    );
    const steps = [early!, late!];
    const mains = await Promise.all(steps.map((step) => step.main().done));
    expect(mains.map(({ exitCode }) => exitCode)).toEqual([0, 0]);
    const [one, two] = mains.map(({ outputs }) => outputs.name);
    expect(one).not.toBe(two);
    const { namespace } = playground;
    for (const name of [one!, two!]) {
      const { spec, status } = await playground.batch.readNamespacedJob({ namespace, name });
      // Whole seconds, less what the Job took to start.
      expect([59, 60]).toContain(spec?.activeDeadlineSeconds);
      expect(status?.conditions ?? []).toEqual([]);
    }
    // The end of one leaves the other alone.
    await early!.post().done;
    const { items } = await playground.apps.listNamespacedDeployment({ namespace });
    expect(items.map(({ metadata }) => metadata?.name)).toEqual([`${two}-linux-amd64`]);
    await late!.post().done;
    expect(await playground.left()).toEqual([]);
  });

  it.concurrent('that another one shares is removed when both end at once', async () => {
    await using playground = await newPlayground();
    const inputs = { name: 'both' };
    const steps = ['1', '2'].map((runId) => playground.job({ runId }).step(inputs));
    const mains = await Promise.all(steps.map((step) => step.main().done));
    expect(mains.map(({ exitCode, outputs }) => [exitCode, outputs.name])).toEqual([
      [0, 'both'],
      [0, 'both'],
    ]);
    const posts = await Promise.all(steps.map((step) => step.post().done));
    for (const { exitCode, log } of posts) {
      expect(exitCode).toBe(0);
      expect(log).not.toContain('::warning');
    }
    expect(posts.map(({ log }) => log).join('\n')).toMatch(/^(Removed|Deleted) builder both/m);
    expect(await playground.left()).toEqual([]);
  });

  it.concurrent('is all that a pull request from a fork may use', async () => {
    await using playground = await newPlayground();
    const event = join(playground.temp, 'event.json');
    const repository = (fullName: string) => ({ repo: { full_name: fullName } });
    const pullRequest = { head: repository('mallory/app'), base: repository('acme/app') };
    writeFileSync(event, JSON.stringify({ pull_request: pullRequest }));
    const env = { GITHUB_EVENT_NAME: 'pull_request', GITHUB_EVENT_PATH: event };
    const job = playground.job();
    for (const [input, action] of [
      ['name', '.'],
      ['builder', '.'],
      ['name', 'setup'],
    ] as const) {
      const step = job.step({ [input]: 'team', cleanup: 'false' }, env, action);
      const main = await step.main().done;
      expect(main.exitCode).toBe(1);
      expect(main.log).toContain('INPUT_FORBIDDEN');
      expect(main.log).toMatch(new RegExp(`input \`${input}\`.*fork.*\`team\``));
      expect(main.log).not.toContain('Cluster');
    }
    const { namespace } = playground;
    const { items } = await playground.apps.listNamespacedDeployment({ namespace });
    expect(items.filter(({ metadata }) => metadata?.name?.startsWith('team'))).toEqual([]);

    const setup = job.step({}, env, 'setup');
    const { outputs } = await setup.main().done;
    const main = await job.step({ builder: outputs.name! }, env).main().done;
    expect(main).toMatchObject({ exitCode: 0, outputs: { name: outputs.name } });
  });
});

describe('a job that comes to a shared builder while the last one leaves', () => {
  const builders: Builder[] = [];
  let client: KubeClient;

  beforeAll(async () => {
    client = await clientFrom(cluster.kubeconfig);
  });

  afterAll(async () => {
    await Promise.all(builders.map((builder) => builder[Symbol.asyncDispose]()));
    client[Symbol.dispose]();
  });

  const logger = (lines: string[]) => ({
    ...nullLogger,
    info: (line: string) => {
      lines.push(line);
    },
  });

  async function come(
    name: string,
    { keepState, through = client }: { keepState: boolean; through?: KubeClient },
    lines: string[] = [],
  ): Promise<Builder> {
    const { namespace } = playground;
    const { buildkitdConfig } = cluster;
    const driver = { namespace, ...(cluster.image === undefined ? {} : { image: cluster.image }) };
    const builder = await bootstrap({
      client: through,
      builder: builderOptions({ name, keepState, connection: 'exec', buildkitdConfig, driver }),
      job: testJob(),
      affinityKey: 'acme/app',
      buildxKey: '/work',
      logger: logger(lines),
      signal: never,
      onNamed: () => undefined,
    });
    builders.push(builder);
    return builder;
  }

  const leave = ({ state }: Builder, through: KubeClient = client) =>
    cleanUpBuilder(through, state, { signal: never, logger: nullLogger });

  /** Resolves once the daemon has spoken. */
  async function connect(builder: Builder): Promise<void> {
    const greet = async (dial: Dialer, signal: AbortSignal): Promise<void> => {
      const stream = await dial(signal);
      await once(stream, 'data', { signal });
      stream.on('error', () => undefined).destroy();
    };
    await builder.connect(greet, never);
  }

  /** A client that does something else first, once, when a call is made. */
  function interrupted(
    method: 'create' | 'patch' | 'remove',
    resource: string,
    first: () => Promise<unknown>,
  ): KubeClient {
    let isDone = false;
    return new Proxy(client, {
      get: (target, key) => {
        const value: unknown = Reflect.get(target, key, target);
        if (typeof value !== 'function') return value;
        return async (...args: unknown[]) => {
          if (key === method && args[0] === resource && !isDone) {
            isDone = true;
            await first();
          }
          return Reflect.apply(value, target, args) as unknown;
        };
      },
    });
  }

  it.each([
    [false, 'remove', 'jobs'],
    [true, 'patch', 'deployments'],
  ] as const)('keeps it (keep-state: %s)', async (keepState, method, resource) => {
    const name = `keeps-${resource}`;
    const first = await come(name, { keepState });
    const late: Builder[] = [];
    const leaving = interrupted(method, resource, async () => {
      late.push(await come(name, { keepState }));
    });
    expect(await leave(first, leaving)).toBe('held');
    expect(late[0]?.created).toBe(false);
    await connect(late[0]!);
  });

  it.each([false, true])('gets one that runs (keep-state: %s)', async (keepState) => {
    const name = `gets-${keepState}`;
    const first = await come(name, { keepState });
    const ends: string[] = [];
    const lines: string[] = [];
    const coming = interrupted('create', 'leases', async () => {
      ends.push(await leave(first));
    });
    const late = await come(name, { keepState, through: coming }, lines);
    expect(ends).toEqual([keepState ? 'stopped' : 'removed']);
    expect(lines[0]).toMatch(/^The last job that used the builder/);
    await connect(late);
  });

  it('keeps it from being removed while it builds', async () => {
    const maker = await come('busy', { keepState: false });
    const user = playground.job({ runId: '9' });
    const running = user.step({ builder: 'busy', file: 'slow' }).main();
    await running.logged(hasBegun);
    expect(await leave(maker)).toBe('held');
    expect(await running.done).toMatchObject({ exitCode: 0 });
  });
});

describe('a pool with one slot', () => {
  const named = { name: 'narrow', cleanup: 'false' };
  const pool = { ...named, 'max-builds-per-pod': '1' };

  beforeAll(async () => {
    const { exitCode } = await playground.job().step(named, {}, 'setup').main().done;
    expect(exitCode).toBe(0);
  });

  function timesOf({ log }: StepResult): { from: number; to: number } {
    const time = (word: string): number =>
      Number(new RegExp(`^#\\d+ (?:\\d+\\.\\d+ )?${word}:([\\d.]+)`, 'm').exec(log)?.[1] ?? NaN);
    return { from: time('from'), to: time('to') };
  }

  it('takes one build after the other, whatever the clocks of their runners say', async () => {
    const build = (who: string, env = {}) =>
      playground
        .job({ repository: `acme/${who}` })
        .step({ ...pool, file: 'slow', 'build-args': `WHO=${who}` }, env)
        .main();
    const first = build('one', clockOff(playground, -300_000));
    await first.logged(hasBegun);
    const second = build('two', clockOff(playground, 300_000));
    await second.logged('1st in the queue for builder narrow: its 1 slot is held by acme/one');
    const third = build('three');
    await third.logged(/(1st|2nd) in the queue for builder narrow/);
    const impatient = playground.job().step({ ...pool, 'queue-timeout': '1s' });
    const late = await impatient.main().done;
    expect(late.exitCode).toBe(1);
    expect(late.log).toMatch(
      /QUEUE_TIMEOUT.*|no free slot on builder narrow within 1 s.* held by acme\/(one|two|three) \(run 1\)/,
    );
    const all = await Promise.all([first, second, third].map(({ done }) => done));
    expect(all.map(({ exitCode }) => exitCode)).toEqual([0, 0, 0]);
    const times = all.map(timesOf);
    for (const [index, { from, to }] of times.entries()) {
      expect(to).toBeGreaterThan(from);
      expect(from).toBeGreaterThan(times[index - 1]?.to ?? 0);
    }
    const places = all.map(({ log }) => log.match(/\d\w\w(?= in the queue)/g));
    expect(places).toEqual([null, ['1st'], expect.arrayContaining(['2nd', '1st'])]);
  });

  it('costs the API server few requests', async () => {
    // Until then there is more to look at than its pods.
    await playground.runningPods('narrow', 1);
    await using proxy = await startCountingApiProxy(cluster.kubeconfig);
    const kubeconfig = playground.kubeconfig((config) => {
      for (const entry of config.clusters) entry.cluster = { server: proxy.url };
      for (const entry of config.users) entry.user = {};
    });
    const { main } = await playground.job().run({ ...pool, kubeconfig });
    expect(main.exitCode).toBe(0);
    // Beats come every 10 s and more.
    expect(proxy.requests.filter((_request, index) => index >= 12)).toEqual([]);
  });
});
