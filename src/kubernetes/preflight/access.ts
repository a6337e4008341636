import type { Access, AccessRule, KubeClient, ResourceName } from '../kube-client.ts';
import { isForbidden } from '../kube-failure.ts';
import { groups } from '../kube-paths.ts';
import { isHard, type Right } from './rights.ts';

/** Whether something is allowed; undefined where only trying will tell. */
export type MayAccess = (verb: string, resource: string) => boolean | undefined;

/** What the server says of a user's rights in a namespace. */
export interface AccessReview {
  readonly rules: readonly AccessRule[];
  /** Whether some authorizer keeps its rules to itself. */
  readonly incomplete: boolean;
}

/** For users who may not even ask. */
export const unknownAccess: AccessReview = { rules: [], incomplete: true };

/** What a review tells of single verbs, without asking further. */
export function accessIn({ rules, incomplete }: AccessReview): MayAccess {
  return (verb, resource) => {
    const access = { verb, resource, group: groupOf(resource) };
    const granted = rules.filter((rule) => covers(rule, access));
    if (granted.some(({ resourceNames = [] }) => resourceNames.length === 0)) return true;
    const mayBeNamed = granted.length > 0 && !['create', 'list', 'watch'].includes(verb);
    return incomplete || mayBeNamed ? undefined : false;
  };
}

/**
 * Those of the hard rights that are missing, each with the verbs that are.
 *
 * Asks one by one, all at once, for what the review does not tell.
 */
export async function findMissing(
  client: KubeClient,
  input: {
    readonly namespace: string;
    readonly rights: readonly Right[];
    readonly may: MayAccess;
  },
  signal: AbortSignal,
): Promise<Right[]> {
  const { namespace, may } = input;
  const asked = new Map<string, Promise<boolean>>();
  const ask = (verb: string, resource: string): Promise<boolean> => {
    const key = `${verb} ${resource}`;
    const access = { verb, resource, group: groupOf(resource) };
    const answer = asked.get(key) ?? askFor(client, { namespace, access }, signal);
    asked.set(key, answer);
    return answer;
  };
  const lacking = await Promise.all(
    input.rights.filter(isHard).map(async (right) => {
      const allowed = await Promise.all(
        right.verbs.map(async (verb) => may(verb, right.resource) ?? ask(verb, right.resource)),
      );
      if (right.isEither === true && allowed.includes(true)) return [];
      const verbs = right.verbs.filter((_verb, index) => allowed[index] === false);
      return verbs.length === 0 ? [] : [{ ...right, verbs }];
    }),
  );
  return lacking.flat();
}

/** The API group of a resource or subresource; the core group has no name. */
export function groupOf(resource: string): string {
  const [name = ''] = resource.split('/');
  return (groups as Readonly<Partial<Record<string, string>>>)[name as ResourceName] ?? '';
}

/** Who may not ask has to try. */
async function askFor(
  client: KubeClient,
  { namespace, access }: { readonly namespace: string; readonly access: Access },
  signal: AbortSignal,
): Promise<boolean> {
  try {
    return await client.hasAccess(namespace, access, signal);
  } catch (thrown) {
    if (isForbidden(thrown)) return true;
    throw thrown;
  }
}

function covers(rule: AccessRule, access: Access): boolean {
  const [resource = '', subresource] = access.resource.split('/');
  const resources =
    subresource === undefined ? [resource, '*'] : [access.resource, `*/${subresource}`, '*'];
  return (
    matches(rule.verbs, [access.verb, '*']) &&
    matches(rule.apiGroups, [access.group, '*']) &&
    matches(rule.resources, resources)
  );
}

function matches(granted: readonly string[] | undefined, wanted: readonly string[]): boolean {
  return granted?.some((item) => wanted.includes(item)) ?? false;
}
