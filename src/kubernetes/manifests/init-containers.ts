import type { V1Container } from '@kubernetes/client-node';
import type { BuilderSpec } from '../builder-spec.ts';
import { pullPolicyOf, resourcesOf } from './daemon-container.ts';
import { settingsOf } from './mode-settings.ts';
import { stateVolumeName } from './volumes.ts';

/** What runs before the daemon; mostly nothing. */
export function initContainers(spec: BuilderSpec): V1Container[] {
  return [...emulatorInstaller(spec), ...stateOwner(spec)];
}

/** Only by request: it changes the kernel's table of the node, for everybody there. */
function emulatorInstaller(spec: BuilderSpec): V1Container[] {
  const { qemuImage } = spec.driver;
  if (qemuImage === undefined) return [];
  return [
    {
      name: 'qemu',
      image: qemuImage,
      ...pullPolicyOf(spec),
      args: ['--install', 'all'],
      securityContext: { privileged: true },
      resources: resourcesOf(spec),
    },
  ];
}

/**
 * Gives a claim's volume, which is root's, to the rootless daemon.
 *
 * Not by `fsGroup`: that sets the setgid bit on the volume, which every folder made below it
 * inherits, down to those in the images that are built.
 */
function stateOwner(spec: BuilderSpec): V1Container[] {
  const { stateFolder, userId } = settingsOf(spec.mode);
  if (spec.driver.stateVolume.kind !== 'claim' || userId === undefined) return [];
  return [
    {
      name: 'state-owner',
      image: spec.image,
      ...pullPolicyOf(spec),
      command: ['chown', `${userId}:${userId}`, stateFolder],
      securityContext: {
        runAsUser: 0,
        runAsGroup: 0,
        allowPrivilegeEscalation: false,
        capabilities: { drop: ['ALL'], add: ['CHOWN'] },
      },
      resources: resourcesOf(spec),
      volumeMounts: [{ name: stateVolumeName, mountPath: stateFolder }],
    },
  ];
}
