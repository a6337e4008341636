import { describe, expect, it } from '@jest/globals';

import { tlsFailureOf } from '../../../src/shared/tls-failure.ts';

function error(code: string, reason?: string): Error {
  return Object.assign(new Error('some words'), { code, reason });
}

describe('tlsFailureOf', () => {
  it.each([
    ['DEPTH_ZERO_SELF_SIGNED_CERT', 'untrusted', 'not signed by'],
    ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'untrusted', 'not signed by'],
    ['ERR_TLS_CERT_ALTNAME_INVALID', 'untrusted', 'for another name'],
    ['CERT_HAS_EXPIRED', 'untrusted', 'out of date'],
    ['CERT_NOT_YET_VALID', 'untrusted', 'out of date'],
    ['CERT_SIGNATURE_FAILURE', 'untrusted', 'not accepted (CERT_SIGNATURE_FAILURE)'],
    ['INVALID_PURPOSE', 'untrusted', 'not accepted'],
    ['ERR_SSL_WRONG_VERSION_NUMBER', 'not-tls', 'does not speak TLS'],
  ])('knows %s', (code, kind, words) => {
    const why: unknown = expect.stringContaining(words);
    expect(tlsFailureOf(error(code))).toEqual({ kind, why });
  });

  it.each([
    ['tlsv13 alert certificate required', 'it asks for a client certificate'],
    ['tlsv1 alert unknown ca', 'it does not know the certificate authority'],
    ['ssl/tls alert certificate expired', 'the client certificate has expired'],
    ['ssl/tls alert bad certificate', 'it refused the TLS handshake (bad certificate)'],
    ['no shared cipher', 'it refused the TLS handshake (no shared cipher)'],
  ])('puts "%s" in words', (reason, words) => {
    const why: unknown = expect.stringContaining(words);
    expect(tlsFailureOf(error('ERR_SSL_SOMETHING', reason))).toEqual({ kind: 'not-let-in', why });
  });

  it('leaves the network to others', () => {
    for (const other of [error('ECONNRESET'), error('ETIMEDOUT'), new Error('x'), undefined]) {
      expect(tlsFailureOf(other)).toBeUndefined();
    }
  });
});
