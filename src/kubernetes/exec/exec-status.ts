/**
 * How a command in a container ended, as the server's status stream tells.
 *
 * `failed` means that it never ran or that the server lost it; `reason` is the machine-readable
 * word of the Kubernetes Status, such as `InternalError`.
 */
export type ExecStatus =
  | { readonly kind: 'exited'; readonly exitCode: number }
  | { readonly kind: 'failed'; readonly reason: string; readonly message: string };

/**
 * Reads the Status object that ends an exec (`v4.channel.k8s.io` and later).
 *
 * Returns `undefined` while the text is not yet a whole one.
 */
export function parseExecStatus(text: string): ExecStatus | undefined {
  const status = parseKubeStatus(text);
  if (status === undefined) return undefined;
  if (status.status === 'Success') return { kind: 'exited', exitCode: 0 };
  const exitCode = exitCodeOf(status);
  if (exitCode !== undefined) return { kind: 'exited', exitCode };
  return {
    kind: 'failed',
    reason: status.reason ?? 'Unknown',
    // Each hop on the way adds these words once more.
    message: (status.message ?? '').replace(/^(Internal error occurred: )+/, ''),
  };
}

/** Most bytes of a status that are kept: no server sends that much. */
const maxStatusBytes = 64 * 1024;

/** Collects the text of a status that comes in pieces, cut anywhere. */
export class StatusText {
  #bytes = Buffer.alloc(0);

  append(piece: Buffer): void {
    const room = maxStatusBytes - this.#bytes.length;
    this.#bytes = Buffer.concat([this.#bytes, piece.subarray(0, room)]);
  }

  /** What has come since the last `clear`. */
  get text(): string {
    return this.#bytes.toString();
  }

  clear(): void {
    this.#bytes = Buffer.alloc(0);
  }
}

/** The parts of a Kubernetes `Status` that we read. */
export interface KubeStatus {
  readonly status?: string;
  readonly message?: string;
  readonly reason?: string;
  readonly details?: { readonly causes?: readonly StatusCause[] };
}

interface StatusCause {
  readonly reason?: string;
  readonly message?: string;
}

/** Reads a Kubernetes `Status`; `undefined` for any other text. */
export function parseKubeStatus(text: string): KubeStatus | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!isRecord(value)) return undefined;
  const isStatus = value.kind === 'Status' || typeof value.status === 'string';
  return isStatus ? toKubeStatus(value) : undefined;
}

function toKubeStatus(value: Record<string, unknown>): KubeStatus {
  const details = isRecord(value.details) ? value.details : {};
  const causes = Array.isArray(details.causes) ? details.causes.filter(isRecord) : [];
  return {
    ...textOf(value, 'status'),
    ...textOf(value, 'message'),
    ...textOf(value, 'reason'),
    details: {
      causes: causes.map((cause) => ({ ...textOf(cause, 'reason'), ...textOf(cause, 'message') })),
    },
  };
}

function exitCodeOf({ details }: KubeStatus): number | undefined {
  const cause = details?.causes?.find(({ reason }) => reason === 'ExitCode');
  return cause?.message !== undefined && /^\d+$/.test(cause.message)
    ? Number(cause.message)
    : undefined;
}

function textOf<Key extends string>(
  record: Record<string, unknown>,
  key: Key,
): Partial<Record<Key, string>> {
  const value = record[key];
  return typeof value === 'string' ? ({ [key]: value } as Record<Key, string>) : {};
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
