/** What can be known, before anything is created, of why a builder would not come. */
import type { ConnectionKind } from '../options/options.ts';
import type { BuilderSpec, PodMode } from './builder-spec.ts';
import { workloadResource } from './existing-builder.ts';
import type { KubeClient } from './kube-client.ts';
import { isForbidden } from './kube-failure.ts';
import type { Notices } from './notices.ts';
import { accessIn, findMissing, type MayAccess, unknownAccess } from './preflight/access.ts';
import { MissingRightsError } from './preflight/missing-rights.ts';
import { optionally } from './preflight/optionally.ts';
import { judgePods, tryPods } from './preflight/pods.ts';
import { isHard, type Right, rightsFor } from './preflight/rights.ts';
import { noRoom } from './preflight/room.ts';
import { templateFault } from './preflight/template.ts';
import type { Undertaking } from './preflight/undertaking.ts';

export type { MayAccess } from './preflight/access.ts';

export interface PreflightInput {
  readonly spec: BuilderSpec;
  readonly connection: ConnectionKind;
  readonly notices: Notices;
}

/** What is known once nothing stands against a builder. */
export interface Preflight {
  readonly may: MayAccess;
  /** That of the specification or, where `auto` was asked for, what it came to. */
  readonly mode: PodMode;
}

/**
 * Checks, before anything is created, that nothing stands against a builder: rights, namespace,
 * admission, quotas and limits.
 *
 * One round of parallel calls; further ones only where an authorizer does not list its rules, and
 * for what to say of a refusal. A check that is itself refused is skipped, and what is lost by it
 * told. Throws `NAMESPACE_MISSING`, `POD_TEMPLATE_INVALID`, `MissingRightsError` with all that is missing, `BUILDER_REFUSED`
 * or `BUILDER_QUOTA`.
 */
export async function preflight(
  client: KubeClient,
  input: PreflightInput,
  signal: AbortSignal,
): Promise<Preflight> {
  const done = new AbortController();
  try {
    return await check(client, input, AbortSignal.any([signal, done.signal]));
  } finally {
    // After a failure, nobody waits for the other answers.
    done.abort();
  }
}

async function check(
  client: KubeClient,
  { spec, connection, notices }: PreflightInput,
  signal: AbortSignal,
): Promise<Preflight> {
  const { namespace } = spec;
  const undertaking = undertakingOf(spec, connection);
  const quotasAndRanges = Promise.all([
    optionally((limited) => client.list('resourcequotas', { namespace }, limited), signal),
    optionally((limited) => client.list('limitranges', { namespace }, limited), signal),
  ]);
  const [may, trial, [quotas, ranges], fault] = await Promise.all([
    checkRights(client, { namespace, undertaking, notices }, signal),
    tryPods(client, spec, signal),
    quotasAndRanges,
    templateFault(client, spec, signal),
  ]);
  if (fault !== undefined) throw fault;
  const judgement = await judgePods(client, { spec, trial }, signal);
  const bounds = { quotas: quotas?.items, ranges: ranges?.items };
  const hasTls = connection !== 'exec' && may('create', 'secrets') !== false;
  const refusal = noRoom({ spec, hasTls, ...judgement }, bounds) ?? judgement.refusal;
  // Of steps that start together, the others' builder may be there by now, and be what takes the room.
  if (refusal !== undefined && !(await exists(client, spec, signal))) throw refusal;
  for (const finding of judgement.findings) notices.once(finding);
  return { may, mode: judgement.mode };
}

/** What rights depend on, for a builder that is to be created. */
function undertakingOf(spec: BuilderSpec, connection: ConnectionKind): Undertaking {
  const { files, isPool, isShared, driver } = spec;
  return {
    creates: true,
    workload: workloadResource(spec),
    usesConfigMap: files.length > 0 || isPool,
    usesSecret: files.some(({ secret }) => secret),
    isShared,
    isPool,
    triesModes: driver.mode === 'auto',
    connection,
  };
}

/**
 * Checks that the namespace is there and that nothing is missing which an undertaking cannot do
 * without; tells what is lost by what it can do without.
 *
 * Throws `NAMESPACE_MISSING`, or `MissingRightsError` with all that is missing.
 */
export async function checkRights(
  client: KubeClient,
  input: {
    readonly namespace: string;
    readonly undertaking: Undertaking;
    readonly notices: Notices;
  },
  signal: AbortSignal,
): Promise<MayAccess> {
  const { namespace, undertaking, notices } = input;
  const { context } = client;
  const [review, namespaceSeen, user] = await Promise.all([
    client.accessRules(namespace, signal).catch(unlessForbidden(unknownAccess)),
    client.checkNamespace(namespace, signal).then(() => true, unlessForbidden(false)),
    optionally((limited) => client.whoAmI(limited), signal),
  ]);
  const may = accessIn(review);
  const rights = rightsFor(undertaking);
  const missing = await findMissing(client, { namespace, rights, may }, signal);
  if (missing.length > 0) {
    throw new MissingRightsError({ context, user, namespace, namespaceSeen }, missing);
  }
  notices.quietly(`The user of context "${context}" is ${user ?? 'not told by the API server'}`);
  tellWhatIsLost(rights, may, notices);
  return may;
}

/** One line for each protection that is lost, however many rights it would take. */
function tellWhatIsLost(rights: readonly Right[], may: MayAccess, notices: Notices): void {
  const lost = new Map<string, Right[]>();
  for (const right of rights.filter((each) => !isHard(each))) {
    const lacks = (verb: string): boolean => may(verb, right.resource) === false;
    const verbs = right.verbs.filter(lacks);
    const isEnough = verbs.length === 0 || (right.isEither && verbs.length < right.verbs.length);
    if (isEnough === true || right.uselessWithout?.some(lacks) === true) continue;
    const { loss = '' } = right;
    lost.set(loss, [...(lost.get(loss) ?? []), { ...right, verbs }]);
  }
  for (const [loss, lacking] of lost) {
    const list = lacking.map(({ verbs, resource }) => `${verbs.join(', ')} ${resource}`);
    const line = `No right to ${list.join(' or ')}: ${loss}.`;
    if (lacking.every(({ isQuiet }) => isQuiet)) notices.quietly(line);
    else notices.once(line);
  }
}

/** Whether somebody has created the builder meanwhile. */
async function exists(
  client: KubeClient,
  spec: BuilderSpec,
  signal: AbortSignal,
): Promise<boolean> {
  const { namespace, workload: name } = spec;
  const found = await optionally(
    (limited) => client.get(workloadResource(spec), { namespace, name }, limited),
    signal,
  );
  return found !== undefined;
}

function unlessForbidden<T>(instead: T): (thrown: unknown) => T {
  return (thrown) => {
    if (isForbidden(thrown)) return instead;
    throw thrown;
  };
}
