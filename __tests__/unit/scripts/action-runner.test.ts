import { expect, it } from '@jest/globals';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Step } from '../../../scripts/action-runner.ts';

it('tells whoever waits for a line that the step could not be started', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'step-'));
  try {
    const step = new Step({
      action: '.',
      folder,
      workspace: join(folder, 'missing'),
      inputs: {},
      env: () => ({}),
      onExported: () => undefined,
    });
    await expect(step.main().logged('anything')).rejects.toThrow('ENOENT');
  } finally {
    rmSync(folder, { recursive: true });
  }
});
