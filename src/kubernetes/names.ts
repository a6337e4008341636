import { createHash, randomInt } from 'node:crypto';
import type { Platform } from '../options/options.ts';

/** So that a workload's name, the longest of our suffixes included, is still a DNS label. */
const slugLength = 25;
const jobIdLength = 8;
const hashLength = 8;

/** A random id that all steps of one job share: eight lower-case letters and digits. */
export function newJobId(): string {
  const alphabet = 'abcdefghijklmnopqrstuvwxyz0123456789';
  return Array.from({ length: jobIdLength }, () => alphabet[randomInt(alphabet.length)]).join('');
}

/**
 * The name of a job's own builder, at most 47 characters.
 *
 * The same job asking for the same specification gets the same name, and no other job ever does.
 */
export function builderName(input: {
  readonly repository: string;
  readonly jobId: string;
  readonly specHash: string;
}): string {
  const whole = slug(input.repository);
  const repository = slug(input.repository.split('/').at(-1) ?? '');
  const cut = (whole.length <= slugLength ? whole : repository)
    .slice(0, slugLength)
    .replace(/-+$/, '');
  const job = slug(input.jobId).slice(0, jobIdLength);
  return ['kbx', cut, job, input.specHash].filter((part) => part !== '').join('-');
}

/** `<os>-<arch>[-<variant>]`. */
export function platformSuffix(platform: Platform): string {
  const { os, architecture, variant } = platform;
  return [os, architecture, variant].filter((part) => part !== '').join('-');
}

/** A short hash of whatever decides how the pods look; key order does not matter. */
export function specHash(spec: unknown): string {
  return createHash('sha256').update(canonicalJson(spec)).digest('hex').slice(0, hashLength);
}

function slug(text: string): string {
  return text
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-+|-+$/g, '');
}

function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, item: unknown) =>
    typeof item === 'object' && item !== null && !Array.isArray(item)
      ? Object.fromEntries(Object.entries(item).sort(([a], [b]) => (a < b ? -1 : 1)))
      : item,
  );
}
