import { randomUUID } from 'node:crypto';
import type {
  BuilderMode,
  BuilderOptions,
  KubernetesDriverOptions,
  Platform,
} from '../options/options.ts';
import type { DaemonFile } from './daemon-files.ts';
import { KubernetesError } from './errors.ts';
import { podTemplate } from './manifests/pod-template.ts';
import { builderName, platformSuffix, specHash, tlsSecretName } from './names.ts';

/** As at the peer; the rootless one has a tag of its own. */
const defaultImage = 'moby/buildkit:buildx-stable-1';

/** Its pods have a label with its name and a hash of eleven characters, and labels end at 63. */
const longestStatefulSet = 52;

/** How much the daemon may do on its node, once decided. */
export type PodMode = Exclude<BuilderMode, 'auto'>;

/** All that decides how the objects of one node of a builder look. */
export interface BuilderSpec {
  readonly name: string;
  /** Name of the workload, its ConfigMap and its Secret. */
  readonly workload: string;
  readonly namespace: string;
  /** The user's, or the default of the mode. */
  readonly image: string;
  readonly mode: PodMode;
  readonly driver: KubernetesDriverOptions;
  /** Unset: any Linux node, best one of `preferredArchitecture`. */
  readonly platform: Platform | undefined;
  readonly preferredArchitecture: string;
  /** Arguments of the daemon that the user asked for, entitlements among them. */
  readonly flags: readonly string[];
  readonly files: readonly DaemonFile[];
  /** Merged into our pod template; a tree of JSON values. */
  readonly podTemplate: Readonly<Record<string, unknown>> | undefined;
  /** Whether jobs share it by its name; if so its pods tell of no single run. */
  readonly isShared: boolean;
  /** Whether it, or its state, outlives the jobs that use it: its owner does not expire. */
  readonly isPool: boolean;
  /** Whether claims are kept even when the workload is deleted. */
  readonly keepsState: boolean;
  /** Unset: the daemon listens on its unix socket alone. */
  readonly tls: BuilderTls | undefined;
  /** The Secret with `tls`, of which the pods mount the daemon's part. */
  readonly tlsSecret: string;
  readonly identity: BuilderIdentity;
}

/** Certificates and keys as PEM texts. */
export interface BuilderTls {
  readonly ca: string;
  /** Of the daemon, as is `key`. */
  readonly cert: string;
  readonly key: string;
  /** Of those who build; never in the pod, as is `clientKey`. */
  readonly clientCert: string;
  readonly clientKey: string;
}

/** Who made the objects; empty texts are left out. */
export interface BuilderIdentity {
  readonly jobId: string;
  readonly runId: string;
  readonly repository: string;
  readonly sha: string;
  readonly runUrl: string;
  readonly runAttempt: string;
  readonly version: string;
  readonly specHash: string;
  /** Random: the step that made them, whichever attempt of it. */
  readonly creator: string;
}

export interface BuilderSpecInput {
  readonly builder: BuilderOptions;
  readonly files: readonly DaemonFile[];
  /** `creator` is made anew where it is unset. */
  readonly job: Omit<BuilderIdentity, 'specHash' | 'creator'> & { readonly creator?: string };
  /** Where `driver.namespace` is unset. */
  readonly namespace: string;
  readonly mode: PodMode;
  /** Of a job's own builder with several nodes; unset: made from the job and the hash. */
  readonly sharedName?: string | undefined;
  readonly tls?: BuilderTls | undefined;
}

/**
 * Makes the specification of one node of a builder.
 *
 * Its name and hash depend on what was asked for alone: not on what `mode: auto` came to, nor on
 * keys made anew each time. Throws `BUILDER_REFUSED` for what cannot be named or is not supported,
 * and `POD_TEMPLATE_INVALID`.
 */
export function builderSpec(input: BuilderSpecInput): BuilderSpec {
  const { builder, files, mode } = input;
  const { driver, runnerPlatform, podTemplate: template } = builder;
  const [platform, ...more] = builder.platforms;
  if (more.length > 0) {
    throw new KubernetesError('BUILDER_REFUSED', 'a builder has one platform in this version');
  }
  const looks = {
    namespace: driver.namespace ?? input.namespace,
    platform,
    preferredArchitecture: runnerPlatform.architecture,
    flags: [...builder.buildkitdFlags, ...entitlementFlags(builder)],
    files,
    podTemplate: template,
  };
  const isShared = builder.name !== undefined;
  // A pool of another size is the same pool.
  const replicas = isShared ? undefined : driver.replicas;
  const hash = specHash({ ...shapeOf(driver), replicas, ...looks });
  const { name, workload } = namesOf(input, hash);
  const spec: BuilderSpec = {
    ...looks,
    name,
    workload,
    image: imageOf(driver, mode),
    mode,
    driver,
    isShared,
    isPool: isShared && (!builder.cleanup || builder.keepState),
    keepsState: builder.keepState,
    tls: input.tls,
    tlsSecret: tlsSecretName(workload),
    identity: { creator: randomUUID(), ...input.job, specHash: hash },
  };
  // Whatever is wrong with it is to be known before anything is created.
  if (template !== undefined) podTemplate(spec);
  return spec;
}

function namesOf(
  { builder, job, sharedName }: BuilderSpecInput,
  hash: string,
): { readonly name: string; readonly workload: string } {
  const { driver, platforms, runnerPlatform } = builder;
  // Without a platform any node will do, and that of the runner's kind is the likely one.
  const suffix = platformSuffix(platforms[0] ?? runnerPlatform);
  const isStateful = driver.stateVolume.kind === 'claim';
  const longest = isStateful ? longestStatefulSet - suffix.length - 1 : undefined;
  const { repository, jobId } = job;
  const name =
    builder.name ?? sharedName ?? builderName({ repository, jobId, specHash: hash, longest });
  if (longest !== undefined && name.length > longest) {
    throw new KubernetesError(
      'BUILDER_REFUSED',
      `the name ${name} has ${name.length} characters; with persistent-volume-claim it may have ${longest}`,
      {
        hint: 'Choose a shorter name: Kubernetes puts it into a label of the pods, with more after it.',
      },
    );
  }
  return { name, workload: `${name}-${suffix}` };
}

/** The same builder in another mode, with the image of that mode. */
export function inMode(spec: BuilderSpec, mode: PodMode): BuilderSpec {
  return { ...spec, mode, image: imageOf(spec.driver, mode) };
}

function imageOf(driver: KubernetesDriverOptions, mode: PodMode): string {
  return driver.image ?? (mode === 'rootless' ? `${defaultImage}-rootless` : defaultImage);
}

/** The options that shape objects, rather than what is done with them. */
function shapeOf(driver: KubernetesDriverOptions): object {
  return {
    ...driver,
    image: driver.image ?? defaultImage,
    loadBalance: undefined,
    defaultLoad: undefined,
    timeoutMs: undefined,
    timeoutIsExplicit: undefined,
  };
}

/** Flags for the entitlements that the own flags of the user do not allow already. */
export function entitlementFlags({ entitlements, buildkitdFlags }: BuilderOptions): string[] {
  const prefix = '--allow-insecure-entitlement';
  const given = new Set(
    buildkitdFlags.flatMap((flag, index) => {
      if (flag === prefix) return [buildkitdFlags[index + 1]];
      return flag.startsWith(`${prefix}=`) ? [flag.slice(prefix.length + 1)] : [];
    }),
  );
  return entitlements.filter((each) => !given.has(each)).map((each) => `${prefix}=${each}`);
}
