/** etcd, the API server, the controllers and the scheduler. */
import { join } from 'node:path';

import { apiGet } from './kubernetes-api.ts';
import { addresses, ports, statePath } from './layout.ts';
import { kubeconfigPath, pkiPath } from './pki.ts';
import { startDaemon, waitForDaemon } from './processes.ts';

const etcdUrl = `http://127.0.0.1:${ports.etcdClient}`;

/** Starts etcd and the API server and returns as soon as the latter is ready. */
export async function startApiServer(libexec: string): Promise<void> {
  startDaemon({ name: 'etcd', command: 'etcd', args: etcdFlags() });
  startDaemon({
    name: 'kube-apiserver',
    command: join(libexec, 'kube-apiserver'),
    args: apiServerFlags(),
  });
  await waitForDaemon('kube-apiserver', 'the API server', () => apiGet('/readyz'));
}

/** Starts the controllers and the scheduler, which find the API server by themselves. */
export function startControllers(libexec: string): void {
  startDaemon({
    name: 'kube-controller-manager',
    command: join(libexec, 'kube-controller-manager'),
    args: [
      `--kubeconfig=${kubeconfigPath('controller-manager')}`,
      `--service-account-private-key-file=${pkiPath('service-accounts.key')}`,
      `--root-ca-file=${pkiPath('ca.crt')}`,
      '--use-service-account-credentials',
      '--leader-elect=false',
      '--bind-address=127.0.0.1',
      `--secure-port=${ports.controllerManager}`,
      // How soon a node counts as ready that was not when the controllers looked first.
      '--node-monitor-period=1s',
      // The default of 20 requests a second makes clean-ups of many objects crawl.
      '--kube-api-qps=200',
      '--kube-api-burst=400',
    ],
  });
  startDaemon({
    name: 'kube-scheduler',
    command: join(libexec, 'kube-scheduler'),
    args: [
      `--kubeconfig=${kubeconfigPath('scheduler')}`,
      '--leader-elect=false',
      '--bind-address=127.0.0.1',
      `--secure-port=${ports.scheduler}`,
      '--kube-api-qps=200',
      '--kube-api-burst=400',
    ],
  });
}

/** Waits until the controllers have made what every pod of the default namespace refers to. */
export async function waitForDefaultNamespace(): Promise<void> {
  for (const path of ['serviceaccounts/default', 'configmaps/kube-root-ca.crt']) {
    await waitForDaemon('kube-controller-manager', path, () =>
      apiGet(`/api/v1/namespaces/default/${path}`),
    );
  }
}

function etcdFlags(): string[] {
  return [
    `--data-dir=${statePath('etcd')}`,
    `--listen-client-urls=${etcdUrl}`,
    `--advertise-client-urls=${etcdUrl}`,
    `--listen-peer-urls=http://127.0.0.1:${ports.etcdPeer}`,
    `--initial-advertise-peer-urls=http://127.0.0.1:${ports.etcdPeer}`,
    `--initial-cluster=default=http://127.0.0.1:${ports.etcdPeer}`,
    // What it stores dies with the cluster anyway, and it elects itself.
    '--unsafe-no-fsync',
    '--heartbeat-interval=50',
    '--election-timeout=250',
    '--log-level=warn',
  ];
}

function apiServerFlags(): string[] {
  return [
    `--etcd-servers=${etcdUrl}`,
    '--bind-address=0.0.0.0',
    `--secure-port=${ports.apiServer}`,
    `--advertise-address=${addresses.host}`,
    // There is one API server and no need to keep a lease for it.
    '--endpoint-reconciler-type=none',
    `--service-cluster-ip-range=${addresses.serviceRange}`,
    `--client-ca-file=${pkiPath('ca.crt')}`,
    `--tls-cert-file=${pkiPath('apiserver.crt')}`,
    `--tls-private-key-file=${pkiPath('apiserver.key')}`,
    `--kubelet-client-certificate=${pkiPath('kubelet-client.crt')}`,
    `--kubelet-client-key=${pkiPath('kubelet-client.key')}`,
    '--kubelet-preferred-address-types=InternalIP',
    '--service-account-issuer=https://kubernetes.default.svc',
    `--service-account-key-file=${pkiPath('service-accounts.pub')}`,
    `--service-account-signing-key-file=${pkiPath('service-accounts.key')}`,
    // For the policy that keeps the nodes' architecture labels, see node-architecture.ts.
    '--feature-gates=MutatingAdmissionPolicy=true',
    '--runtime-config=admissionregistration.k8s.io/v1beta1=true',
    '--authorization-mode=Node,RBAC',
    '--allow-privileged',
  ];
}
