import { invalidInput } from './errors.ts';

const host = /^(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[A-Fa-f0-9:]+\])(?::\d{1,5})?$/;
/** The key under which `docker login` stores Docker Hub. */
const hubKey = 'https://index.docker.io/v1/';

/** Whether a text is `host[:port]`. */
export function isRegistryHost(text: string): boolean {
  return host.test(text);
}

/** A registry as the key of a map: lower-case `host[:port]`; throws an `InputError`. */
export function parseRegistryHost(input: string, text: string): string {
  const key = text.trim();
  if (key === hubKey) return 'docker.io';
  if (isRegistryHost(key)) return key.toLowerCase();
  throw invalidInput({
    input,
    value: key,
    problem: 'is not a registry',
    expected: 'a host with an optional port such as ghcr.io or localhost:5000',
  });
}
