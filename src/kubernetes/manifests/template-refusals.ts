import { posix } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import type { V1Container, V1PodTemplateSpec } from '@kubernetes/client-node';
import type { BuilderSpec } from '../builder-spec.ts';
import { containerName, podMetadata, stayAnnotations } from './labels.ts';
import { stateVolumeName } from './volumes.ts';

/** What a merged template has that would break the builder, each by the path of its field. */
export function templateRefusals(
  ours: V1PodTemplateSpec,
  merged: V1PodTemplateSpec,
  spec: BuilderSpec,
): string[] {
  return [
    ...metadataRefusals(merged, spec),
    ...podRefusals(merged),
    ...containerRefusals(daemonOf(ours), daemonOf(merged)),
    ...volumeRefusals(ours, merged, spec),
  ];
}

function daemonOf({ spec }: V1PodTemplateSpec): V1Container | undefined {
  // A merge may have taken them all.
  const containers: readonly V1Container[] | undefined = spec?.containers;
  return containers?.find(({ name }) => name === containerName);
}

/** Those of the user's own options may change, those that mark the pod as ours may not. */
function metadataRefusals({ metadata }: V1PodTemplateSpec, spec: BuilderSpec): string[] {
  const { driver } = spec;
  const kept = podMetadata({ ...spec, driver: { ...driver, labels: {}, annotations: {} } });
  return (['labels', 'annotations'] as const).flatMap((kind) =>
    Object.entries(kept[kind])
      .filter(([key, value]) => !(key in stayAnnotations) && metadata?.[kind]?.[key] !== value)
      .map(([key]) => `metadata.${kind}.${key} is how the builder is recognised`),
  );
}

function podRefusals({ spec }: V1PodTemplateSpec): string[] {
  const policy = spec?.restartPolicy ?? 'Always';
  return policy === 'Always' ? [] : ['spec.restartPolicy can only be Always in a workload'];
}

function containerRefusals(
  ours: V1Container | undefined,
  merged: V1Container | undefined,
): string[] {
  const path = `spec.containers[${containerName}]`;
  if (merged === undefined) return [`${path} is the builder itself and cannot be removed`];
  const fixed = (['command', 'args'] as const)
    .filter((field) => !isDeepStrictEqual(ours?.[field], merged[field]))
    .map((field) => `${path}.${field} starts buildkitd, whose flags buildkitd-flags sets`);
  const own = ours?.volumeMounts ?? [];
  const ownPaths = new Set(own.map(({ mountPath }) => mountPath));
  const mounts = own
    .filter((mount) => !(merged.volumeMounts ?? []).some((each) => isDeepStrictEqual(each, mount)))
    .map(({ mountPath }) => `${path}.volumeMounts[${mountPath}] is the builder's own`);
  const doubled = (merged.volumeMounts ?? [])
    .filter(({ mountPath }) => !ownPaths.has(mountPath) && ownPaths.has(withoutSlash(mountPath)))
    .map(({ mountPath }) => `${path}.volumeMounts[${mountPath}] covers the builder's own`);
  return [...fixed, ...mounts, ...doubled];
}

/** The volume of the state may be of another kind; one from a claim is the StatefulSet's. */
function volumeRefusals(
  ours: V1PodTemplateSpec,
  merged: V1PodTemplateSpec,
  { driver }: BuilderSpec,
): string[] {
  const volumes = merged.spec?.volumes ?? [];
  const find = (wanted: string) => volumes.find(({ name }) => name === wanted);
  const changed = (ours.spec?.volumes ?? []).filter((volume) =>
    volume.name === stateVolumeName
      ? find(volume.name) === undefined
      : !isDeepStrictEqual(find(volume.name), volume),
  );
  const isClaimed = driver.stateVolume.kind === 'claim' && find(stateVolumeName) !== undefined;
  return [...changed.map(({ name }) => name), ...(isClaimed ? [stateVolumeName] : [])].map(
    (name) => `spec.volumes[${name}] is the builder's own`,
  );
}

function withoutSlash(path: string): string {
  const normal = posix.normalize(path);
  return normal.length > 1 && normal.endsWith('/') ? normal.slice(0, -1) : normal;
}
