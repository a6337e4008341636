/** Keys, certificates and kubeconfigs of the cluster, made anew whenever it starts from nothing. */
import { generateKeyPairSync } from 'node:crypto';
import { chown, mkdir, readFile, writeFile } from 'node:fs/promises';

import { run } from './command.ts';
import { addresses, clusterNodes, ports, statePath } from './layout.ts';

/** Path of a file of the key folder: `ca.crt`, `admin.key` or the like. */
export function pkiPath(file: string): string {
  return statePath('pki', file);
}

/** Path of the kubeconfig of an identity. */
export function kubeconfigPath(identity: string): string {
  return statePath('pki', `${identity}.kubeconfig`);
}

/** Everyone who logs in with a client certificate, as the certificate names them. */
const clients: readonly { identity: string; subject: string; kubeconfig: boolean }[] = [
  { identity: 'admin', subject: '/O=system:masters/CN=admin', kubeconfig: true },
  {
    identity: 'controller-manager',
    subject: '/CN=system:kube-controller-manager',
    kubeconfig: true,
  },
  { identity: 'scheduler', subject: '/CN=system:kube-scheduler', kubeconfig: true },
  { identity: 'kubelet-client', subject: '/O=system:masters/CN=apiserver', kubeconfig: false },
  ...clusterNodes().map((node) => ({
    identity: node.name,
    subject: `/O=system:nodes/CN=system:node:${node.name}`,
    kubeconfig: true,
  })),
];

/** Makes all keys and certificates. */
export async function makePki(): Promise<void> {
  await mkdir(statePath('pki'), { recursive: true, mode: 0o711 });
  await writeFile(pkiPath('openssl.cnf'), opensslConfig());
  await makeServiceAccountKeys();
  await makeCertificate('ca', '/CN=kube-buildx-cluster', 'authority');
  await Promise.all([
    makeCertificate('apiserver', '/CN=kube-apiserver', 'server'),
    ...clients.map(({ identity, subject }) => makeCertificate(identity, subject, 'client')),
  ]);
  await Promise.all(
    clients.filter((client) => client.kubeconfig).map(({ identity }) => makeKubeconfig(identity)),
  );
}

/** Lets the person who called sudo read the administrator's credentials. */
export async function grantAdminTo(user: number): Promise<void> {
  for (const file of ['admin.key', 'admin.kubeconfig']) await chown(pkiPath(file), user, -1);
}

function opensslConfig(): string {
  const names = [
    'IP:127.0.0.1',
    `IP:${addresses.host}`,
    `IP:${addresses.hostOnLink}`,
    `IP:${addresses.kubernetesService}`,
    'DNS:localhost',
    'DNS:kubernetes',
    'DNS:kubernetes.default',
    'DNS:kubernetes.default.svc',
    'DNS:kubernetes.default.svc.cluster.local',
  ];
  return [
    '[req]',
    'distinguished_name = dn',
    '[dn]',
    '[authority]',
    'basicConstraints = critical, CA:TRUE',
    'keyUsage = critical, keyCertSign, cRLSign, digitalSignature',
    'subjectKeyIdentifier = hash',
    '[server]',
    'basicConstraints = critical, CA:FALSE',
    'extendedKeyUsage = serverAuth',
    `subjectAltName = ${names.join(', ')}`,
    '[client]',
    'basicConstraints = critical, CA:FALSE',
    'extendedKeyUsage = clientAuth',
    '',
  ].join('\n');
}

async function makeCertificate(
  name: string,
  subject: string,
  section: 'authority' | 'server' | 'client',
): Promise<void> {
  const issuer =
    section === 'authority' ? [] : ['-CA', pkiPath('ca.crt'), '-CAkey', pkiPath('ca.key')];
  await run('openssl', [
    ...['req', '-x509', '-config', pkiPath('openssl.cnf'), '-extensions', section],
    ...['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '3650'],
    ...['-subj', subject, '-keyout', pkiPath(`${name}.key`), '-out', pkiPath(`${name}.crt`)],
    ...issuer,
  ]);
}

async function makeServiceAccountKeys(): Promise<void> {
  const pair = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
  await writeFile(pkiPath('service-accounts.key'), pair.privateKey, { mode: 0o600 });
  await writeFile(pkiPath('service-accounts.pub'), pair.publicKey);
}

async function makeKubeconfig(identity: string): Promise<void> {
  const inline = async (file: string): Promise<string> => readFile(pkiPath(file), 'base64');
  const content = `apiVersion: v1
kind: Config
clusters:
  - name: local
    cluster:
      server: https://${addresses.host}:${ports.apiServer}
      certificate-authority-data: ${await inline('ca.crt')}
users:
  - name: ${identity}
    user:
      client-certificate-data: ${await inline(`${identity}.crt`)}
      client-key-data: ${await inline(`${identity}.key`)}
contexts:
  - name: local
    context:
      cluster: local
      user: ${identity}
current-context: local
`;
  await writeFile(kubeconfigPath(identity), content, { mode: 0o600 });
}
