import type { BuilderSpec } from '../builder-spec.ts';
import { tlsKeys } from './configuration.ts';
import { gcFlags } from './gc-flags.ts';
import { settingsOf } from './mode-settings.ts';
import { configFolder, tlsFolder } from './volumes.ts';

/** Where the daemon listens for those who have a certificate. */
export const tlsPort = 1234;

/** Arguments of the daemon; the user's come last, so that they win. */
export function daemonFlags(spec: BuilderSpec): string[] {
  const { flags, files, mode } = spec;
  const settings = settingsOf(mode);
  const needsConfig = files.length > 0 && !settings.findsConfig && !has(flags, 'config');
  return [
    ...settings.flags.filter((flag) => !has(flags, flag.slice(2))),
    ...(needsConfig ? [`--config=${configFolder}/buildkitd.toml`] : []),
    ...gcFlags(spec),
    ...listenFlags(spec),
    ...flags,
  ];
}

/** Any address takes the place of the default one, which we need. */
function listenFlags({ flags, mode, tls }: BuilderSpec): string[] {
  const { socket } = settingsOf(mode);
  if (tls === undefined) return has(flags, 'addr') ? [`--addr=${socket}`] : [];
  return [
    `--addr=${socket}`,
    `--addr=tcp://0.0.0.0:${tlsPort}`,
    `--tlscacert=${tlsFolder}/${tlsKeys.ca}`,
    `--tlscert=${tlsFolder}/${tlsKeys.cert}`,
    `--tlskey=${tlsFolder}/${tlsKeys.key}`,
  ];
}

/** Go programs take one dash as well as two. */
function has(flags: readonly string[], name: string): boolean {
  return flags.some((flag) => flag.replace(/^--?/, '').split('=')[0] === name);
}
