import { describe, expect, it } from '@jest/globals';
import { createPrivateKey, X509Certificate } from 'node:crypto';

import type { BuilderTls } from '../../../../src/kubernetes/builder-spec.ts';
import { makeBuilderTls } from '../../../../src/kubernetes/connection/certificates.ts';

const now = Date.parse('2026-06-01T12:00:00Z');
const hourMs = 3_600_000;

function make(validMs = hourMs): Promise<BuilderTls> {
  return makeBuilderTls('kbx-acme-app', { validMs, now });
}

describe('makeBuilderTls', () => {
  it('certifies a daemon by the name of its builder, and clients as such', async () => {
    const tls = await make();
    const [ca, server, client] = [tls.ca, tls.cert, tls.clientCert].map(
      (pem) => new X509Certificate(pem),
    );
    expect(ca?.ca).toBe(true);
    expect(ca?.checkIssued(ca)).toBe(true);
    expect(server).toMatchObject({ ca: false, subjectAltName: 'DNS:buildkitd.kbx-acme-app' });
    expect(server?.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1']);
    expect(client).toMatchObject({ ca: false, subjectAltName: undefined });
    expect(client?.keyUsage).toEqual(['1.3.6.1.5.5.7.3.2']);
    for (const leaf of [server, client]) {
      expect(leaf?.checkIssued(ca!)).toBe(true);
      expect(leaf?.verify(ca!.publicKey)).toBe(true);
    }
  });

  it('gives the keys of both pairs, on P-256, and never that of the authority', async () => {
    const tls = await make();
    const keys = [tls.key, tls.clientKey].map((pem) => createPrivateKey(pem));
    for (const key of keys) {
      expect(key.asymmetricKeyDetails).toEqual({ namedCurve: 'prime256v1' });
    }
    const fits = (cert: string): boolean[] =>
      keys.map((key) => new X509Certificate(cert).checkPrivateKey(key));
    expect([fits(tls.cert), fits(tls.clientCert), fits(tls.ca)]).toEqual([
      [true, false],
      [false, true],
      [false, false],
    ]);
  });

  it('is good from an hour ago, for clocks that differ, until it is to end', async () => {
    const { ca, cert, clientCert } = await make(2 * hourMs);
    for (const pem of [ca, cert, clientCert]) {
      const { validFromDate, validToDate } = new X509Certificate(pem);
      expect(validFromDate.toISOString()).toBe('2026-06-01T11:00:00.000Z');
      expect(validToDate.toISOString()).toBe('2026-06-01T14:00:00.000Z');
    }
  });

  it('makes everything anew each time', async () => {
    const [one, other] = await Promise.all([make(), make()]);
    for (const field of Object.keys(one) as (keyof BuilderTls)[]) {
      expect(one[field]).not.toBe(other[field]);
    }
    const serials = [one, other].flatMap(({ ca, cert, clientCert }) =>
      [ca, cert, clientCert].map((pem) => new X509Certificate(pem).serialNumber),
    );
    expect(new Set(serials).size).toBe(6);
    expect(new X509Certificate(other.cert).verify(new X509Certificate(one.ca).publicKey)).toBe(
      false,
    );
  });
});
