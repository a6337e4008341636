/** Settings of the containers that `RUN` steps run in, in the forms of the docker CLI. */
import { isIP } from 'node:net';
import { invalidInput, InputError } from './errors.ts';
import { didYouMean } from './nearest-name.ts';

/** `network`: the mode of `RUN` steps; throws an `InputError`. */
export function parseNetwork(value: string): 'default' | 'host' | 'none' {
  if (value === '' || value === 'default') return 'default';
  if (value === 'host' || value === 'none') return value;
  throw invalidInput({
    input: 'network',
    value,
    problem: 'is not a network mode',
    expected: 'default, host or none',
  });
}

/** `host=ip` or `host:ip` → `host=ip`, brackets around the address removed; throws an `InputError`. */
export function parseAddHost(value: string): string {
  const input = 'add-hosts';
  const separator = value.includes('=') ? '=' : ':';
  const at = value.indexOf(separator);
  const host = value.slice(0, Math.max(at, 0)).trim();
  const address = value.slice(at + 1).trim();
  if (address === 'host-gateway') {
    throw new InputError(
      'INPUT_UNSUPPORTED',
      `input \`add-hosts\`: \`${value}\` needs a host gateway, which a pod does not have`,
      { hint: 'Give the address itself.' },
    );
  }
  const ip = /^\[.+\]$/.test(address) ? address.slice(1, -1) : address;
  if (at < 1 || host === '' || host.includes(':') || isIP(ip) === 0 || ip.includes('%')) {
    throw invalidInput({
      input,
      value,
      problem: 'is not a host with its address',
      expected: 'host=ip or host:ip such as db=10.0.0.7 or db=[fd00::7]',
    });
  }
  return `${host}=${ip}`;
}

const sizeShifts = 'bkmgtp';

/**
 * `shm-size` in bytes; undefined for zero, which leaves the daemon's default.
 *
 * Sizes as docker/go-units reads memory: binary multiples with or without `b` or `ib`. Throws an
 * `InputError`.
 */
export function parseShmSize(value: string): number | undefined {
  const match = /^\+?(\d+\.?\d*|\.\d+) ?(?:b|([kmgtp])(?:b|ib)?)?$/i.exec(value);
  const [, number = '', unit = 'b'] = match ?? [];
  const sizeBytes = Math.floor(Number(number) * 1024 ** sizeShifts.indexOf(unit.toLowerCase()));
  if (match === null || !Number.isSafeInteger(sizeBytes)) {
    throw invalidInput({
      input: 'shm-size',
      value,
      problem: 'is not a size',
      expected: 'a number with an optional unit such as 64m, 2g or 67108864',
    });
  }
  return sizeBytes === 0 ? undefined : sizeBytes;
}

const ulimitNames = new Set(
  `core cpu data fsize locks memlock msgqueue nice nofile nproc rss rtprio rttime sigpending
   stack`.split(/\s+/),
);
const unlimited = -1n;
const mostInt64 = 2n ** 63n - 1n;

/** `name=soft[:hard]` → name and `soft:hard`; throws an `InputError`. */
export function parseUlimit(value: string): [string, string] {
  const input = 'ulimit';
  const match = /^([^=]*)=([+-]?\d+)(?::([+-]?\d+))?$/.exec(value);
  if (match === null) {
    throw invalidInput({
      input,
      value,
      problem: 'is not a limit',
      expected: 'name=soft[:hard] such as nofile=1024:4096, -1 for unlimited',
    });
  }
  const [, name = '', softText = '', hardText = softText] = match;
  if (!ulimitNames.has(name)) {
    throw invalidInput({
      input,
      value,
      problem: `has the unknown name \`${name}\``,
      expected: `one of ${[...ulimitNames].join(', ')}`,
      hint: didYouMean(name, ulimitNames),
    });
  }
  const soft = BigInt(softText.replace('+', ''));
  const hard = BigInt(hardText.replace('+', ''));
  if ([soft, hard].some((limit) => limit > mostInt64 || limit < -mostInt64)) {
    throw invalidInput({ input, value, problem: 'has a limit outside of 64 bits' });
  }
  if (hard !== unlimited && (soft === unlimited || soft > hard)) {
    throw invalidInput({ input, value, problem: 'has a soft limit above its hard limit' });
  }
  return [name, `${soft}:${hard}`];
}
