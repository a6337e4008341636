import type { BuilderSpec, BuilderTls } from '../builder-spec.ts';
import { configMap, secret, tlsSecret } from './configuration.ts';
import { disruptionBudget } from './disruption-budget.ts';
import { ownerConfigMap } from './owner-config-map.ts';
import { ownerJob } from './owner-job.ts';
import { workload } from './workload.ts';

const redacted = '<redacted>';

/** kubectl reads YAML 1.1, where `off` and `1_000` are no texts. */
const yamlOptions = { compat: 'yaml-1.1', lineWidth: 0, aliasDuplicateObjects: false } as const;

/** Stands for certificates that a run would make. */
export const redactedTls: BuilderTls = {
  ca: redacted,
  cert: redacted,
  key: redacted,
  clientCert: redacted,
  clientKey: redacted,
};

/**
 * The objects that builders are made of, as YAML documents that `kubectl apply` takes.
 *
 * In the order in which they are made; without owner references, since the owners get their ids from
 * the cluster, and with the contents of Secrets left out. Several nodes of one builder have one owner.
 */
export async function renderManifests(
  specs: readonly BuilderSpec[],
  options: { readonly maxLifetimeMs: number },
): Promise<string> {
  const { stringify } = await import('yaml');
  const owners = new Map(specs.map((spec) => [`${spec.namespace}/${spec.name}`, spec]));
  const objects = [
    ...[...owners.values()].map((spec) => ownerOf(spec, options.maxLifetimeMs)),
    ...specs.flatMap((spec) => [
      configMap(spec, undefined),
      withoutContents(secret(spec, undefined)),
      withoutContents(tlsSecret(spec, undefined)),
      disruptionBudget(spec, undefined),
      workload(spec, undefined),
    ]),
  ];
  return objects
    .filter((object) => object !== undefined)
    .map((object) => stringify(object, yamlOptions))
    .join('---\n');
}

function ownerOf(spec: BuilderSpec, maxLifetimeMs: number): object {
  if (spec.isPool) return ownerConfigMap(spec);
  const activeDeadlineSeconds = Math.max(1, Math.floor(maxLifetimeMs / 1000));
  return ownerJob(spec, { activeDeadlineSeconds, owner: undefined });
}

function withoutContents<T extends { stringData?: Record<string, string> }>(
  object: T | undefined,
): T | undefined {
  if (object === undefined) return undefined;
  const keys = Object.keys(object.stringData ?? {});
  return { ...object, stringData: Object.fromEntries(keys.map((key) => [key, redacted])) };
}
