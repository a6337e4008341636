import type { RegistryCredentials } from './credential-store.ts';
import { withoutEmpty } from './docker-config.ts';
import { CredentialError } from './errors.ts';

/** The user name by which a helper says that the secret is an OAuth refresh token. */
const identityTokenUser = '<token>';

/**
 * Hands the server to the helper.
 *
 * A shell does it, because a helper that ends without reading breaks the pipe, and the library leaves
 * that error to nobody.
 */
const relay = 'printf %s "$2" | "$1" get';

/** What a shell exits with when there is no such program. */
const notStarted = 127;

/** What helpers print, with a failing exit code, when they know nothing of a server. */
const notFound = 'credentials not found in native keychain';

/**
 * Asks `docker-credential-<helper> get`, found in `PATH`, for the credentials of a server.
 *
 * Throws `CredentialError`: `CREDENTIAL_HELPER_MISSING` when there is no such program,
 * `CREDENTIAL_HELPER_FAILED` when it fails. What the program prints is never shown.
 */
export async function askCredentialHelper(
  helper: string,
  serverKey: string,
): Promise<RegistryCredentials | undefined> {
  const program = `docker-credential-${helper}`;
  const { exitCode, stdout } = await runHelper(program, serverKey);
  if (stdout.trim() === notFound) return undefined;
  if (exitCode !== 0) throw failed(program, serverKey, `exited with code ${exitCode}`);
  const answer = parseAnswer(stdout);
  if (answer === undefined) throw failed(program, serverKey, 'printed no credentials');
  const credentials = withoutEmpty(
    answer.username === identityTokenUser
      ? { identityToken: answer.secret }
      : { username: answer.username, password: answer.secret },
  );
  return Object.keys(credentials).length === 0 ? undefined : credentials;
}

async function runHelper(
  program: string,
  serverKey: string,
): Promise<{ exitCode: number; stdout: string }> {
  // A path or several words would start something else than a helper.
  if (!/^[\w.+-]+$/.test(program)) throw missing(program, serverKey);
  // Loaded here because most runs need no helper.
  const { getExecOutput } = await import('@actions/exec');
  try {
    const output = await getExecOutput('sh', ['-c', relay, 'sh', program, serverKey], {
      silent: true,
      ignoreReturnCode: true,
      env: { ...process.env } as Record<string, string>,
    });
    if (output.exitCode !== notStarted) return output;
  } catch (error) {
    throw missing(program, serverKey, error);
  }
  throw missing(program, serverKey);
}

function parseAnswer(stdout: string): { username: string; secret: string } | undefined {
  try {
    const answer = JSON.parse(stdout) as { Username?: unknown; Secret?: unknown } | null;
    const { Username: username = '', Secret: secret = '' } = answer ?? {};
    return typeof username === 'string' && typeof secret === 'string'
      ? { username, secret }
      : undefined;
  } catch {
    return undefined;
  }
}

function missing(program: string, serverKey: string, cause?: unknown): CredentialError {
  return new CredentialError(
    'CREDENTIAL_HELPER_MISSING',
    `credential helper ${program}, named for ${serverKey} by the Docker config, cannot be started`,
    {
      hint: `put ${program} into PATH on the runner, or give the credentials of this registry in the registry-auth input`,
      cause,
    },
  );
}

function failed(program: string, serverKey: string, what: string): CredentialError {
  return new CredentialError(
    'CREDENTIAL_HELPER_FAILED',
    `credential helper ${program} ${what} when asked for ${serverKey}`,
    {
      hint: `run "echo ${serverKey} | ${program} get" on the runner to see why, or give the credentials of this registry in the registry-auth input`,
    },
  );
}
