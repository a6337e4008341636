/** The key of Docker Hub in docker's config file and in credential helpers. */
export const dockerHubKey = 'https://index.docker.io/v1/';

const dockerHubHosts = ['docker.io', 'index.docker.io', 'registry-1.docker.io'];

/** Registries of Docker that accept the credentials of Docker Hub. */
const hubSatellites = ['dhi.io', 'registry.scout.docker.com'];

/**
 * One name for each registry, out of what people and daemons write: a host or an address of one,
 * in any letter case. All names of Docker Hub become `docker.io`.
 */
export function canonicalRegistryHost(hostOrUrl: string): string {
  const host = hostOrUrl
    .trim()
    .toLowerCase()
    .replace(/^https?:\/\//, '')
    .replace(/\/.*$/s, '');
  return dockerHubHosts.includes(host) ? 'docker.io' : host;
}

/** The server name that docker's config file and credential helpers know a registry by. */
export function dockerConfigKey(host: string): string {
  return canonicalRegistryHost(host) === 'docker.io' ? dockerHubKey : host;
}

/** Hosts whose credentials serve for `host`, best first. */
export function credentialHosts(host: string): readonly string[] {
  return hubSatellites.includes(canonicalRegistryHost(host)) ? [host, 'docker.io'] : [host];
}

/** The entry of `entries` for a registry: under its own key, else under any name of the same host. */
export function entryOfHost<T>(entries: Readonly<Record<string, T>>, host: string): T | undefined {
  const key = dockerConfigKey(host);
  if (Object.hasOwn(entries, key)) return entries[key];
  const wanted = canonicalRegistryHost(host);
  const found = Object.keys(entries).find((name) => canonicalRegistryHost(name) === wanted);
  return found === undefined ? undefined : entries[found];
}
