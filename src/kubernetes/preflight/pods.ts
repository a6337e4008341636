import type { V1PodSpec } from '@kubernetes/client-node';
import { type BuilderSpec, inMode, type PodMode } from '../builder-spec.ts';
import type { KubernetesError } from '../errors.ts';
import type { KubeClient } from '../kube-client.ts';
import type { Node } from '../kube-objects.ts';
import { podTemplate } from '../manifests/pod-template.ts';
import {
  chooseMode,
  leastPrivilegedMode,
  type ModeQuestion,
  type ModeTrials,
  tryModes,
} from '../mode.ts';
import { tryPod, type Verdict } from './admission.ts';
import { nodesFor, showSelector } from './nodes.ts';
import { optionally } from './optionally.ts';
import { refusedPods } from './refusal.ts';

/** What was learnt of a builder's pods in one round. */
export interface PodTrial {
  /** Of the mode asked for; unset for `auto`. */
  readonly verdict: Verdict | undefined;
  readonly trials: ModeTrials | undefined;
  /** Some of those that may get the pods; unset where nodes may not be read. */
  readonly nodes: readonly Node[] | undefined;
}

/** What it means. */
export interface PodJudgement {
  readonly mode: PodMode;
  readonly pod: V1PodSpec;
  /** Whether `pod` has what admission adds, and admission has taken it. */
  readonly isAdmitted: boolean;
  readonly refusal: KubernetesError | undefined;
  /** What the user should know though it stands in nobody's way; a sentence each. */
  readonly findings: readonly string[];
}

/** Tries the pods of a builder by dry run, in all modes where the mode is `auto`. */
export async function tryPods(
  client: KubeClient,
  spec: BuilderSpec,
  signal: AbortSignal,
): Promise<PodTrial> {
  if (spec.driver.mode === 'auto') {
    const trials = await tryModes(client, questionOf(spec), signal);
    return { verdict: undefined, trials, nodes: trials.nodes };
  }
  const { namespace, workload } = spec;
  const pod = podTemplate(spec);
  const where = { pod: specOf(spec), limit: 1 };
  const [verdict, nodes] = await Promise.all([
    tryPod(client, { namespace, name: workload, pod }, signal),
    optionally((limited) => nodesFor(client, where, limited), signal),
  ]);
  return { verdict, trials: undefined, nodes };
}

/** Says what a trial means; a refusal may be looked into with further calls. */
export async function judgePods(
  client: KubeClient,
  { spec, trial }: { readonly spec: BuilderSpec; readonly trial: PodTrial },
  signal: AbortSignal,
): Promise<PodJudgement> {
  const { namespace } = spec;
  const findings = trial.nodes?.length === 0 ? [noNode(spec)] : [];
  if (trial.trials !== undefined) {
    const { mode, reason, pod } = chooseMode(trial.trials, namespace);
    return { mode, pod, isAdmitted: true, refusal: undefined, findings: [reason, ...findings] };
  }
  const { mode } = spec;
  const { verdict } = trial;
  if (verdict?.kind === 'accepted') {
    return { mode, pod: verdict.spec, isAdmitted: true, refusal: undefined, findings };
  }
  const asIs = { mode, pod: specOf(spec), isAdmitted: false, findings };
  if (verdict?.kind === 'refused') {
    const question = { ...questionOf(spec), mode, verdict };
    return { ...asIs, refusal: await refusedPods(client, question, signal) };
  }
  const doubt =
    verdict?.kind === 'doubtful' ? [`A policy may refuse the pods: ${verdict.reason}`] : [];
  return { ...asIs, refusal: undefined, findings: [...findings, ...doubt] };
}

/**
 * The same builder in the mode that `auto` comes to now; as it is where a mode was asked for.
 *
 * Throws `BUILDER_REFUSED` when there is none.
 */
export async function inSettledMode(
  client: KubeClient,
  spec: BuilderSpec,
  signal: AbortSignal,
): Promise<BuilderSpec> {
  if (spec.driver.mode !== 'auto') return spec;
  const { mode } = await leastPrivilegedMode(client, questionOf(spec), signal);
  return inMode(spec, mode);
}

function questionOf(spec: BuilderSpec): ModeQuestion {
  const { namespace, workload } = spec;
  return { namespace, name: workload, podFor: (mode) => podTemplate(inMode(spec, mode)) };
}

function specOf(spec: BuilderSpec): V1PodSpec {
  return podTemplate(spec).spec ?? { containers: [] };
}

/** Not fatal: a scale-up may bring one. */
function noNode(spec: BuilderSpec): string {
  const selector = showSelector(specOf(spec), ' and ');
  return `No node that takes pods has ${selector}: unless one is added, the builder cannot come.`;
}
