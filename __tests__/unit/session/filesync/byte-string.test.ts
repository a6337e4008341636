import { describe, expect, it } from '@jest/globals';
import {
  fromBytes,
  fromText,
  quoted,
  toBytes,
  toText,
} from '../../../../src/session/filesync/byte-string.ts';

describe('byte strings', () => {
  it('carry any bytes there and back', () => {
    const bytes = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
    expect(toBytes(fromBytes(bytes)).equals(bytes)).toBe(true);
  });

  it('sort by bytes where JavaScript would sort by UTF-16 units', () => {
    const names = ['\u{1f600}', '\uffff', 'a'];
    expect([...names].sort()).toEqual(['a', '\u{1f600}', '\uffff']);
    expect(names.map(fromText).sort().map(toText)).toEqual(['a', '\uffff', '\u{1f600}']);
  });

  // What a range over the same Go string gives.
  it.each([
    ['\xc3\xa9', 'é'],
    ['\xff', '\ufffd'],
    ['a\xe2\x82', 'a\ufffd\ufffd'],
    ['\xe2\x82\xac\xe2\x82', '€\ufffd\ufffd'],
    ['\xc0\xaf', '\ufffd\ufffd'],
    ['\xed\xa0\x80', '\ufffd\ufffd\ufffd'],
    ['\xf4\x90\x80\x80', '\ufffd\ufffd\ufffd\ufffd'],
    ['\xf4\x8f\xbf\xbf', '\u{10ffff}'],
    ['\xe0\x80\x80', '\ufffd\ufffd\ufffd'],
    ['\xef\xbf\xbd\x80', '\ufffd\ufffd'],
    ['\xf0\x9f\x98', '\ufffd\ufffd\ufffd'],
  ])('read %j with one U+FFFD for each byte that is no character', (string, text) => {
    expect(toText(string)).toBe(text);
  });

  it('are shown in messages on one line', () => {
    expect(quoted('a"b\n\xc3\xa9\xff')).toBe('"a\\"b\\né\ufffd"');
  });
});
