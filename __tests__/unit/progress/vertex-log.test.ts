import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { VertexLog } from '../../../src/progress/vertex-log.ts';

const stdout = 1n;
const stderr = 2n;

describe('VertexLog', () => {
  it('prints the same however bytes are cut into messages and prints', () => {
    const text = fc.string({ unit: fc.constantFrom('a', 'ö', '€', '🙂', '\n', '\r', ' ') });
    const cuts = fc.array(fc.nat({ max: 5 }), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(text, cuts, fc.array(fc.boolean(), { minLength: 1 }), (line, sizes, prints) => {
        const bytes = Buffer.from(line);
        const log = new VertexLog();
        let printed = '';
        let step = 0;
        for (let at = 0; at < bytes.length; step += 1) {
          const size = sizes[step % sizes.length]! + 1;
          log.append(stdout, bytes.subarray(at, at + size), '0.5');
          at += size;
          if (prints[step % prints.length]!) printed += log.takeUnprinted(3);
        }
        printed += log.takeUnprinted(3);
        const expected = line.replace(/^(?=[^])/gm, '#3 0.5 ').replaceAll('\r#3 0.5 ', '\r');
        expect(printed).toBe(expected);
      }),
    );
  });

  it('keeps the halves of characters of two streams apart', () => {
    const log = new VertexLog();
    const euro = Buffer.from('€\n');
    log.append(stdout, euro.subarray(0, 1), '0.1');
    log.append(stderr, Buffer.from('oops\n'), '0.2');
    log.append(stdout, euro.subarray(1), '0.3');
    expect(log.takeUnprinted(1)).toBe('#1 0.2 oops\n#1 0.3 €\n');
  });

  it('replaces bytes that are no text, and half a character at the end', () => {
    const log = new VertexLog();
    log.append(stdout, Buffer.from([0x61, 0xff, 0x0a, 0xe2, 0x82]), '0.1');
    expect(log.takeUnprinted(1)).toBe('#1 0.1 a\ufffd\n');
    log.endStreams('0.9');
    expect(log.takeUnprinted(1)).toBe('#1 0.9 \ufffd');
    expect(log.endsInsideLine).toBe(true);
  });

  it('goes on with an unfinished line, or prints it again after a switch', () => {
    const log = new VertexLog();
    log.append(stdout, Buffer.from('first\nhalf'), '0.1');
    expect(log.takeUnprinted(1)).toBe('#1 0.1 first\n#1 0.1 half');
    log.append(stdout, Buffer.from(' a'), '0.2');
    expect(log.takeUnprinted(1)).toBe(' a');
    log.restartLine();
    log.append(stdout, Buffer.from(' line\n'), '0.3');
    expect(log.takeUnprinted(1)).toBe('#1 0.1 half a line\n');
    expect(log.takeUnprinted(1)).toBe('');
  });

  it('knows the last lines, unfinished ones joined, each with the time it began', () => {
    const log = new VertexLog();
    for (let line = 0; line < 50_000; line += 1) {
      log.append(stdout, Buffer.from(`line ${line}\n`), '1.0');
      if (line % 1000 === 0) log.takeUnprinted(1);
    }
    log.append(stdout, Buffer.from('\nlast'), '2.0');
    log.append(stderr, Buffer.from(' words'), '3.0');
    expect(log.lastLines(4)).toEqual([
      '1.0 line 49998',
      '1.0 line 49999',
      '2.0 ',
      '2.0 last words',
    ]);
    expect(log.lastLines(40)).toHaveLength(40);
  });

  it('keeps only the end of a line without end', () => {
    const log = new VertexLog();
    const piece = Buffer.from(`${'x'.repeat(99_999)}\r`);
    for (let count = 0; count < 100; count += 1) {
      log.append(stdout, piece, '1.0');
      expect(log.takeUnprinted(1).endsWith('x\r')).toBe(true);
    }
    log.append(stdout, Buffer.from('end'), '1.0');
    const [line] = log.lastLines(40);
    expect(line!.length).toBeLessThan(300_000);
    expect(line!.endsWith('x\rend')).toBe(true);
    log.restartLine();
    expect(log.takeUnprinted(1).length).toBeLessThan(300_000);
  });
});
