import { createHash } from 'node:crypto';
import type { Platform } from '../options/options.ts';

/** So that a workload's name is a DNS label: this, a dash, and a suffix of 17. */
const longestName = 45;
const jobIdLength = 8;
const hashLength = 8;

/**
 * The name of a job's own builder, at most `longest` characters: 45 unless told.
 *
 * The same job asking for the same specification gets the same name, and no other job ever does.
 */
export function builderName(input: {
  readonly repository: string;
  readonly jobId: string;
  readonly specHash: string;
  readonly longest?: number | undefined;
}): string {
  const { longest = longestName } = input;
  const slugLength = longest - `kbx---`.length - jobIdLength - hashLength;
  const whole = slug(input.repository);
  const repository = slug(input.repository.split('/').at(-1) ?? '');
  const cut = (whole.length <= slugLength ? whole : repository)
    .slice(0, slugLength)
    .replace(/-+$/, '');
  const job = slug(input.jobId).slice(0, jobIdLength);
  return ['kbx', cut, job, input.specHash].filter((part) => part !== '').join('-');
}

/** As BuildKit writes it: `<os>/<arch>[/<variant>]`. */
export function platformText({ os, architecture, variant }: Platform): string {
  return [os, architecture, variant].filter((part) => part !== '').join('/');
}

/** The same for names and labels: `<os>-<arch>[-<variant>]`, at most 17 characters on Linux. */
export function platformSuffix(platform: Platform): string {
  return platformText(platform).replaceAll(/[/.]/g, '-');
}

/** The Secret that holds a workload's first certificates. */
export function tlsSecretName(workload: string): string {
  return `${workload}-tls`;
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
