import { describe, expect, it } from '@jest/globals';

import { isTlsFailure, unreachable } from '../../../../src/kubernetes/exec/connect-failure.ts';

const server = new URL('https://kubernetes.example:6443/k8s/c-1');
const failure = (code: string, message = 'failed'): Error =>
  Object.assign(new Error(message), { code });

describe('unreachable', () => {
  it.each([
    ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'not signed by', 'certificate-authority-data'],
    ['DEPTH_ZERO_SELF_SIGNED_CERT', 'not signed by', 'certificate-authority-data'],
    ['ERR_TLS_CERT_ALTNAME_INVALID', 'another name than kubernetes.example', 'tls-server-name'],
    ['CERT_HAS_EXPIRED', 'out of date', 'Renew'],
    ['ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED', 'TLS failed', 'client certificate'],
    ['EPROTO', 'TLS failed', 'speaks TLS'],
    ['ECONNREFUSED', 'failed', 'may reach it'],
  ])('explains %s', (code, text, hint) => {
    const error = unreachable(failure(code), server);
    expect(error.code).toBe('KUBE_API_UNREACHABLE');
    expect(error.message).toContain('https://kubernetes.example:6443 cannot be reached: ');
    expect(error.message).toContain(text);
    expect(error.hint).toContain(hint);
  });

  it('tells every address that was tried', () => {
    const both = [failure('ECONNREFUSED', 'no 127.0.0.1'), failure('ECONNREFUSED', 'no ::1')];
    const cause = Object.assign(new AggregateError(both), { code: 'ECONNREFUSED' });
    expect(unreachable(cause, server).message).toContain(': no 127.0.0.1, no ::1');
  });

  it('never leaves the reason empty', () => {
    const cause = Object.assign(new AggregateError([]), { code: 'ECONNREFUSED' });
    expect(unreachable(cause, server).message).toMatch(/: ECONNREFUSED$/);
    expect(unreachable(new Error(''), server).message).toMatch(/: no reason was given$/);
  });

  it('names the name that does not resolve, which may be that of the proxy', () => {
    const cause = Object.assign(failure('ENOTFOUND'), { hostname: 'proxy.invalid' });
    const { message } = unreachable(cause, server, new URL('http://proxy.invalid:3128'));
    expect(message).toContain('the name proxy.invalid cannot be resolved (ENOTFOUND)');
  });

  it('takes errors whose code is a number', () => {
    const timeout = new DOMException('too late', 'TimeoutError');
    expect(unreachable(timeout, server).message).toMatch(/: too late$/);
    expect(isTlsFailure(timeout)).toBe(false);
  });

  it('names the proxy without its credentials', () => {
    const proxy = new URL('http://user:secret@proxy.example:3128');
    const { message } = unreachable(failure('ECONNRESET'), server, proxy);
    expect(message).toContain('through the proxy proxy.example:3128');
    expect(message).not.toContain('secret');
  });
});

describe('isTlsFailure', () => {
  it('knows alerts from other ends', () => {
    expect(isTlsFailure(failure('ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED'))).toBe(true);
    expect(isTlsFailure(failure('ECONNRESET'))).toBe(false);
    expect(isTlsFailure(new Error('none'))).toBe(false);
  });
});
