import {
  AppsV1Api,
  BatchV1Api,
  CoreV1Api,
  KubeConfig,
  RbacAuthorizationV1Api,
} from '@kubernetes/client-node';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parse, stringify } from 'yaml';

import {
  Job,
  type JobOptions,
  type RunningStep,
  type Step,
  type StepResult,
} from '../../scripts/action-runner.ts';
import { createNamespace, type TestNamespace } from '../../scripts/cluster-namespace.ts';
import { type Cluster, clusterInputs } from '../../scripts/find-cluster.ts';
import { ContextFolder, type ContextSpec } from './context-folder.ts';

interface PlaygroundOptions {
  readonly cluster: Cluster;
  readonly files?: ContextSpec;
  readonly env?: Readonly<Record<string, string>>;
}

type Texts = Readonly<Record<string, string>>;

/** One job on the cluster: its steps have the inputs that every build there needs. */
export class ClusterJob implements Disposable {
  readonly #job: Job;
  readonly #inputs: Texts;

  constructor(options: JobOptions, inputs: Texts) {
    this.#job = new Job(options);
    this.#inputs = inputs;
  }

  /** The job's own folder, `RUNNER_TEMP`. */
  get temp(): string {
    return this.#job.temp;
  }

  /** A step with `inputs` over those of the cluster. */
  step(inputs: Texts, env: Texts = {}, action: '.' | 'setup' = '.'): Step {
    return this.#job.step({ ...this.#inputs, ...inputs }, env, action);
  }

  /** Main and then post, whatever main's end. */
  async run(inputs: Texts, env: Texts = {}): Promise<{ main: StepResult; post: StepResult }> {
    const step = this.step(inputs, env);
    const main = await step.main().done;
    return { main, post: await step.post().done };
  }

  [Symbol.dispose](): void {
    this.#job[Symbol.dispose]();
  }
}

/** A namespace, a workspace and jobs in which the bundle is run. */
export class Playground implements AsyncDisposable {
  readonly namespace: string;
  readonly core: CoreV1Api;
  readonly apps: AppsV1Api;
  readonly batch: BatchV1Api;
  readonly rbac: RbacAuthorizationV1Api;
  readonly context: ContextFolder;
  /** Scratch folder, outside of the workspace. */
  readonly temp = mkdtempSync(join(tmpdir(), 'playground-'));
  readonly #cluster: Cluster;
  readonly #owned: TestNamespace;
  readonly #env: Texts;
  readonly #job: ClusterJob;
  readonly #jobs: ClusterJob[] = [];

  private constructor(options: PlaygroundOptions, owned: TestNamespace) {
    const config = new KubeConfig();
    config.loadFromFile(options.cluster.kubeconfig);
    this.core = config.makeApiClient(CoreV1Api);
    this.apps = config.makeApiClient(AppsV1Api);
    this.batch = config.makeApiClient(BatchV1Api);
    this.rbac = config.makeApiClient(RbacAuthorizationV1Api);
    this.namespace = owned.name;
    this.#cluster = options.cluster;
    this.#owned = owned;
    this.context = new ContextFolder(options.files ?? { Dockerfile: 'FROM scratch\n' });
    this.#env = { KUBECONFIG: options.cluster.kubeconfig, ...options.env };
    this.#job = this.job();
  }

  static async create(options: PlaygroundOptions): Promise<Playground> {
    return new Playground(options, await createNamespace(options.cluster, 'kbx-test'));
  }

  /** One more job, which shares nothing with the others but workspace and namespace. */
  job(options: Pick<JobOptions, 'repository' | 'runId'> = {}): ClusterJob {
    const { namespace, context } = this;
    const inputs = clusterInputs(this.#cluster, namespace);
    const job = new ClusterJob({ ...options, workspace: context.path, env: this.#env }, inputs);
    this.#jobs.push(job);
    return job;
  }

  /** A step of the first job. */
  step(inputs: Texts, env: Texts = {}, action: '.' | 'setup' = '.'): Step {
    return this.#job.step(inputs, env, action);
  }

  /** `driver-opts` for this namespace. */
  driverOpts(options: Texts): string {
    return Object.entries({ namespace: this.namespace, ...options })
      .map(([key, value]) => `${key}=${value}`)
      .join('\n');
  }

  /** A step of the first job: main and then post, whatever main's end. */
  run(inputs: Texts, env: Texts = {}): Promise<{ main: StepResult; post: StepResult }> {
    return this.#job.run(inputs, env);
  }

  /** Names of what is left in the namespace once pods had a moment to go. */
  async left(): Promise<string[]> {
    for (let attempt = 0; attempt < 100; attempt += 1) {
      const left = await this.#owned.listWhatIsLeft();
      if (left.length === 0) return left;
      await sleep(200);
    }
    return this.#owned.listWhatIsLeft();
  }

  /** The pods of a builder, by name, once the status of so many says that they run. */
  async runningPods(builder: string, count: number): Promise<string[]> {
    const { namespace } = this;
    const labelSelector = `app.kubernetes.io/instance=${builder}`;
    for (let attempt = 0; attempt < 200; attempt += 1) {
      const { items } = await this.core.listNamespacedPod({ namespace, labelSelector });
      const running = items.filter(
        ({ metadata, status }) =>
          metadata?.deletionTimestamp === undefined &&
          status?.containerStatuses?.[0]?.state?.running,
      );
      if (running.length === count) return running.map(({ metadata }) => metadata?.name ?? '');
      await sleep(100);
    }
    throw new Error(`builder ${builder} does not have ${String(count)} running pods`);
  }

  /** The kubeconfig with some of it changed, as a new file. */
  kubeconfig(change: (config: EditableKubeconfig) => void): string {
    const config = parse(readFileSync(this.#cluster.kubeconfig, 'utf8')) as EditableKubeconfig;
    change(config);
    const path = join(this.temp, `kubeconfig-${String(performance.now())}`);
    writeFileSync(path, stringify(config), { mode: 0o600 });
    return path;
  }

  /** A kubeconfig of a service account that has exactly these rules in the namespace. */
  async kubeconfigWithRules(rules: readonly Rule[]): Promise<string> {
    const { namespace } = this;
    const name = `limited-${String(Math.trunc(performance.now()))}`;
    await this.core.createNamespacedServiceAccount({ namespace, body: { metadata: { name } } });
    await this.rbac.createNamespacedRole({
      namespace,
      body: {
        metadata: { name },
        rules: rules.map((rule) => ({
          apiGroups: [...rule.apiGroups],
          resources: [...rule.resources],
          verbs: [...rule.verbs],
        })),
      },
    });
    await this.rbac.createNamespacedRoleBinding({
      namespace,
      body: {
        metadata: { name },
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name },
        subjects: [{ kind: 'ServiceAccount', name, namespace }],
      },
    });
    return this.kubeconfigWithToken(await this.createToken(name));
  }

  /** A token of a service account. */
  async createToken(serviceAccount: string): Promise<string> {
    const { status } = await this.core.createNamespacedServiceAccountToken({
      name: serviceAccount,
      namespace: this.namespace,
      body: { spec: { audiences: [] } },
    });
    return status?.token ?? '';
  }

  kubeconfigWithToken(token: string): string {
    return this.kubeconfig((config) => {
      for (const entry of config.users) entry.user = { token };
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const job of this.#jobs) job[Symbol.dispose]();
    this.context[Symbol.dispose]();
    rmSync(this.temp, { recursive: true, force: true });
    await this.#owned[Symbol.asyncDispose]();
  }
}

export interface Rule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
}

export interface EditableKubeconfig {
  clusters: { name: string; cluster: Record<string, unknown> }[];
  users: { name: string; user: Record<string, unknown> }[];
  contexts: { name: string }[];
  'current-context': string;
}

/** Sends the signals of a cancelled job as GitHub's runner does, until the process is gone. */
export async function cancelAsRunner(running: RunningStep): Promise<StepResult> {
  running.child.kill('SIGINT');
  const terminate = setTimeout(() => running.child.kill('SIGTERM'), 7500);
  const kill = setTimeout(() => running.child.kill('SIGKILL'), 10_000);
  try {
    return await running.done;
  } finally {
    clearTimeout(terminate);
    clearTimeout(kill);
  }
}
