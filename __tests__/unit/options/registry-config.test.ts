import { describe, expect, it } from '@jest/globals';

import {
  parseRegistryConfig,
  secretsOfRegistryConfig,
} from '../../../src/options/registry-config.ts';
import { files, problemsOf, readerOf, world } from './parse-inputs.ts';

const facts = world({}, { ...files, '/work/app/certs/ca.pem': 'file', '/etc/key.pem': 'file' });
const parse = (text: string) => {
  const reader = readerOf({ 'registry-config': text });
  const config = parseRegistryConfig(reader, facts);
  reader.problems.throwIfAny();
  return config;
};
const nothing = {
  mirrors: [],
  http: false,
  insecure: false,
  ca: undefined,
  cert: undefined,
  key: undefined,
};
const pem = '-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----\n';
const indented = pem.replaceAll('\n', '\n    ');

describe('registry-config', () => {
  it.each([
    ['', {}],
    ['docker.io: {}', { 'docker.io': nothing }],
    ['localhost:5000: {http: true}', { 'localhost:5000': { ...nothing, http: true } }],
    [
      'docker.io:\n  mirrors: [mirror.gcr.io, "proxy:5000/docker.io"]\n  insecure: True',
      {
        'docker.io': {
          ...nothing,
          mirrors: ['mirror.gcr.io', 'proxy:5000/docker.io'],
          insecure: true,
        },
      },
    ],
    [
      'docker.io: {mirrors: "a.io, b.io"}',
      { 'docker.io': { ...nothing, mirrors: ['a.io', 'b.io'] } },
    ],
    ['r.io: {ca: certs/ca.pem}', { 'r.io': { ...nothing, ca: '/work/app/certs/ca.pem' } }],
    [
      'r.io: {cert: ./certs/ca.pem, key: /etc/key.pem}',
      { 'r.io': { ...nothing, cert: '/work/app/certs/ca.pem', key: '/etc/key.pem' } },
    ],
  ])('reads %j', (text, expected) => {
    expect(parse(text)).toEqual(expected);
  });

  it('keeps PEM text and knows the keys among it as secrets', () => {
    const config = parse(`r.io:\n  cert: certs/ca.pem\n  key: |\n    ${indented}`);
    expect(config['r.io']?.key).toBe(pem);
    expect(secretsOfRegistryConfig(config)).toEqual([pem]);
    expect(secretsOfRegistryConfig(parse('r.io: {cert: certs/ca.pem, key: /etc/key.pem}'))).toEqual(
      [],
    );
  });

  it.each([
    ['r.io: x', /`r.io` is not a map/],
    ['r.io: {mirror: [a]}', /unknown key `mirror`.*Did you mean `mirrors`\?/],
    ['r.io: {http: yes}', /`http` that is not true or false/],
    ['r.io: {insecure: [true]}', /`insecure` that is not true or false/],
    ['r.io: {mirrors: {a: b}}', /`mirrors` that are not a list/],
    ['r.io: {mirrors: ["https://a.io"]}', /a mirror that is not host/],
    ['r.io: {mirrors: ["a.io/"]}', /a mirror that is not host/],
    ['r.io: {mirrors: [[a]]}', /a mirror that is not host/],
    ['r.io: {ca: nowhere.pem}', /a `ca` that is neither PEM text nor the path of a file/],
    ['r.io: {ca: {a: b}}', /a `ca` that is not a text/],
    ['r.io: {cert: certs/ca.pem}', /needs `cert` and `key` together/],
    ['http://r.io: {}', /`http:\/\/r.io` is not a registry/],
    ['r.io:\n  key: hunter2 hunter2', /neither PEM text nor the path/],
    ['r.io: [', /not valid YAML/],
  ])('refuses %j', (text, message) => {
    const found = problemsOf({ 'registry-config': text }, facts).join('\n');
    expect(found).toContain('input `registry-config`');
    expect(found).toMatch(message);
    expect(found).not.toContain('hunter2');
  });

  it('reports each host that is wrong', () => {
    expect(problemsOf({ 'registry-config': 'a.io: x\nb.io: {http: no}\nc.io: {}' })).toHaveLength(
      2,
    );
  });
});
