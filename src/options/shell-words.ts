/** Thrown when a quote is never closed or a backslash is the last character; carries no text of the input. */
export class OpenQuoteError extends Error {
  override readonly name = 'OpenQuoteError';
}

/** White space, a comment up to the end of its line, or a piece of a word: quoted, escaped, plain. */
const piece = /([ \t\r\n]+)|"((?:[^"\\]|\\[^])*)"|'([^']*)'|\\([^])|([^ \t\r\n"'\\]+)/gy;

/**
 * Splits a text as a POSIX shell splits a simple command, without expanding anything.
 *
 * Follows the rules of google/shlex, with which buildx reads flags: a backslash takes any character
 * as it is, also between double quotes, and `#` at the start of a word opens a comment.
 */
export function splitShellWords(text: string): string[] {
  const words: string[] = [];
  let word: string | undefined;
  let at = 0;
  while (at < text.length) {
    if (word === undefined && text[at] === '#') {
      const end = text.indexOf('\n', at);
      at = end < 0 ? text.length : end;
      continue;
    }
    piece.lastIndex = at;
    const match = piece.exec(text);
    if (match === null) throw new OpenQuoteError('a quote is never closed');
    const [whole, blank, double, single, escaped, plain] = match;
    at += whole.length;
    if (blank === undefined) {
      const quoted = double?.replaceAll(/\\([^])/g, '$1');
      word = (word ?? '') + (quoted ?? single ?? escaped ?? plain ?? '');
    } else if (word !== undefined) {
      words.push(word);
      word = undefined;
    }
  }
  return word === undefined ? words : [...words, word];
}
