import { describe, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse as parseYaml } from 'yaml';

import { driverOptionNames } from '../../src/options/driver-option-names.ts';
import { remoteOptionNames } from '../../src/options/remote-endpoint.ts';
import type { BuilderOptions } from '../../src/options/options.ts';
import { files, parseOptions, world } from '../unit/options/parse-inputs.ts';

interface Row {
  readonly option: string;
  readonly cells: readonly string[];
}

const page = readFileSync(
  join(import.meta.dirname, '..', '..', 'docs', 'driver-options.md'),
  'utf8',
);
const pods = rowsOf('Of pods');
const remote = rowsOf('Of a remote daemon');

function rowsOf(heading: string): Row[] {
  const section = page.split(/^## /m).find((each) => each.startsWith(`${heading}\n`)) ?? '';
  return [...section.matchAll(/^\| `([^`]+)` +\|(.*)\|$/gm)].map(([, option = '', rest = '']) => ({
    option,
    cells: rest.split('|').map((cell) => cell.trim()),
  }));
}

function exampleOf({ cells }: Row): string {
  const [, example = ''] = /^`([^`]+)`$/.exec(cells[2] ?? '') ?? [];
  return example;
}

const facts = world(
  { readText: () => '-----BEGIN X-----' },
  Object.fromEntries([
    ...Object.entries(files),
    ...['ca', 'client', 'client-key'].map((name) => [`/work/app/certs/${name}.pem`, 'file']),
  ]) as typeof files,
);

/** As it is parsed, in a build that leaves an image. */
function parse(driverOpts: string, more: Readonly<Record<string, string>> = {}): BuilderOptions {
  const raw = { outputs: 'type=image', 'driver-opts': driverOpts, ...more };
  return parseOptions(raw, facts).builder;
}

describe('docs/driver-options.md', () => {
  it('has a row for every option', () => {
    const names = driverOptionNames.map((name) => (name === 'env' ? 'env.NAME' : name));
    expect(pods.map(({ option }) => option)).toEqual(names);
    expect(remote.map(({ option }) => option)).toEqual([...remoteOptionNames].sort());
  });

  it('says of each what it is, its default, an example and where it lands', () => {
    for (const { cells } of pods)
      expect(cells.map((cell) => cell !== '')).toEqual(Array(4).fill(true));
  });

  it.each(pods)('has an example of $option that does something', (row) => {
    const example = exampleOf(row);
    expect(example).toContain(row.option.replace('NAME', ''));
    expect(parse(example).driver).not.toEqual(parse('').driver);
  });

  it.each(remote)('has an example of $option for a remote daemon', (row) => {
    const endpoint = { driver: 'remote', endpoint: 'tcp://a:1' };
    expect(parse(exampleOf(row), endpoint)).not.toEqual(parse('', endpoint));
  });

  it.each(
    pods.flatMap(({ option, cells }) =>
      [...(cells[1] ?? '').matchAll(/^`([^`]+)`(?:$|, or)/g)].map(([, value]) => ({
        option,
        value,
      })),
    ),
  )('has the default $value of $option', ({ option, value }) => {
    const claim = 'persistent-volume-claim.requests.storage=1Gi';
    const beside = {
      'qemu.image': 'qemu.install=true',
      'persistent-volume-claim.access-mode': claim,
    };
    const rest = Object.entries(beside).find(([name]) => name === option)?.[1] ?? '';
    const { timeoutIsExplicit, ...driver } = parse(`${rest}\n${option}=${value ?? ''}`).driver;
    expect(parse(rest).driver).toMatchObject(driver);
    expect(timeoutIsExplicit).toBe(option === 'timeout');
  });

  it.each(
    [...page.matchAll(/```yaml\ndriver-opts: \|\n([^]*?)```/g)].map(([, text = '']) => [text]),
  )('shows forms that are read: %j', (text) => {
    expect(parse(text.replaceAll(/^ {2}/gm, '')).driver).toMatchObject({
      namespace: 'ci',
      nodeSelector: { pool: 'ci', disk: 'ssd' },
      env: { HTTPS_PROXY: 'http://proxy:3128' },
    });
  });
});

describe('docs/inputs.md', () => {
  it('has examples that are read', () => {
    const page = readFileSync(join(import.meta.dirname, '..', '..', 'docs', 'inputs.md'), 'utf8');
    const examples = [...page.matchAll(/```yaml\n([^]*?)```/g)]
      .map(([, text = '']) => parseYaml(text) as Readonly<Record<string, string>>)
      .filter((raw) => 'append' in raw || 'pod-template' in raw || 'driver-opts' in raw);
    expect(examples).toHaveLength(4);
    for (const raw of examples) expect(() => parseOptions(raw)).not.toThrow();
  });
});
