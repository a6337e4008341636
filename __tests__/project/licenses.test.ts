import { expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..', '..');

it('has the licence of every dependency in the bundle', () => {
  const { dependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    dependencies: Record<string, string>;
  };
  const licenses = `\n${readFileSync(join(root, 'dist', 'bundle', 'licenses.txt'), 'utf8')}`;
  const missing = Object.keys(dependencies).filter((name) => !licenses.includes(`\n${name}\n`));
  expect(missing).toEqual([]);
});
