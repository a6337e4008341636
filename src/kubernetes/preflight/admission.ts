import type { V1ObjectMeta, V1Pod, V1PodSpec, V1PodTemplateSpec } from '@kubernetes/client-node';
import { messageOf } from '../../shared/errors.ts';
import { KubernetesError } from '../errors.ts';
import type { KubeClient } from '../kube-client.ts';
import { isForbidden } from '../kube-failure.ts';
import { ApiRefusal } from '../kube-http.ts';

type Metadata = Pick<V1ObjectMeta, 'name' | 'generateName' | 'labels' | 'annotations'>;

/** What the server would make of a pod. */
export type Verdict =
  /** As it would be made, with all defaults and what webhooks add. */
  | { readonly kind: 'accepted'; readonly spec: V1PodSpec }
  /** `reason` is in the server's words. */
  | { readonly kind: 'refused'; readonly reason: string; readonly cause: KubernetesError }
  /** A policy refused it, but may have done so because no controller asks. */
  | { readonly kind: 'doubtful'; readonly reason: string }
  /** It could not be asked. */
  | { readonly kind: 'unknown'; readonly reason: string };

/**
 * Asks by a dry run whether a namespace takes the pods of a workload.
 *
 * Pod Security only warns about workloads, so it is a pod that is tried. Rejects with the signal's
 * reason alone.
 */
export async function tryPod(
  client: KubeClient,
  at: {
    readonly namespace: string;
    /** Of the workload. */
    readonly name: string;
    readonly pod: V1PodTemplateSpec;
  },
  signal: AbortSignal,
): Promise<Verdict> {
  const { namespace, name, pod } = at;
  if (pod.spec === undefined) return { kind: 'unknown', reason: 'there is no pod' };
  const manifest = podFrom(name, pod);
  try {
    const { object } = await client.create('pods', { namespace, manifest, dryRun: true }, signal);
    return judge(pod.spec, (object as unknown as V1Pod).spec);
  } catch (thrown) {
    signal.throwIfAborted();
    return judgeRefusal(thrown, pod.spec);
  }
}

/** A pod as a workload makes it of its template. */
export function podFrom(
  workload: string,
  { metadata: { labels, annotations } = {}, spec = { containers: [] } }: V1PodTemplateSpec,
): { readonly metadata: Metadata; readonly spec: V1PodSpec } & object {
  const metadata: Metadata = {
    generateName: `${workload}-`,
    ...(labels === undefined ? {} : { labels }),
    ...(annotations === undefined ? {} : { annotations }),
  };
  const type = { apiVersion: 'v1', kind: 'Pod' };
  return { ...type, metadata, spec: withClaims(spec) };
}

/** A StatefulSet gives each of its pods the claims that the template mounts. */
function withClaims(spec: Pick<V1PodSpec, keyof V1PodSpec>): V1PodSpec {
  const volumes = spec.volumes ?? [];
  const known = new Set(volumes.map(({ name }) => name));
  const mounted = [...spec.containers, ...(spec.initContainers ?? [])].flatMap(
    ({ volumeMounts = [] }) => volumeMounts.map(({ name }) => name),
  );
  const claims = [...new Set(mounted)].filter((name) => !known.has(name));
  return {
    ...spec,
    volumes: [
      ...volumes,
      ...claims.map((name) => ({ name, persistentVolumeClaim: { claimName: name } })),
    ],
  };
}

/** Servers that know no user namespaces drop the field, and the pod would be root on its node. */
function judge(asked: V1PodSpec, made: V1PodSpec | undefined): Verdict {
  if (made === undefined) return { kind: 'unknown', reason: 'the server answered without a pod' };
  if (asked.hostUsers !== false || made.hostUsers === false) {
    return { kind: 'accepted', spec: made };
  }
  const reason = 'the cluster does not know user namespaces (hostUsers: false)';
  return { kind: 'refused', reason, cause: new KubernetesError('BUILDER_REFUSED', reason) };
}

/** What says nothing about the pod, or will not be said of the next one. */
const passing = [
  // A webhook with side effects.
  /does not support dry run/,
  // A quota that was made a moment ago.
  /status unknown for quota/,
  /failed calling webhook/,
];

/** Policies may ask who made a pod, and pods of a workload are made by a controller. */
const byPolicy = /admission webhook .* denied|ValidatingAdmissionPolicy/s;

function judgeRefusal(thrown: unknown, { serviceAccountName }: V1PodSpec): Verdict {
  const reason = wordsOf(thrown);
  if (isForbidden(thrown)) return { kind: 'unknown', reason: 'no right to create pods' };
  if (!(thrown instanceof KubernetesError) || thrown.code === 'NAMESPACE_MISSING') {
    return { kind: 'unknown', reason };
  }
  // That of each namespace comes a moment after it.
  const isNewNamespace =
    reason.includes('error looking up service account') &&
    (serviceAccountName ?? 'default') === 'default';
  const isAnswer = [400, 403, 422].includes(thrown.httpStatus ?? 0);
  if (!isAnswer || isNewNamespace || passing.some((pattern) => pattern.test(reason))) {
    return { kind: 'unknown', reason };
  }
  if (byPolicy.test(reason)) return { kind: 'doubtful', reason };
  return { kind: 'refused', reason, cause: thrown };
}

/** The server's own, less the name of a pod that will not be. */
function wordsOf(thrown: unknown): string {
  const cause = thrown instanceof Error ? thrown.cause : undefined;
  const words = messageOf(cause instanceof ApiRefusal ? cause : thrown);
  return words.replace(/^(?:pods|Pod) "[^"]*" is (?:forbidden|invalid): /, '');
}
