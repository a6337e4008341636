import type { V1Volume } from '@kubernetes/client-node';
import type { BuilderSpec } from '../builder-spec.ts';
import { volumeKey } from './configuration.ts';

/** State and configuration of the daemon. */
export function volumesOf(spec: BuilderSpec): V1Volume[] {
  const items = (secretFiles: boolean): { key: string; path: string }[] =>
    spec.files
      .filter((file) => file.secret === secretFiles)
      .map((file) => ({ key: volumeKey(file), path: file.path }));
  const [plain, keys] = [items(false), items(true)];
  const sources = [
    ...(plain.length === 0 ? [] : [{ configMap: { name: spec.workload, items: plain } }]),
    ...(keys.length === 0 ? [] : [{ secret: { name: spec.workload, items: keys } }]),
  ];
  return [
    // Counted against the pod's ephemeral-storage, unlike the volume that the image declares, and
    // there for images that declare none.
    { name: 'state', emptyDir: {} },
    ...(sources.length === 0 ? [] : [{ name: 'config', projected: { sources } }]),
  ];
}
