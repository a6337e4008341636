import type { V1Volume, V1VolumeMount } from '@kubernetes/client-node';
import type { BuilderSpec } from '../builder-spec.ts';
import { tlsServerFiles, volumeKey } from './configuration.ts';
import { settingsOf } from './mode-settings.ts';

/** Where the daemon looks for its configuration, and its TOML for certificates. */
export const configFolder = '/etc/buildkit';

/** Apart from the configuration, so that it does not hide one that the image may have. */
export const tlsFolder = '/etc/buildkitd-tls';

/** The volume of the daemon's state, and the claim where there is one. */
export const stateVolumeName = 'state';

/** State and configuration of the daemon; a claim's volume comes from the StatefulSet. */
export function volumesOf(spec: BuilderSpec): V1Volume[] {
  return [...stateVolumes(spec), ...configVolumes(spec), ...tlsVolumes(spec)];
}

/** Where the daemon's container has those volumes. */
export function mountsOf(spec: BuilderSpec): V1VolumeMount[] {
  const { mode, files, tls } = spec;
  return [
    { name: stateVolumeName, mountPath: settingsOf(mode).stateFolder },
    ...(files.length === 0 ? [] : [{ name: 'config', mountPath: configFolder, readOnly: true }]),
    ...(tls === undefined ? [] : [{ name: 'tls', mountPath: tlsFolder, readOnly: true }]),
  ];
}

function stateVolumes({ driver: { stateVolume } }: BuilderSpec): V1Volume[] {
  const name = stateVolumeName;
  switch (stateVolume.kind) {
    case 'claim':
      return [];
    case 'memory':
      return [{ name, emptyDir: { medium: 'Memory', sizeLimit: stateVolume.sizeLimit } }];
    case 'empty-dir':
      // Counted against the pod's ephemeral-storage, unlike the volume that the image declares, and
      // there for images that declare none.
      return [{ name, emptyDir: {} }];
  }
}

function configVolumes({ files, workload }: BuilderSpec): V1Volume[] {
  const items = (secretFiles: boolean): { key: string; path: string }[] =>
    files
      .filter((file) => file.secret === secretFiles)
      .map((file) => ({ key: volumeKey(file), path: file.path }));
  const [plain, keys] = [items(false), items(true)];
  const sources = [
    ...(plain.length === 0 ? [] : [{ configMap: { name: workload, items: plain } }]),
    ...(keys.length === 0 ? [] : [{ secret: { name: workload, items: keys } }]),
  ];
  return sources.length === 0 ? [] : [{ name: 'config', projected: { sources } }];
}

/** The client's key stays out of the pod: a step that breaks out must not pass for a builder's user. */
function tlsVolumes(spec: BuilderSpec): V1Volume[] {
  if (spec.tls === undefined) return [];
  const items = tlsServerFiles.map((key) => ({ key, path: key }));
  return [{ name: 'tls', secret: { secretName: spec.tlsSecret, items } }];
}
