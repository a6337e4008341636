/** What was wrong with TLS, as a clause about the far side (`it …`). */
export interface TlsFailure {
  /**
   * `untrusted`: we do not believe it. `not-let-in`: it does not believe us. `not-tls`: it speaks
   * something else.
   */
  readonly kind: 'untrusted' | 'not-let-in' | 'not-tls';
  readonly why: string;
}

const unknownAuthority = new Set([
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
]);

/** Tells failures of TLS apart; undefined for those of the network and all others. */
export function tlsFailureOf(error: unknown): TlsFailure | undefined {
  const { code, reason } = fieldsOf(error);
  if (unknownAuthority.has(code)) {
    return untrusted('its certificate is not signed by the certificate authority expected');
  }
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') {
    return untrusted('its certificate is for another name');
  }
  if (code === 'CERT_HAS_EXPIRED' || code === 'CERT_NOT_YET_VALID') {
    return untrusted(`its certificate is out of date (${code})`);
  }
  if (code.startsWith('CERT_') || code.startsWith('INVALID_') || code.startsWith('UNABLE_TO_')) {
    return untrusted(`its certificate is not accepted (${code})`);
  }
  if (code === 'ERR_SSL_WRONG_VERSION_NUMBER' || code === 'ERR_SSL_PACKET_LENGTH_TOO_LONG') {
    return { kind: 'not-tls', why: 'it does not speak TLS' };
  }
  if (code.startsWith('ERR_SSL_')) return { kind: 'not-let-in', why: verdict(reason) };
  return undefined;
}

function untrusted(why: string): TlsFailure {
  return { kind: 'untrusted', why };
}

/** An alert of the far side, in words; `reason` is OpenSSL's. */
function verdict(reason: string): string {
  const alert = / alert (.*)$/.exec(reason)?.[1] ?? reason;
  switch (alert) {
    case 'certificate required':
      return 'it asks for a client certificate';
    case 'unknown ca':
      return 'it does not know the certificate authority of the client certificate';
    case 'certificate expired':
      return 'the client certificate has expired';
    default:
      return `it refused the TLS handshake (${alert})`;
  }
}

function fieldsOf(error: unknown): { readonly code: string; readonly reason: string } {
  const { code, reason } = (error ?? {}) as { readonly code?: unknown; readonly reason?: unknown };
  return {
    code: typeof code === 'string' ? code : '',
    reason: typeof reason === 'string' ? reason : '',
  };
}
