import { execFile, type ExecFileException } from 'node:child_process';
import { KubernetesError } from './errors.ts';
import type { ExecEntry } from './kube-config-parse.ts';

/** What a credential plugin or provider gives. */
export interface Credentials {
  readonly authorization?: string;
  readonly cert?: string | Buffer;
  readonly key?: string | Buffer;
}

export interface CredentialPluginOptions {
  readonly exec: ExecEntry;
  /** Of the kubeconfig; named in errors. */
  readonly context: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** A plugin that hangs must not hang the job. */
  readonly timeoutMs: number;
  /** Credentials that expire within this are asked for anew. */
  readonly marginMs: number;
  /** `spec.cluster` of what the plugin is told. */
  readonly describeCluster: () => Promise<object>;
}

const group = 'client.authentication.k8s.io';
const largestOutputBytes = 1024 * 1024;

/**
 * Runs the credential plugin of a kubeconfig and keeps what it says until that expires.
 *
 * Follows `client.authentication.k8s.io`, v1 and v1beta1. The plugin is never interactive: its stdin
 * is closed. Throws `KUBE_CREDENTIALS_FAILED`, with the end of the plugin's stderr and nothing of
 * its stdout, or the signal's reason.
 */
export class CredentialPlugin {
  readonly #options: CredentialPluginOptions;
  readonly #apiVersion: string;
  #kept: { readonly credentials: Credentials; readonly expiresAtMs: number } | undefined;

  /** Throws `KUBE_CREDENTIALS_FAILED` for another version. */
  constructor(options: CredentialPluginOptions) {
    this.#options = options;
    this.#apiVersion = options.exec.apiVersion ?? `${group}/v1beta1`;
    if (![`${group}/v1`, `${group}/v1beta1`].includes(this.#apiVersion)) {
      throw this.#failure(`its apiVersion "${this.#apiVersion}" is not supported`, {
        hint: `Renew the kubeconfig with a current version of the tool that wrote it; supported are ${group}/v1 and v1beta1.`,
      });
    }
  }

  async credentials(
    signal: AbortSignal,
    { renew }: { readonly renew: boolean },
  ): Promise<Credentials> {
    const freshUntilMs = (this.#kept?.expiresAtMs ?? 0) - this.#options.marginMs;
    if (!renew && this.#kept !== undefined && Date.now() < freshUntilMs) {
      return this.#kept.credentials;
    }
    this.#kept = this.#parse(await this.#run(signal));
    return this.#kept.credentials;
  }

  async #run(signal: AbortSignal): Promise<string> {
    const { exec, timeoutMs } = this.#options;
    const env = {
      ...this.#options.env,
      ...Object.fromEntries(exec.env.map(({ name, value }) => [name, value])),
      KUBERNETES_EXEC_INFO: JSON.stringify(await this.#info()),
    };
    signal.throwIfAborted();
    const timeout = AbortSignal.timeout(timeoutMs);
    return new Promise((resolve, reject) => {
      const child = execFile(
        exec.command,
        exec.args,
        {
          env,
          signal: AbortSignal.any([signal, timeout]),
          killSignal: 'SIGKILL',
          maxBuffer: largestOutputBytes,
          windowsHide: true,
        },
        (failure, stdout, stderr) => {
          if (failure === null) resolve(stdout);
          else if (signal.aborted) reject(signal.reason as Error);
          else if (timeout.aborted) {
            reject(this.#failure(`no answer within ${timeoutMs / 1000} s${saying(stderr)}`));
          } else reject(this.#ended(failure, stderr));
        },
      );
      // Whoever asks for a password gets an end, as there is nobody to answer.
      child.stdin?.on('error', () => undefined).end();
    });
  }

  async #info(): Promise<object> {
    const { exec, describeCluster } = this.#options;
    return {
      kind: 'ExecCredential',
      apiVersion: this.#apiVersion,
      spec: {
        interactive: false,
        ...(exec.provideClusterInfo ? { cluster: await describeCluster() } : {}),
      },
    };
  }

  #parse(stdout: string): {
    readonly credentials: Credentials;
    readonly expiresAtMs: number;
  } {
    const answer = parseFields(stdout);
    if (answer === undefined) throw this.#failure('it printed no JSON');
    const apiVersion = text(answer.apiVersion);
    if (apiVersion !== undefined && apiVersion !== this.#apiVersion) {
      throw this.#failure(`it answered in another version than ${this.#apiVersion}`);
    }
    const status = fieldsOf(answer.status) ?? {};
    const token = text(status.token);
    const cert = text(status.clientCertificateData);
    const key = text(status.clientKeyData);
    if ((cert === undefined) !== (key === undefined)) {
      throw this.#failure('it printed a client certificate without its key, or a key alone');
    }
    if (token === undefined && cert === undefined) throw this.#failure('it printed no credentials');
    const expiresAtMs = Date.parse(text(status.expirationTimestamp) ?? '');
    return {
      credentials: {
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        ...(cert === undefined || key === undefined ? {} : { cert, key }),
      },
      expiresAtMs: Number.isNaN(expiresAtMs) ? Infinity : expiresAtMs,
    };
  }

  #ended(failure: ExecFileException, stderr: string): KubernetesError {
    const { code, signal } = failure;
    if (code === 'ENOENT') {
      const hint = this.#options.exec.installHint?.trim();
      return this.#failure('it is not on this machine', hint === undefined ? {} : { hint });
    }
    if (typeof code === 'string') return this.#failure(`it cannot be run (${code})`);
    const how =
      typeof code === 'number' ? `it ended with exit code ${code}` : `it was ended by ${signal}`;
    return this.#failure(`${how}${saying(stderr)}`);
  }

  /** Never carries a cause: what the plugin printed may hold the very token. */
  #failure(why: string, { hint }: { readonly hint?: string } = {}): KubernetesError {
    const { exec, context } = this.#options;
    return new KubernetesError(
      'KUBE_CREDENTIALS_FAILED',
      `the credential plugin "${exec.command}" of context "${context}" failed: ${why}`,
      {
        hint: hint ?? 'Run the plugin by hand on the runner, or use a kubeconfig with a token.',
      },
    );
  }
}

/** The end of standard error. */
function saying(stderr: string): string {
  const lines = stderr.split('\n').map((line) => line.trim());
  const end = lines.filter((line) => line !== '').slice(-5);
  return end.length === 0 ? ', saying nothing' : `: ${withoutSecrets(end.join(' / ')).slice(-500)}`;
}

/** Replaces whatever is long enough to be a secret. */
export function withoutSecrets(words: string): string {
  return words.replace(/[\w+/=.-]{24,}/g, '…');
}

type Fields = Readonly<Record<string, unknown>>;

function parseFields(json: string): Fields | undefined {
  try {
    return fieldsOf(JSON.parse(json));
  } catch {
    return undefined;
  }
}

function fieldsOf(value: unknown): Fields | undefined {
  return typeof value === 'object' && value !== null ? (value as Fields) : undefined;
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}
