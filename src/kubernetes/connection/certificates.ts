import { createHash, generateKeyPair, type KeyObject, randomBytes, sign } from 'node:crypto';
import { promisify } from 'node:util';
import { AsnConvert, OctetString } from '@peculiar/asn1-schema';
import {
  AlgorithmIdentifier,
  AttributeTypeAndValue,
  AttributeValue,
  AuthorityKeyIdentifier,
  BasicConstraints,
  Certificate,
  ExtendedKeyUsage,
  Extension,
  Extensions,
  GeneralName,
  id_ce_authorityKeyIdentifier,
  id_ce_basicConstraints,
  id_ce_extKeyUsage,
  id_ce_keyUsage,
  id_ce_subjectAltName,
  id_ce_subjectKeyIdentifier,
  id_kp_clientAuth,
  id_kp_serverAuth,
  KeyIdentifier,
  KeyUsage,
  KeyUsageFlags,
  Name,
  RelativeDistinguishedName,
  SubjectAlternativeName,
  SubjectKeyIdentifier,
  SubjectPublicKeyInfo,
  TBSCertificate,
  Validity,
  Version,
} from '@peculiar/asn1-x509';

import type { BuilderTls } from '../builder-spec.ts';
import { serverName } from './tls-secret.ts';

/** Clocks of runners and nodes differ. */
const backdatedMs = 60 * 60_000;

const ecdsaWithSha256 = '1.2.840.10045.4.3.2';
const commonNameId = '2.5.4.3';

const newKeyPair = promisify(generateKeyPair);

/**
 * Makes the certificate authority of one builder, and the pairs of its daemon and its clients.
 *
 * EC P-256. The authority's private key is dropped as soon as both are signed: nobody, not even who
 * reads the Secret, can make another certificate that the daemon or a client takes. So nothing is
 * ever renewed in place; a builder that outlives its certificates gets a new set under a new name.
 */
export async function makeBuilderTls(
  builder: string,
  { validMs, now = Date.now() }: { readonly validMs: number; readonly now?: number },
): Promise<BuilderTls> {
  const [authority, server, client] = await Promise.all([newKeys(), newKeys(), newKeys()]);
  const notBefore = new Date(now - backdatedMs);
  const notAfter = new Date(now + validMs);
  const certify = (subject: Subject): string =>
    certificate(subject, { ...authority, notBefore, notAfter });
  return {
    ca: certify({
      commonName: authorityName,
      publicKey: authority.publicKey,
      extensions: [
        extension(id_ce_basicConstraints, new BasicConstraints({ cA: true, pathLenConstraint: 0 })),
        extension(id_ce_keyUsage, new KeyUsage(KeyUsageFlags.keyCertSign)),
      ],
    }),
    cert: certify({
      commonName: 'buildkitd',
      publicKey: server.publicKey,
      extensions: [
        ...leafExtensions(id_kp_serverAuth),
        extension(
          id_ce_subjectAltName,
          new SubjectAlternativeName([new GeneralName({ dNSName: serverName(builder) })]),
        ),
      ],
    }),
    key: pemOf(server.privateKey),
    clientCert: certify({
      commonName: 'client',
      publicKey: client.publicKey,
      extensions: leafExtensions(id_kp_clientAuth),
    }),
    clientKey: pemOf(client.privateKey),
  };
}

const authorityName = 'kube-buildx-action';

interface Keys {
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
}

function newKeys(): Promise<Keys> {
  return newKeyPair('ec', { namedCurve: 'P-256' });
}

function pemOf(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }) as string;
}

interface Subject {
  readonly commonName: string;
  readonly publicKey: KeyObject;
  readonly extensions: readonly Extension[];
}

interface Issuer extends Keys {
  readonly notBefore: Date;
  readonly notAfter: Date;
}

/** A version 3 certificate by RFC 5280, as PEM. */
function certificate(subject: Subject, issuer: Issuer): string {
  const { publicKey, notBefore, notAfter } = issuer;
  const signature = new AlgorithmIdentifier({ algorithm: ecdsaWithSha256 });
  const body = new TBSCertificate({
    version: Version.v3,
    serialNumber: serialNumber(),
    signature,
    issuer: nameOf(authorityName),
    validity: new Validity({ notBefore, notAfter }),
    subject: nameOf(subject.commonName),
    subjectPublicKeyInfo: AsnConvert.parse(derOf(subject.publicKey), SubjectPublicKeyInfo),
    extensions: new Extensions([
      ...subject.extensions,
      extension(
        id_ce_subjectKeyIdentifier,
        new SubjectKeyIdentifier(fingerprint(subject.publicKey)),
        false,
      ),
      extension(
        id_ce_authorityKeyIdentifier,
        new AuthorityKeyIdentifier({ keyIdentifier: new KeyIdentifier(fingerprint(publicKey)) }),
        false,
      ),
    ]),
  });
  const signed = sign('sha256', Buffer.from(AsnConvert.serialize(body)), issuer.privateKey);
  const der = AsnConvert.serialize(
    new Certificate({
      tbsCertificate: body,
      signatureAlgorithm: signature,
      signatureValue: bytesOf(signed),
    }),
  );
  const lines =
    Buffer.from(der)
      .toString('base64')
      .match(/.{1,64}/g) ?? [];
  return ['-----BEGIN CERTIFICATE-----', ...lines, '-----END CERTIFICATE-----', ''].join('\n');
}

function leafExtensions(purpose: string): Extension[] {
  return [
    extension(id_ce_basicConstraints, new BasicConstraints({ cA: false })),
    extension(id_ce_keyUsage, new KeyUsage(KeyUsageFlags.digitalSignature)),
    extension(id_ce_extKeyUsage, new ExtendedKeyUsage([purpose]), false),
  ];
}

function extension(id: string, value: object, critical = id !== id_ce_subjectAltName): Extension {
  const extnValue = new OctetString(AsnConvert.serialize(value));
  return new Extension({ extnID: id, critical, extnValue });
}

function nameOf(commonName: string): Name {
  const value = new AttributeValue({ utf8String: commonName });
  const attribute = new AttributeTypeAndValue({ type: commonNameId, value });
  return new Name([new RelativeDistinguishedName([attribute])]);
}

/** Positive, not empty, and without a leading zero that would be one too many. */
function serialNumber(): ArrayBuffer {
  const bytes = randomBytes(16);
  bytes.writeUInt8((bytes.readUInt8(0) & 0x3f) | 0x40, 0);
  return bytesOf(bytes);
}

/** Any digest of the key will do (RFC 5280, section 4.2.1.2). */
function fingerprint(key: KeyObject): ArrayBuffer {
  return bytesOf(createHash('sha256').update(derOf(key)).digest().subarray(0, 20));
}

function derOf(key: KeyObject): Buffer {
  return key.export({ type: 'spki', format: 'der' });
}

function bytesOf(buffer: Buffer): ArrayBuffer {
  return Uint8Array.from(buffer).buffer;
}
