import { describe, expect, it } from '@jest/globals';

import {
  describeReferenceProblem,
  parseImageReference,
} from '../../../src/options/image-reference.ts';

const sha256 = `sha256:${'a'.repeat(64)}`;

describe('parseImageReference', () => {
  it.each([
    ['alpine', 'docker.io/library/alpine', undefined, undefined],
    ['alpine:3', 'docker.io/library/alpine', '3', undefined],
    ['acme/app', 'docker.io/acme/app', undefined, undefined],
    ['docker.io/alpine', 'docker.io/library/alpine', undefined, undefined],
    ['ghcr.io/acme/app:1.2', 'ghcr.io/acme/app', '1.2', undefined],
    ['localhost/app', 'localhost/app', undefined, undefined],
    ['localhost:5000/app:x', 'localhost:5000/app', 'x', undefined],
    ['10.0.0.1:5000/a/b/c', '10.0.0.1:5000/a/b/c', undefined, undefined],
    ['[fd00::1]:5000/app', '[fd00::1]:5000/app', undefined, undefined],
    ['Registry/app', 'Registry/app', undefined, undefined],
    ['foo.com:80', 'docker.io/library/foo.com', '80', undefined],
    ['a__b/c-----d/e.f_g', 'docker.io/a__b/c-----d/e.f_g', undefined, undefined],
    [`app@${sha256}`, 'docker.io/library/app', undefined, sha256],
    [`r.io/app:v1@${sha256}`, 'r.io/app', 'v1', sha256],
    [`app:${'t'.repeat(128)}`, 'docker.io/library/app', 't'.repeat(128), undefined],
  ])('reads %s', (text, repository, tag, digest) => {
    expect(parseImageReference(text)).toEqual({ repository, tag, digest });
  });

  it.each([
    '',
    'not a reference!',
    'UPPER//case',
    'App',
    'ghcr.io/Acme/app',
    'app:',
    'app@',
    ':tag',
    'app:-x',
    'a//b',
    '/app',
    'app/',
    'a___b',
    'a..b',
    '-app',
    'app-',
    'https://ghcr.io/acme/app',
    'app:tag:tag',
    'app@sha256:abc',
    `app@sha256:${'A'.repeat(64)}`,
    `app@md5:${'a'.repeat(32)}`,
    `app:${'t'.repeat(129)}`,
    'a'.repeat(64),
    `r.io/${'a'.repeat(256)}`,
    'app\n',
    'ghcr.io/acme/app:ünïcode',
  ])('refuses %j', (text) => {
    expect(parseImageReference(text)).toBeUndefined();
  });

  it('takes a path of 255 letters after the registry', () => {
    expect(parseImageReference(`r.io/${'a'.repeat(255)}`)).toBeDefined();
  });

  it('tells upper case from other mistakes', () => {
    expect(describeReferenceProblem('ghcr.io/Acme/app')).toContain('upper-case');
    expect(describeReferenceProblem('UPPER//case')).toBe('is not an image reference');
  });
});
