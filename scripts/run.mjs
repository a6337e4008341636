/**
 * Runs a script of the project with the Node version that the action itself runs on.
 *
 * Plain JavaScript for whichever Node is on the machine: it installs the locked dependencies when
 * they are missing or older than the lockfile, then hands over to `node_modules/node`, which runs
 * TypeScript directly.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const stamp = join(root, 'node_modules', '.lockfile-sha256');
const nodeFolder = join(root, 'node_modules', 'node', 'bin');

installDependencies();
const [script, ...rest] = process.argv.slice(2);
const child = spawnSync(join(nodeFolder, 'node'), [script, ...rest], {
  cwd: root,
  stdio: 'inherit',
  env: { ...process.env, PATH: `${nodeFolder}${delimiter}${process.env.PATH ?? ''}` },
});
if (child.error) throw child.error;
process.exitCode = child.status ?? 128 + (constants.signals[child.signal] ?? 0);

function installDependencies() {
  const wanted = createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .digest('hex');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return;
  process.stderr.write('Installing dependencies (npm ci)\n');
  // Standard output belongs to the script: `npm run cluster -- env` is evaluated by shells.
  const npm = spawnSync('npm', ['ci', '--no-audit', '--no-fund'], {
    cwd: root,
    stdio: ['ignore', 2, 2],
  });
  if (npm.error) throw npm.error;
  if (npm.status !== 0) process.exit(npm.status ?? 1);
  writeFileSync(stamp, wanted);
}
