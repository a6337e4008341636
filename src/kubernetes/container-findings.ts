import type { Finding, Severity, Snapshot, Wanted } from './finding.ts';
import type { ContainerStatus, Pod } from './kube-objects.ts';
import { containerName } from './manifests/labels.ts';
import { modeHint } from './mode-hints.ts';
import { daemonStatus, describeEnd } from './pod-state.ts';
import { pullKey } from './pull-counter.ts';

/** Our own init containers do the same each time. */
const emulatorContainer = 'qemu';
const ownContainers: ReadonlySet<string> = new Set([emulatorContainer, 'state-owner']);
/** Init containers of others, such as a mesh's, may want a second chance. */
const foreignChances = 2;

/** One container of a pod, and what to call it. */
interface Subject {
  readonly pod: Pod;
  readonly status: ContainerStatus;
  /** Such as `buildkitd` or `init container qemu`. */
  readonly called: string;
  readonly image: string;
}

/** What is said of the containers that keep the daemon from running, in the order of their start. */
export function containerFindings(pod: Pod, snapshot: Snapshot, wanted: Wanted): Finding[] {
  const inits = (pod.status?.initContainerStatuses ?? []).map((status): Subject => ({
    pod,
    status,
    called: `init container ${status.name}`,
    image: status.image ?? '',
  }));
  const status = daemonStatus(pod);
  const daemon: Subject[] =
    status === undefined ? [] : [{ pod, status, called: 'buildkitd', image: wanted.image }];
  return [...inits, ...daemon]
    .map((subject) => endFinding(subject, wanted) ?? waitFinding(subject, snapshot))
    .filter((finding) => finding !== undefined);
}

function endFinding({ pod, status, called }: Subject, wanted: Wanted): Finding | undefined {
  const isDaemon = called === containerName;
  const now = status.state?.terminated;
  const before = status.state?.running === undefined ? status.lastState?.terminated : undefined;
  const ended = now ?? before;
  if (ended === undefined || (!isDaemon && ended.exitCode === 0)) return undefined;
  const { name } = pod.metadata;
  const forgiven =
    !isDaemon && !ownContainers.has(status.name) && status.restartCount < foreignChances;
  return {
    severity: forgiven ? 'waiting' : 'fatal',
    code: 'BUILDER_CRASHED',
    text: `${called} ${describeEnd(ended, isDaemon ? wanted.limits.memory : undefined)} in pod ${name}`,
    hint:
      ended.reason === 'OOMKilled'
        ? 'Raise limits.memory in driver-opts.'
        : isDaemon
          ? 'Its log tells why; check buildkitd-config and the image.'
          : initHint(status.name),
    crashed: { pod: name, container: status.name, previous: now === undefined },
  };
}

function initHint(name: string): string {
  return name === emulatorContainer
    ? 'Its log tells why; it must run privileged: use nodes of the platform you build for, or remove qemu.install from driver-opts.'
    : 'Its log tells why; it comes from pod-template, or the cluster adds it to all pods.';
}

const pullReasons = new Set(['ErrImagePull', 'ImagePullBackOff', 'RegistryUnavailable']);
const badImageReasons = new Set([
  'InvalidImageName',
  'ErrImageNeverPull',
  'SignatureValidationFailed',
  'ImageInspectError',
]);
/** The node could not make the container out of what we asked for, and would fail again. */
const badContainerReasons = new Set(['CreateContainerConfigError', 'RunContainerError']);
/** May be a runtime, or a cache of the node, that is only slow. */
const slowNode = /timed out|timeout|deadline exceeded|failed to sync|name .* is reserved/i;
/** What a registry says that will not change by asking again. */
const decisivePull =
  /not found|manifest unknown|unauthorized|denied|authorization failed|no such host|does not exist|invalid reference|no match for platform/i;
const pullsPerPod = 2;

function waitFinding(subject: Subject, { failedPulls }: Snapshot): Finding | undefined {
  const { pod, status } = subject;
  const { reason = '', message = '' } = status.state?.waiting ?? {};
  const said = message === '' || message === reason ? reason : `${reason}: ${message}`;
  if (badImageReasons.has(reason)) return pullFinding('fatal', said, subject);
  if (pullReasons.has(reason)) {
    const failures = failedPulls.get(pullKey(pod, status)) ?? 0;
    const final = decisivePull.test(message) || failures >= pullsPerPod;
    return pullFinding(final ? 'fatal' : 'waiting', said, subject);
  }
  if (badContainerReasons.has(reason) || reason === 'CreateContainerError') {
    const maySucceed = reason === 'CreateContainerError' || slowNode.test(message);
    return {
      severity: maySucceed ? 'stuck' : 'fatal',
      code: 'BUILDER_CRASHED',
      text: `the node cannot start ${subject.called} in pod ${pod.metadata.name}: ${said}`,
      hint: modeHint(message) ?? startHint(reason, message),
    };
  }
  return undefined;
}

function startHint(reason: string, message: string): string {
  const missing = /(secret|configmap) "([^"]+)" not found/.exec(message);
  if (missing !== null) {
    return `Create the ${missing[1] ?? ''} ${missing[2] ?? ''} in the namespace, or correct pod-template.`;
  }
  return reason === 'CreateContainerConfigError'
    ? 'Check pod-template, and what the cluster adds to all pods.'
    : 'Check that the image is one of moby/buildkit.';
}

function pullFinding(severity: Severity, said: string, { called, image }: Subject): Finding {
  const whose = called === containerName ? "the builder's image" : `the image of ${called},`;
  return {
    severity,
    code: 'BUILDER_IMAGE_PULL',
    text: `${whose} ${image} cannot be pulled: ${said}`,
    hint: pullHint(said, called === containerName ? 'image=' : 'the image of that container'),
  };
}

function pullHint(said: string, setting: string): string {
  const where = setting === 'image=' ? 'image= in driver-opts' : setting;
  if (/429|toomanyrequests|rate limit/i.test(said)) {
    return `The registry limits pulls: use a mirror of the image with ${where}, give image-pull-secrets of an account with a higher limit, or run the job again later.`;
  }
  if (/unauthorized|denied|authorization|403/i.test(said)) {
    return `Check ${where}; a private image needs image-pull-secrets in driver-opts.`;
  }
  if (/no match for platform/i.test(said)) {
    return `Check ${where}: it is not there for the architecture of the node.`;
  }
  return `Check ${where}, and that the nodes reach its registry.`;
}
