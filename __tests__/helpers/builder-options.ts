import { randomUUID } from 'node:crypto';
import { homedir } from 'node:os';

import type { JobIdentity } from '../../src/kubernetes/driver.ts';
import { createKubeClient } from '../../src/kubernetes/kube-http-client.ts';
import type { KubeClient } from '../../src/kubernetes/kube-client.ts';
import { loadKubeConfig } from '../../src/kubernetes/kube-config.ts';
import type { BuilderOptions, KubernetesDriverOptions } from '../../src/options/options.ts';
import { parseOptions } from '../unit/options/parse-inputs.ts';

/** Options of a builder as the parser gives them for no input at all, with changes. */
export function builderOptions(
  changes: Omit<Partial<BuilderOptions>, 'driver'> & {
    readonly driver?: Partial<KubernetesDriverOptions>;
  } = {},
): BuilderOptions {
  const { builder } = parseOptions({});
  return { ...builder, ...changes, driver: { ...builder.driver, ...changes.driver } };
}

/** A client for a kubeconfig given by path or text. */
export async function clientFrom(kubeconfig: string): Promise<KubeClient> {
  const from = { kubeconfig, kubeContext: undefined, env: {}, homeFolder: homedir() };
  return createKubeClient(await loadKubeConfig(from), {});
}

/** The first step of a job that no other test shares, with changes. */
export function testJob(changes: Partial<JobIdentity> = {}): JobIdentity {
  return {
    jobId: randomUUID().slice(0, 8),
    isLaterStep: false,
    lastPod: undefined,
    repository: 'acme/app',
    sha: 'abc',
    runId: '1',
    runUrl: '',
    runAttempt: '1',
    version: 'test',
    ...changes,
  };
}
