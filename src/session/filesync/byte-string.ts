/**
 * Bytes as a string with one character, U+0000 to U+00FF, for each byte.
 *
 * Paths are held this way because file names need not be UTF-8, and because comparing and sorting
 * such strings compares bytes, as the protocol wants, where other strings compare UTF-16 units.
 */
export type ByteString = string;

/** The bytes themselves, for the file system and the wire. */
export function toBytes(string: ByteString): Buffer {
  return Buffer.from(string, 'latin1');
}

export function fromBytes(bytes: Buffer): ByteString {
  return bytes.toString('latin1');
}

/** The UTF-8 bytes of ordinary text. */
export function fromText(text: string): ByteString {
  return fromBytes(Buffer.from(text, 'utf8'));
}

const notAscii = /[\x80-\xff]/;

const characterOrByte = new RegExp(
  [
    '[\\xc2-\\xdf][\\x80-\\xbf]',
    '\\xe0[\\xa0-\\xbf][\\x80-\\xbf]',
    '\\xed[\\x80-\\x9f][\\x80-\\xbf]',
    '[\\xe1-\\xef][\\x80-\\xbf]{2}',
    '\\xf0[\\x90-\\xbf][\\x80-\\xbf]{2}',
    '[\\xf1-\\xf3][\\x80-\\xbf]{3}',
    '\\xf4[\\x80-\\x8f][\\x80-\\xbf]{2}',
    '[\\x80-\\xff]',
  ].join('|'),
  'g',
);

/**
 * The text that UTF-8 bytes stand for; every byte that is part of no character becomes one U+FFFD.
 *
 * This is how Go reads a string. `Buffer` would make one U+FFFD of several such bytes.
 */
export function toText(string: ByteString): string {
  if (!notAscii.test(string)) return string;
  const text = toBytes(string).toString('utf8');
  if (!text.includes('\ufffd')) return text;
  return string.replace(characterOrByte, (bytes) =>
    bytes.length === 1 ? '\ufffd' : toBytes(bytes).toString('utf8'),
  );
}

/** In double quotes, for messages. */
export function quoted(string: ByteString): string {
  return JSON.stringify(toText(string));
}
