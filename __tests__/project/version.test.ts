import { expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { version } from '../../src/version.ts';

it('is one version in all places', () => {
  const manifest = join(import.meta.dirname, '..', '..', 'package.json');
  expect(JSON.parse(readFileSync(manifest, 'utf8'))).toMatchObject({ version });
});
