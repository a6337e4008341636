/**
 * `context` and `file` → the folders to sync.
 *
 * Follows docker/buildx (build/opt.go) for local contexts: `file` is relative to the working
 * directory and may lie outside of the context. The default is ours: the checkout if it has the
 * Dockerfile.
 */
import { basename, dirname, join, resolve } from 'node:path';
import { InputError, notSupportedYet, quote } from './errors.ts';
import type { Problems } from './problems.ts';
import type { World } from './world.ts';

/** Where a build starts from. */
export interface BuildContext {
  readonly contextPath: string;
  readonly dockerfilePath: string;
  /** Which context and why, for the log. */
  readonly reason: string;
}

const nowhere: BuildContext = { contextPath: '', dockerfilePath: '', reason: '' };

/** Finds context and Dockerfile; what is missing goes to `problems`. */
export function findBuildContext(
  { context, file }: { readonly context: string; readonly file: string },
  { world, problems }: { readonly world: World; readonly problems: Problems },
): BuildContext {
  const isDefault = context === '';
  const contextPath = problems.guard(undefined, () =>
    isDefault ? world.workspace : resolveContext(context, world),
  );
  const dockerfilePath = problems.guard(undefined, () => {
    const wanted = dockerfileOf(file, { world, isDefault, contextPath });
    return wanted === undefined ? undefined : existingDockerfile(wanted, { world, isDefault });
  });
  if (contextPath === undefined || dockerfilePath === undefined) return nowhere;
  const reason = isDefault
    ? `Context is the workspace ${contextPath}, because it has ${dockerfilePath}`
    : `Context is ${contextPath}, as the input \`context\` says, with ${dockerfilePath}`;
  return { contextPath, dockerfilePath, reason };
}

function resolveContext(context: string, world: World): string {
  const contextPath = resolve(world.cwd, context);
  const kind = world.pathKind(contextPath);
  if (kind === 'directory') return contextPath;
  if (context === '-') throw notSupportedYet('input `context`: standard input', localOnly);
  if (context.includes('{{')) {
    throw notSupportedYet(`input \`context\`: the template ${quote(context)}`, localOnly);
  }
  if (isRemote(context)) {
    throw notSupportedYet('input `context`: a Git or HTTP context', localOnly);
  }
  const found = kind === 'missing' ? 'does not exist' : kindInWords[kind];
  throw new InputError(
    'CONTEXT_MISSING',
    `input \`context\`: ${quote(context)} is no folder: ${contextPath} ${found}`,
    { hint: 'Check the repository out in an earlier step, or correct `context`.' },
  );
}

const localOnly = 'Check the repository out in an earlier step and set `context` to a folder.';

const kindInWords = {
  file: 'is a file',
  directory: 'is a folder',
  other: 'is neither a file nor a folder',
  missing: 'does not exist',
  unreadable: 'cannot be read',
} as const;

/** URLs and the Git forms that BuildKit recognises without a scheme. */
function isRemote(context: string): boolean {
  return (
    /^[a-z][a-z0-9+.-]*:\/\//i.test(context) ||
    context.startsWith('github.com/') ||
    /^[\w.-]+@[\w.-]+:/.test(context)
  );
}

/** The path that `file` names; undefined when it depends on a context that was refused. */
function dockerfileOf(
  file: string,
  {
    world,
    isDefault,
    contextPath,
  }: { world: World; isDefault: boolean; contextPath: string | undefined },
): string | undefined {
  if (file === '-') throw notSupportedYet('input `file`: a Dockerfile from standard input');
  if (/^https?:\/\//i.test(file)) throw notSupportedYet('input `file`: a Dockerfile from a URL');
  if (file !== '') return resolve(isDefault ? world.workspace : world.cwd, file);
  return contextPath === undefined ? undefined : join(contextPath, 'Dockerfile');
}

/** The Dockerfile, or the lower-case one next to where it should be. */
function existingDockerfile(
  wanted: string,
  { world, isDefault }: { readonly world: World; readonly isDefault: boolean },
): string {
  const lowerCase = join(dirname(wanted), 'dockerfile');
  const candidates = basename(wanted) === 'Dockerfile' ? [wanted, lowerCase] : [wanted];
  const found = candidates.find((path) => world.pathKind(path) === 'file');
  if (found === undefined) throw missingDockerfile(wanted, { world, isDefault });
  if (world.pathKind(`${found}.rego`) === 'file') {
    throw notSupportedYet(`the source policy ${found}.rego`, 'Remove the policy, or rename it.');
  }
  return found;
}

function missingDockerfile(
  wanted: string,
  { world, isDefault }: { readonly world: World; readonly isDefault: boolean },
): InputError {
  const kind = world.pathKind(wanted);
  const git = world.gitContext === undefined ? '' : ` ${world.gitContext}`;
  const instead = isDefault
    ? `; without it the context would be the Git repository${git}, which is not supported yet`
    : '';
  return new InputError(
    'DOCKERFILE_MISSING',
    `no Dockerfile: ${wanted} ${kindInWords[kind]}${instead}`,
    {
      hint: isDefault
        ? 'Check the repository out in an earlier step, or set `context` and `file`.'
        : 'Correct `file`; it is relative to the working directory, not to `context`.',
    },
  );
}
