import { describe, expect, it } from '@jest/globals';

import { parseExporters } from '../../../src/options/exporters.ts';
import type { RawInputs } from '../../../src/options/world.ts';
import { problemsOf, readerOf } from './parse-inputs.ts';

function parse(raw: RawInputs): ReturnType<typeof parseExporters> {
  const reader = readerOf(raw);
  const parsed = parseExporters(reader);
  reader.problems.throwIfAny();
  return parsed;
}

const attrsOf = (raw: RawInputs): unknown => parse(raw).exporters.map(({ attrs }) => attrs);

describe('outputs, push and tags', () => {
  it.each<[string, RawInputs, readonly unknown[]]>([
    ['nothing', {}, []],
    ['tags alone', { tags: 'app' }, []],
    [
      'push with tags',
      { push: 'true', tags: 'ghcr.io/acme/app:1, ghcr.io/acme/app\ndocker.io/acme/app:1' },
      [
        {
          name: 'ghcr.io/acme/app:1,ghcr.io/acme/app,docker.io/acme/app:1',
          push: 'true',
          unpack: 'false',
        },
      ],
    ],
    ['image without push', { outputs: 'type=image', tags: 'app' }, [{ name: 'app' }]],
    [
      'push onto an image output',
      { outputs: 'type=image,compression=zstd', push: 'true', tags: 'app' },
      [{ compression: 'zstd', name: 'app', push: 'true', unpack: 'false' }],
    ],
    [
      'push that keeps a chosen unpack',
      { outputs: 'type=image,unpack=true,push=false', push: 'True', tags: 'app' },
      [{ name: 'app', push: 'true', unpack: 'true' }],
    ],
    [
      'registry',
      { outputs: 'type=registry', tags: 'app' },
      [{ name: 'app', push: 'true', unpack: 'false' }],
    ],
    [
      'registry that was told not to push',
      { outputs: 'type=registry,push=false,unpack=true', tags: 'app' },
      [{ name: 'app', push: 'true', unpack: 'true' }],
    ],
    ['tags over a name', { outputs: 'type=image,name=other', tags: 'app' }, [{ name: 'app' }]],
    [
      'several names in quotes',
      { outputs: 'type=image,"name=r.io/a,r.io/b:1",push=true' },
      [{ name: 'r.io/a,r.io/b:1', push: 'true' }],
    ],
    [
      'keys with blanks and in upper case, values as they are',
      { outputs: 'type=image, Name=r.io/a,annotation.A.b= x=y ' },
      [{ name: 'r.io/a', 'annotation.a.b': ' x=y' }],
    ],
    [
      'digests for a later merge',
      { outputs: 'type=image,name=r.io/a,push-by-digest=true,name-canonical=true,push=true' },
      [{ name: 'r.io/a', 'push-by-digest': 'true', 'name-canonical': 'true', push: 'true' }],
    ],
    ['cacheonly', { outputs: 'type=cacheonly' }, []],
    [
      'cacheonly and push',
      { outputs: 'type=cacheonly', push: 'true', tags: 'app' },
      [{ name: 'app', push: 'true', unpack: 'false' }],
    ],
  ])('reads %s', (_, raw, expected) => {
    expect(attrsOf(raw)).toEqual(expected);
  });

  it('keeps blanks inside a value', () => {
    expect(attrsOf({ outputs: 'type=image,annotation.a=one two' })).toEqual([
      { 'annotation.a': 'one two' },
    ]);
  });

  it('warns when nothing leaves the builder', () => {
    expect(parse({}).warnings).toEqual([expect.stringMatching(/stays in the build cache\. Set/)]);
    expect(parse({ tags: 'app' }).warnings).toEqual([
      expect.stringContaining('`tags` name nothing'),
    ]);
    expect(parse({ outputs: 'type=cacheonly' }).warnings).toEqual([]);
    expect(parse({ push: 'true', tags: 'app' }).warnings).toEqual([]);
  });

  it('warns of attributes that BuildKit does not know', () => {
    expect(parse({ outputs: 'type=image,name=a,psuh=true' }).warnings).toEqual([
      expect.stringMatching(/unknown attribute `psuh`\. Did you mean `push`\?/),
    ]);
  });

  it.each<[string, RawInputs, RegExp]>([
    ['no tag', { push: 'true' }, /tag is needed when pushing to registry/],
    ['no tag for registry', { outputs: 'type=registry' }, /tag is needed when pushing to registry/],
    ['no tag, push empty', { outputs: 'type=image,push=' }, /tag is needed/],
    ['a bad tag', { push: 'true', tags: 'not a reference!' }, /`tags`: `not a reference!`/],
    ['a bad tag without push', { tags: 'App' }, /upper-case/],
    ['a bad name', { outputs: 'type=image,name=A/b/' }, /`outputs`: `A\/b\/` is not an image/],
    ['a missing type', { outputs: 'name=a' }, /has no type/],
    ['an unknown type', { outputs: 'type=imge' }, /unknown type `imge`/],
    ['dest of an image', { outputs: 'type=image,dest=x.tar' }, /has `dest`/],
    ['no pair', { outputs: 'type=image,push' }, /`push` is not an attribute/],
    ['a bare quote', { outputs: 'type=image,name="a,b"' }, /misplaced quote/],
    ['a bad boolean', { outputs: 'type=image,push=yes' }, /`push=yes`.*true or false/],
    ['an empty boolean', { outputs: 'type=image,oci-mediatypes=' }, /`oci-mediatypes=`/],
    ['a bad compression', { outputs: 'type=image,compression=lz4' }, /uncompressed, gzip/],
    ['a bad level', { outputs: 'type=image,compression-level=high' }, /whole number/],
    ['a bad annotation', { outputs: 'type=image,annotation-layer.a=b' }, /not an annotation/],
    [
      'docker types with zstd',
      { outputs: 'type=image,compression=zstd,oci-mediatypes=false' },
      /CONTRADICTION.*`compression=zstd` contradicts `oci-mediatypes=false`/,
    ],
    [
      'rewriting and unpacking',
      { outputs: 'type=image,rewrite-timestamp=true,unpack=true' },
      /CONTRADICTION/,
    ],
    [
      'a tag with push-by-digest',
      { outputs: 'type=image,push-by-digest=true,push=true', tags: 'r.io/a:1' },
      /CONTRADICTION.*`push-by-digest=true` contradicts the tag in `r.io\/a:1`/,
    ],
    ['a folder', { outputs: './out' }, /UNSUPPORTED.*`.\/out`.*not supported yet/],
    ['local', { outputs: 'type=local,dest=out' }, /UNSUPPORTED.*`type=local`/],
    ['docker', { outputs: 'type=docker' }, /UNSUPPORTED.*`type=docker`/],
    ['two outputs', { outputs: 'type=image\ntype=image' }, /more than one of `outputs` is not/],
  ])('refuses %s', (_, raw, message) => {
    expect(problemsOf(raw).join('\n')).toMatch(message);
  });

  it('tells one cause once', () => {
    expect(problemsOf({ push: 'true', tags: 'not a reference!' })).toHaveLength(1);
    expect(problemsOf({ push: 'true', outputs: 'type=imge' })).toHaveLength(1);
  });
});
