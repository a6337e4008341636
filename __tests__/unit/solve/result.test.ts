import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { buildResult, type ResultWarning } from '../../../src/solve/result.ts';

const base64 = (json: unknown): string => Buffer.from(JSON.stringify(json)).toString('base64');
const reference = { builder: 'kbx', node: 'kbx-linux-amd64', ref: 'abc' };
const push = { type: 'image', attrs: { name: 'r:5000/a:1', push: 'true' } } as const;
const response = {
  'containerimage.digest': 'sha256:index',
  'containerimage.config.digest': 'sha256:config',
  'containerimage.descriptor': base64({ mediaType: 'm', size: 7, annotations: { b: '1', a: '2' } }),
  'image.name': 'r:5000/a:1,r:5000/a:2,ghcr.io/b/c',
};

describe('buildResult', () => {
  it('reads digests, images and the metadata file of a push', () => {
    const result = buildResult(response, { reference, exporters: [push] });
    expect(result.digest).toBe('sha256:index');
    expect(result.imageId).toBe('sha256:config');
    expect(result.images).toEqual(['r:5000/a@sha256:index', 'ghcr.io/b/c@sha256:index']);
    expect(result.metadata).toBe(
      [
        '{',
        '  "buildx.build.ref": "kbx/kbx-linux-amd64/abc",',
        '  "containerimage.config.digest": "sha256:config",',
        '  "containerimage.descriptor": {',
        '    "mediaType": "m",',
        '    "size": 7,',
        '    "annotations": {',
        '      "b": "1",',
        '      "a": "2"',
        '    }',
        '  },',
        '  "containerimage.digest": "sha256:index",',
        '  "image.name": "r:5000/a:1,r:5000/a:2,ghcr.io/b/c"',
        '}',
      ].join('\n'),
    );
  });

  it('has nothing but a reference when nothing was exported', () => {
    const result = buildResult({}, { reference, exporters: [] });
    expect(result).toEqual({
      digest: undefined,
      imageId: undefined,
      images: [],
      metadata: '{\n  "buildx.build.ref": "kbx/kbx-linux-amd64/abc"\n}',
    });
  });

  it('takes the digest for the image when there is no single config', () => {
    const { 'containerimage.config.digest': config, ...index } = response;
    expect(config).toBe('sha256:config');
    expect(buildResult(index, { reference, exporters: [push] }).imageId).toBe('sha256:index');
  });

  it('drops the config digest where an exporter prefers the image', () => {
    const exporter = { type: 'image', attrs: { 'prefer-image-digest': 'true' } } as const;
    const result = buildResult(response, { reference, exporters: [exporter] });
    expect(result.imageId).toBe('sha256:index');
    expect(result.metadata).not.toContain('sha256:config');
  });

  it.each([
    { attrs: {}, pushed: false },
    { attrs: { push: 'false' }, pushed: false },
    { attrs: { push: '' }, pushed: true },
    { attrs: { push: '1' }, pushed: true },
  ])('names images only when they were pushed: $attrs', ({ attrs, pushed }) => {
    const result = buildResult(response, { reference, exporters: [{ type: 'image', attrs }] });
    expect(result.images.length > 0).toBe(pushed);
  });

  it.each([
    { name: 'a list of objects', value: base64([{ a: 1 }]), inlined: [{ a: 1 }] },
    { name: 'an empty object', value: base64({}), inlined: undefined },
    { name: 'an empty list', value: base64([]), inlined: undefined },
    { name: 'a list of numbers', value: base64([1]), inlined: undefined },
    { name: 'a string', value: base64('x'), inlined: undefined },
    { name: 'null', value: base64(null), inlined: undefined },
    {
      name: 'base64 without its padding',
      value: base64({ ab: 1 }).replace(/=+$/, ''),
      inlined: undefined,
    },
    { name: 'JSON that is not base64', value: '{"a":1}', inlined: undefined },
  ])('inlines $name as buildx does', ({ value, inlined }) => {
    const { metadata } = buildResult({ key: value }, { reference, exporters: [] });
    expect((JSON.parse(metadata) as { key: unknown }).key).toEqual(inlined ?? value);
  });

  it('takes result.json as it is', () => {
    const { metadata } = buildResult({ 'result.json': '{"a":1}' }, { reference, exporters: [] });
    expect(JSON.parse(metadata)).toMatchObject({ 'result.json': { a: 1 } });
  });

  it('adds warnings in the shape of buildx', () => {
    const warning: ResultWarning = {
      vertex: 'sha256:1',
      level: 1,
      short: 'StageNameCasing: x',
      detail: ['why'],
      url: 'https://example.test/rule',
      source: {
        filename: 'Dockerfile',
        language: 'Dockerfile',
        content: Buffer.from('FROM a AS B'),
        ranges: [{ start: { line: 1, character: 0 }, end: { line: 1, character: 3 } }],
      },
    };
    const bare: ResultWarning = { ...warning, level: 0, detail: [], url: '', source: undefined };
    const { metadata } = buildResult({}, { reference, exporters: [], warnings: [warning, bare] });
    const text = (value: string): string => Buffer.from(value).toString('base64');
    expect(JSON.parse(metadata)).toMatchObject({
      'buildx.build.warnings': [
        {
          vertex: 'sha256:1',
          level: 1,
          short: text('StageNameCasing: x'),
          detail: [text('why')],
          url: 'https://example.test/rule',
          sourceInfo: {
            filename: 'Dockerfile',
            data: text('FROM a AS B'),
            language: 'Dockerfile',
          },
          range: [{ start: { line: 1 }, end: { line: 1, character: 3 } }],
        },
        { vertex: 'sha256:1', short: text('StageNameCasing: x') },
      ],
    });
  });

  it('gives JSON with sorted keys for any answer', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string({ minLength: 1 }), fc.string()), (answer) => {
        const { metadata } = buildResult(answer, { reference, exporters: [push] });
        const parsed = JSON.parse(metadata) as Record<string, unknown>;
        expect(Object.keys(parsed)).toContain('buildx.build.ref');
      }),
    );
  });
});
