import { invalidInput } from './errors.ts';
import type { InputReader } from './input-reader.ts';
import { didYouMean } from './nearest-name.ts';
import type { RegistryAuth } from './options.ts';
import { parseRegistryHost } from './registry-host.ts';
import { isYamlMap, parseYamlMap, type YamlTree } from './yaml-tree.ts';

const input = 'registry-auth';
const expected = 'host: {username: …, password: …} or host: {token: …}';
const fields = ['username', 'password', 'token'] as const;

/** `registry-auth`; its values are in no message, nor are unknown keys, which may be shifted values. */
export function parseRegistryAuth(reader: InputReader): RegistryAuth {
  const text = reader.string(input);
  if (text === '') return {};
  const { problems } = reader;
  const hosts = problems.guard([], () => [...parseYamlMap(input, text)]);
  return Object.fromEntries(
    problems.guardEach(hosts, ([key, value], index) => {
      // A malformed document may have a secret where a host is expected.
      const place = `element ${index + 1}`;
      return [registryHost(key, place), credentials(value, place)];
    }),
  );
}

/** The values that must not appear in the log. */
export function secretsOfRegistryAuth(auth: RegistryAuth): string[] {
  return Object.values(auth)
    .flatMap(({ password, token }) => [password, token])
    .filter((secret) => secret !== undefined);
}

function registryHost(key: string, place: string): string {
  try {
    return parseRegistryHost(input, key);
  } catch {
    throw invalidInput({
      input,
      problem: `${place} has a key that is not a registry`,
      expected: 'a host with an optional port such as ghcr.io or localhost:5000',
    });
  }
}

function credentials(value: YamlTree, place: string): RegistryAuth[string] {
  if (!isYamlMap(value)) throw invalidInput({ input, problem: `${place} is not a map`, expected });
  for (const [key, field] of value) {
    if (!fields.some((each) => each === key)) {
      throw invalidInput({
        input,
        problem: `${place} has an unknown key`,
        expected,
        hint: didYouMean(key, fields),
      });
    }
    if (typeof field !== 'string' || field === '') {
      throw invalidInput({ input, problem: `${place} has no text for \`${key}\``, expected });
    }
  }
  const { username, password, token } = Object.fromEntries(value) as RegistryAuth[string];
  const isLogin = username !== undefined && password !== undefined && token === undefined;
  const isToken = token !== undefined && username === undefined && password === undefined;
  if (!isLogin && !isToken) {
    throw invalidInput({
      input,
      problem: `${place} must have username and password, or a token`,
      expected,
    });
  }
  return Object.fromEntries(value);
}
