/** The one list of the rights that a run may need; README and `docs/rbac/` are checked against it. */
import { isOccasion, type Occasion, type Undertaking } from './undertaking.ts';

/** Verbs on one resource, for one purpose. */
export interface Right {
  readonly occasion: Occasion;
  readonly verbs: readonly string[];
  /** With its subresource, as in `pods/exec`. */
  readonly resource: string;
  /** What it is for; without it nothing is begun. */
  readonly purpose?: string;
  /** What is lost without it, for rights that can be done without. */
  readonly loss?: string;
  /** Whether any one of the verbs will do. */
  readonly isEither?: boolean;
  /** Narrows the occasion down. */
  readonly when?: (undertaking: Undertaking) => boolean;
  /** Verbs without which this right is of no use, so that its lack need not be told. */
  readonly uselessWithout?: readonly string[];
  /** Whether its lack is told to those who debug alone: few may see beyond their namespace. */
  readonly isQuiet?: boolean;
}

const isDeployment = ({ workload }: Undertaking): boolean => workload === 'deployments';
const mayExec = ({ connection }: Undertaking): boolean =>
  connection === 'auto' || connection === 'exec';
const isAuto = ({ connection }: Undertaking): boolean => connection === 'auto';
const isNotAuto = ({ connection }: Undertaking): boolean => connection !== 'auto';

const hardRights: readonly Right[] = [
  {
    occasion: 'to build',
    verbs: ['list'],
    resource: 'pods',
    purpose: 'finding the pods',
  },
  {
    occasion: 'to build',
    verbs: ['create', 'get'],
    resource: 'pods/exec',
    purpose: 'the connection to the daemon; one of the verbs will do',
    isEither: true,
    when: mayExec,
  },
  {
    occasion: 'to build on one with a `name`',
    verbs: ['get'],
    resource: 'deployments',
    purpose: 'finding the builder',
    when: isDeployment,
  },
  {
    occasion: 'to build on one with claims and a `name`',
    verbs: ['get'],
    resource: 'statefulsets',
    purpose: 'the same in place of `deployments`',
  },
  {
    occasion: 'to create the builder',
    verbs: ['get', 'create', 'delete'],
    resource: 'deployments',
    purpose: 'the builder itself',
    when: isDeployment,
  },
  {
    occasion: 'to create one with claims',
    verbs: ['get', 'create', 'delete'],
    resource: 'statefulsets',
    purpose: 'the same in place of `deployments`',
  },
  {
    occasion: 'to create one with configuration, or a pool',
    verbs: ['get', 'create', 'delete'],
    resource: 'configmaps',
    purpose: 'that configuration, and what a pool belongs to',
  },
  {
    occasion: 'to create one with private keys in it',
    verbs: ['get', 'create', 'delete'],
    resource: 'secrets',
    purpose: 'those keys',
  },
  {
    occasion: 'to connect other than by exec',
    verbs: ['get'],
    resource: 'secrets',
    purpose: 'the certificates of a connection that must not go by exec',
    when: (undertaking) => isNotAuto(undertaking) && !undertaking.creates,
  },
  {
    occasion: 'to create one for such a connection',
    verbs: ['get', 'create', 'delete'],
    resource: 'secrets',
    purpose: 'the same',
    when: isNotAuto,
  },
  {
    occasion: 'to connect other than by exec',
    verbs: ['get', 'create'],
    resource: 'pods/portforward',
    purpose: 'the connection, with `connection: port-forward`; one of the verbs will do',
    isEither: true,
    when: ({ connection }) => connection === 'port-forward',
  },
  {
    occasion: 'to create one with `mode: auto`',
    verbs: ['create'],
    resource: 'pods',
    purpose: 'asking, by dry run, which modes are accepted',
  },
];

const refusedLate = 'refusals by quota and policy may be seen only as a timeout';
const notForeseen = 'that the namespace refuses the pods is seen only once they do not come';
const notChanged = 'a builder with a name is neither changed to what is asked for nor put to sleep';
const byExec = 'the connection may have to go by exec, which is slower';

const softRights: readonly Right[] = [
  {
    occasion: 'to create one that goes with its job',
    verbs: ['create', 'get'],
    resource: 'jobs',
    loss: 'a builder whose runner is lost does not expire by itself',
  },
  {
    occasion: 'to create one that goes with its job',
    verbs: ['patch'],
    resource: 'jobs',
    loss: 'a builder whose runner is lost lives its whole max-lifetime',
    uselessWithout: ['create', 'get'],
  },
  {
    occasion: 'to create one that goes with its job',
    verbs: ['delete'],
    resource: 'jobs',
    loss: 'of a removed builder an empty Job stays until it expires',
    uselessWithout: ['create', 'get'],
  },
  {
    occasion: 'to build',
    verbs: ['watch'],
    resource: 'pods',
    loss: 'pods are polled, so their changes are seen later',
  },
  {
    occasion: 'to create the builder',
    verbs: ['list', 'watch'],
    resource: 'deployments',
    loss: refusedLate,
    when: isDeployment,
  },
  {
    occasion: 'to create the builder',
    verbs: ['list', 'watch'],
    resource: 'replicasets',
    loss: refusedLate,
    when: isDeployment,
  },
  {
    occasion: 'to create one with claims',
    verbs: ['list', 'watch'],
    resource: 'statefulsets',
    loss: refusedLate,
  },
  {
    occasion: 'to create the builder',
    verbs: ['create'],
    resource: 'pods',
    loss: notForeseen,
    when: ({ triesModes }) => !triesModes,
  },
  {
    occasion: 'to create the builder',
    verbs: ['list'],
    resource: 'resourcequotas',
    loss: notForeseen,
  },
  {
    occasion: 'to create the builder',
    verbs: ['list'],
    resource: 'limitranges',
    loss: notForeseen,
  },
  {
    occasion: 'to build',
    verbs: ['list', 'watch'],
    resource: 'events',
    loss: 'what the scheduler and the node say about the pods is not shown',
  },
  {
    occasion: 'to build',
    verbs: ['get'],
    resource: 'pods',
    loss: 'why a builder was lost may not be told',
  },
  {
    occasion: 'to build',
    verbs: ['get'],
    resource: 'pods/log',
    loss: 'the last lines of a daemon that ends are not shown',
  },
  {
    occasion: 'to build',
    verbs: ['create'],
    resource: 'pods/exec',
    loss: 'the connection goes by WebSocket alone, without SPDY, which is faster',
    when: mayExec,
  },
  {
    occasion: 'to build',
    verbs: ['get'],
    resource: 'pods/exec',
    loss: 'what lets only WebSocket pass cannot be passed',
    when: mayExec,
  },
  {
    occasion: 'to build on one with a `name`',
    verbs: ['get', 'list', 'watch', 'create', 'patch', 'delete'],
    resource: 'leases',
    loss: 'builds that share a builder do not know of each other, so nothing limits or protects them',
  },
  {
    occasion: 'to build on one with a `name`',
    verbs: ['patch'],
    resource: 'pods',
    loss: 'an autoscaler may move a pod while it builds',
  },
  {
    occasion: 'to create one with a `name`',
    verbs: ['update', 'patch'],
    resource: 'deployments',
    loss: notChanged,
    when: isDeployment,
  },
  {
    occasion: 'to create one with claims and a `name`',
    verbs: ['update', 'patch'],
    resource: 'statefulsets',
    loss: notChanged,
  },
  {
    occasion: 'to create one with a `name`',
    verbs: ['update'],
    resource: 'configmaps',
    loss: notChanged,
    when: ({ usesConfigMap }) => usesConfigMap,
  },
  {
    occasion: 'to create one with a `name`',
    verbs: ['update'],
    resource: 'secrets',
    loss: notChanged,
    when: ({ usesSecret }) => usesSecret,
  },
  {
    occasion: 'to create a pool',
    verbs: ['get', 'create', 'delete'],
    resource: 'poddisruptionbudgets',
    loss: 'maintenance of the cluster may take all pods of a pool at once',
  },
  {
    occasion: 'to create one for such a connection',
    verbs: ['get', 'create', 'delete'],
    resource: 'secrets',
    loss: byExec,
    when: isAuto,
  },
  {
    occasion: 'to connect other than by exec',
    verbs: ['get'],
    resource: 'secrets',
    loss: byExec,
    when: ({ connection, creates }) => connection === 'auto' && !creates,
  },
  {
    occasion: 'to connect other than by exec',
    verbs: ['get', 'create'],
    resource: 'pods/portforward',
    loss: byExec,
    when: isAuto,
    isEither: true,
  },
  {
    occasion: 'to create the builder',
    verbs: ['list'],
    resource: 'nodes',
    loss: 'that no node has the architecture is known only from the scheduler',
    isQuiet: true,
  },
  {
    occasion: 'to build',
    verbs: ['get'],
    resource: 'nodes',
    loss: 'that the node of a lost builder is gone is not told',
    isQuiet: true,
  },
];

/** All rights, those without which nothing is begun first. */
export const rights: readonly Right[] = [...hardRights, ...softRights];

/** Those that an undertaking calls for. */
export function rightsFor(undertaking: Undertaking): Right[] {
  return rights.filter(
    ({ occasion, when }) => isOccasion(occasion, undertaking) && when?.(undertaking) !== false,
  );
}

/** Whether nothing is begun without it. */
export function isHard({ loss }: Right): boolean {
  return loss === undefined;
}
