import { execFileSync } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';

import { Bundle } from '../../src/load.ts';

const index = `exports.fail = () => { throw new Error('here'); };
exports.twice = (text) => require('./1.index.js').join(text, text);
exports.where = () => [__dirname, __filename];`;

describe('Bundle', () => {
  let temp: string;
  let folder: string;
  let keptIn: string;

  beforeEach(() => {
    temp = mkdtempSync(join(tmpdir(), 'bundle-'));
    folder = join(temp, 'bundle');
    keptIn = join(temp, 'kept', 'id');
    mkdirSync(folder);
    writeFileSync(join(folder, 'index.js'), index);
    writeFileSync(
      join(folder, '1.index.js'),
      `"use strict"; module.exports = require('node:path').posix;`,
    );
  });

  afterEach(() => {
    rmSync(temp, { recursive: true, force: true });
  });

  interface Index {
    twice(text: string): string;
    where(): string[];
    fail(): never;
  }

  const load = (bundle: Bundle): Index => bundle.require('./index.js') as Index;
  const kept = (): Record<string, number> =>
    Object.fromEntries(
      readdirSync(keptIn).map((name) => [name, statSync(join(keptIn, name)).ino] as const),
    );
  /** In a process of its own, since V8 also remembers what this one has compiled. */
  const runAndKeep = (): void => {
    const load = join(import.meta.dirname, '..', '..', 'src', 'load.ts');
    const script = `
      const { Bundle } = await import(${JSON.stringify(load)});
      const bundle = new Bundle(${JSON.stringify(folder)}, ${JSON.stringify(keptIn)});
      console.log(bundle.require('./index.js').twice('a'));
      bundle.keep();`;
    const args = ['--input-type=module', '--eval', script];
    expect(execFileSync(process.execPath, args, { encoding: 'utf8' })).toBe('a/a\n');
  };

  it('runs files, each once, when they are asked for', () => {
    const bundle = new Bundle(folder, undefined);
    expect(load(bundle).twice('a')).toBe('a/a');
    expect(load(bundle)).toBe(load(bundle));
    expect(load(bundle).where()).toEqual([folder, join(folder, 'index.js')]);
    bundle.keep();
    expect(readdirSync(temp)).toEqual(['bundle']);
  });

  it('keeps the compiled code of what has run, and uses it the next time', () => {
    runAndKeep();
    const first = kept();
    expect(Object.keys(first)).toEqual(['1.index.js', 'index.js']);
    runAndKeep();
    expect(kept()).toEqual(first);
  });

  it('adds what is first run later', () => {
    const bundle = new Bundle(folder, keptIn);
    load(bundle);
    bundle.keep();
    const { 'index.js': first } = kept();
    runAndKeep();
    expect(kept()).toEqual({ 'index.js': first, '1.index.js': expect.any(Number) });
  });

  it('compiles anew what V8 refuses', () => {
    runAndKeep();
    const { 'index.js': first } = kept();
    writeFileSync(join(folder, 'index.js'), `${index}\n// longer`);
    writeFileSync(join(keptIn, '1.index.js'), 'not compiled code');
    runAndKeep();
    expect(kept()['index.js']).not.toBe(first);
    expect(readFileSync(join(keptIn, '1.index.js'), 'latin1')).not.toBe('not compiled code');
  });

  it('goes without where nothing can be kept', () => {
    writeFileSync(join(temp, 'kept'), 'a file');
    expect(runAndKeep).not.toThrow();
  });

  it('names file, line and column of a failure', () => {
    const failing = load(new Bundle(folder, undefined));
    const at = `${join(folder, 'index.js')}:1:30`;
    expect(() => failing.fail()).toThrow(
      expect.objectContaining({ stack: expect.stringContaining(at) }),
    );
  });
});
