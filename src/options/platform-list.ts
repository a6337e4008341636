import { notSupportedYet } from './errors.ts';
import type { Platform } from './options.ts';
import { formatPlatform, parsePlatform } from './platforms.ts';
import type { Problems } from './problems.ts';

/** Platforms of Linux, each once; what is malformed, or more than one, goes to `problems`. */
export function parsePlatformList(
  texts: readonly string[],
  {
    input,
    runner,
    problems,
  }: { readonly input: string; readonly runner: Platform; readonly problems: Problems },
): Platform[] {
  const parsed = problems.guardEach(texts, (text) => {
    const platform = parsePlatform(input, text, runner);
    if (platform.os === 'linux') return platform;
    throw notSupportedYet(`input \`${input}\`: a platform of \`${platform.os}\``);
  });
  const distinct = [...new Map(parsed.map((each) => [formatPlatform(each), each])).values()];
  if (distinct.length > 1) {
    const what = `input \`${input}\`: more than one platform`;
    problems.add(notSupportedYet(what, 'Keep one platform per step.'));
  }
  return distinct;
}
