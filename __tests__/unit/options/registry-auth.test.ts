import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import { parseRegistryAuth, secretsOfRegistryAuth } from '../../../src/options/registry-auth.ts';
import { inputErrorOf, problemsOf, readerOf } from './parse-inputs.ts';

const parse = (text: string) => {
  const reader = readerOf({ 'registry-auth': text });
  const auth = parseRegistryAuth(reader);
  reader.problems.throwIfAny();
  return auth;
};

describe('registry-auth', () => {
  it.each([
    ['', {}],
    [
      'ghcr.io:\n  username: me\n  password: hunter2',
      { 'ghcr.io': { username: 'me', password: 'hunter2' } },
    ],
    ['ghcr.io: {token: hunter2}', { 'ghcr.io': { token: 'hunter2' } }],
    ['localhost:5000: {token: t}', { 'localhost:5000': { token: 't' } }],
    ['"[fd00::1]:5000": {token: t}', { '[fd00::1]:5000': { token: 't' } }],
    ['GHCR.io: {token: t}', { 'ghcr.io': { token: 't' } }],
    ['https://index.docker.io/v1/: {token: t}', { 'docker.io': { token: 't' } }],
    ['r.io: {username: 007, password: 1e3}', { 'r.io': { username: '007', password: '1e3' } }],
    ['r.io: {username: on, password: null}', { 'r.io': { username: 'on', password: 'null' } }],
    [
      'a.io: &me {username: u, password: p}\nb.io: *me',
      { 'a.io': { username: 'u', password: 'p' }, 'b.io': { username: 'u', password: 'p' } },
    ],
  ])('reads %j', (text, expected) => {
    expect(parse(text)).toEqual(expected);
  });

  it('knows its secrets', () => {
    const auth = parse('a.io: {username: me, password: p1}\nb.io: {token: t2}');
    expect(secretsOfRegistryAuth(auth)).toEqual(['p1', 't2']);
  });

  it.each([
    ['hunter2', 'is not a map'],
    ['- registry: ghcr.io\n  password: hunter2', 'is not a map'],
    ['ghcr.io: hunter2', 'element 1 is not a map'],
    ['ghcr.io: [hunter2]', 'element 1 is not a map'],
    ['a.io: {token: t}\nghcr.io:', 'element 2 is not a map'],
    ['ghcr.io: {password: hunter2}', 'must have username and password, or a token'],
    ['ghcr.io: {username: hunter2}', 'must have username and password, or a token'],
    ['ghcr.io: {username: u, token: hunter2}', 'must have username and password, or a token'],
    ['ghcr.io: {username: "", password: hunter2}', 'no text for `username`'],
    ['ghcr.io: {username: u, password: [hunter2]}', 'no text for `password`'],
    ['ghcr.io: {user: u, password: hunter2}', 'has an unknown key'],
    ['ghcr.io: {hunter2: u}', 'has an unknown key'],
    ['https://ghcr.io: {token: hunter2}', 'key that is not a registry'],
    ['hunter2!: {token: t}', 'key that is not a registry'],
    ['ghcr.io: {username: u, password: "hunter2}', 'is not valid YAML (line 1)'],
    ['ghcr.io:\n\thunter2: x', 'is not valid YAML (line 2)'],
    ['a: b: hunter2', 'is not valid YAML'],
    ['? [hunter2]\n: x', 'a key that is not a text'],
    ['ghcr.io: *hunter2', 'has aliases that cannot be resolved'],
    ['ghcr.io: &hunter2 {a: *hunter2}', ''],
    ['%hunter2\n---\nx: y', ''],
    ['ghcr.io: !!hunter2 {token: hunter2}\nx', ''],
  ])('refuses %j without showing a secret', (text, problem) => {
    const found = problemsOf({ 'registry-auth': text }).join('\n');
    expect(found).toContain('input `registry-auth`');
    expect(found).toContain(problem);
    expect(found).not.toContain('hunter2');
  });

  it('survives aliases that multiply', () => {
    const levels = Array.from({ length: 12 }, (_, i) =>
      i === 0
        ? 'l0: &l0 [x, x]'
        : `l${String(i)}: &l${String(i)} [${`*l${String(i - 1)}, `.repeat(9)}]`,
    );
    const error = inputErrorOf(() => parse(levels.join('\n')));
    expect(error.message).toMatch(/aliases|nested|not a map|key/);
  });

  it('shows no part of any malformed text', () => {
    const secret = 'hunter2';
    const noise = fc.string({
      unit: fc.constantFrom(
        ':',
        ' ',
        '\n',
        '{',
        '}',
        '"',
        "'",
        '[',
        ']',
        '-',
        '&',
        '*',
        '!',
        '|',
        '%',
        '\t',
      ),
      maxLength: 6,
    });
    fc.assert(
      fc.property(noise, noise, noise, (a, b, c) => {
        const text = `ghcr.io:${a}${secret}${b}password${c}${secret}`;
        const reader = readerOf({ 'registry-auth': text });
        parseRegistryAuth(reader);
        try {
          reader.problems.throwIfAny();
        } catch (error) {
          const { problems } = inputErrorOf(() => {
            throw error;
          });
          for (const { message, hint, cause } of problems) {
            expect(`${message} ${hint ?? ''} ${String(cause)}`).not.toContain(secret);
          }
        }
      }),
    );
  });
});
