/** Everything that must hold before a change lands, in the order that fails soonest. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');
const steps: readonly (readonly [name: string, ...args: string[]])[] = [
  ['format', 'node_modules/prettier/bin/prettier.cjs', '--check', '.'],
  ['lint', 'node_modules/eslint/bin/eslint.js', '--max-warnings', '0', '.'],
  ['typecheck', 'node_modules/typescript/bin/tsc', '--noEmit', '-p', 'tsconfig.check.json'],
  ['dist', 'scripts/build.ts', '--check'],
  ['test', 'scripts/test.ts'],
];

for (const [name, ...args] of steps) {
  console.log(`\n== ${name}`);
  const startedMs = Date.now();
  const { status, signal } = spawnSync(process.execPath, args, { cwd: root, stdio: 'inherit' });
  if (status !== 0) {
    console.error(`${name} failed (${signal ?? `exit code ${String(status)}`})`);
    process.exit(status ?? 1);
  }
  // The test report's own last line must stay the last one.
  if (name !== 'test') console.log(`${name}: ${((Date.now() - startedMs) / 1000).toFixed(1)} s`);
}
