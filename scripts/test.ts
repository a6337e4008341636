/**
 * Runs the tests: first what needs no cluster, then the local cluster itself, then the product on a
 * real cluster.
 *
 * The cluster is the one of `KUBECONFIG` (with `KBA_REGISTRY`), else the local one, started here.
 * Where neither can be had the cluster tests are left out, which `CI=true` turns into a failure.
 * Arguments are handed to jest. The last line is `N passed, N failed[, N skipped]`.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');
const reports = join(root, 'reports');
const jestArgs = process.argv.slice(2);
const total = { passed: 0, failed: 0, skipped: 0 };

rmSync(reports, { recursive: true, force: true });
mkdirSync(reports, { recursive: true });

runJest('without-cluster', ['unit', 'project', 'protocol', 'action']);
const cluster = findCluster();
if (cluster === 'local') runJest('local-cluster', ['local-cluster'], ['--runInBand']);
if (cluster !== 'none') runJest('cluster', ['cluster'], ['--maxWorkers=2']);
else if (process.env.CI === 'true') total.failed += 1;

const skipped = total.skipped > 0 ? `, ${String(total.skipped)} skipped` : '';
console.log(`${String(total.passed)} passed, ${String(total.failed)} failed${skipped}`);
process.exitCode = total.failed > 0 ? 1 : 0;

function findCluster(): 'given' | 'local' | 'none' {
  if (process.env.KUBECONFIG) {
    if (process.env.KBA_REGISTRY) return 'given';
    console.error(
      'KUBECONFIG is set but KBA_REGISTRY is not: set it to the host:port of a registry that this ' +
        'machine and the pods reach. The cluster tests are left out.',
    );
    return 'none';
  }
  const { status } = runNode([join('local-cluster', 'cluster.ts'), 'up']);
  if (status === 0) return 'local';
  console.error('No Kubernetes cluster could be had: the cluster tests are left out.');
  return 'none';
}

function runJest(name: string, projects: readonly string[], options: readonly string[] = []): void {
  const report = join(reports, `${name}.json`);
  const { status } = runNode([
    '--experimental-vm-modules',
    '--disable-warning=ExperimentalWarning',
    join('node_modules', 'jest', 'bin', 'jest.js'),
    '--selectProjects',
    ...projects,
    '--passWithNoTests',
    '--json',
    `--outputFile=${report}`,
    ...options,
    ...jestArgs,
  ]);
  const counted = readReport(report);
  total.passed += counted.numPassedTests;
  total.failed += counted.numFailedTests + counted.numRuntimeErrorTestSuites;
  total.skipped += counted.numPendingTests;
  // A run that ends badly without naming a failed test must not look green.
  if (status !== 0 && counted.numFailedTests + counted.numRuntimeErrorTestSuites === 0) {
    total.failed += 1;
  }
}

interface JestReport {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly numPendingTests: number;
  readonly numRuntimeErrorTestSuites: number;
}

function readReport(path: string): JestReport {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as JestReport;
  } catch {
    return {
      numPassedTests: 0,
      numFailedTests: 0,
      numPendingTests: 0,
      numRuntimeErrorTestSuites: 0,
    };
  }
}

function runNode(args: readonly string[]): { status: number | null } {
  return spawnSync(process.execPath, args, {
    cwd: root,
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env },
  });
}
