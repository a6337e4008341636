import { describe, expect, it } from '@jest/globals';
import { proxyFromEnvironment } from '../../../src/kubernetes/api-proxy.ts';

const proxied = (server: string, env: Record<string, string>): boolean =>
  proxyFromEnvironment(new URL(server), { HTTPS_PROXY: 'http://proxy:3128', ...env }) !== undefined;

describe('proxyFromEnvironment', () => {
  it('goes by the scheme of the server and takes either case', () => {
    const env = { https_proxy: 'http://user:pass@one:1', HTTP_PROXY: 'two:2' };
    expect(proxyFromEnvironment(new URL('https://api.example'), env)?.href).toBe(
      'http://user:pass@one:1/',
    );
    expect(proxyFromEnvironment(new URL('http://api.example'), env)?.href).toBe('http://two:2/');
  });

  it('takes lower case where upper case is empty', () => {
    const env = { HTTPS_PROXY: '', https_proxy: 'one:1', NO_PROXY: '', no_proxy: 'api.example' };
    expect(proxyFromEnvironment(new URL('https://other.example'), env)?.href).toBe('http://one:1/');
    expect(proxyFromEnvironment(new URL('https://api.example'), env)).toBeUndefined();
  });

  it.each(['http://user:secret@', 'user:secret@one:port', 'socks5://user:secret@one:1'])(
    'names the variable that has no such proxy: %s',
    (https_proxy) => {
      const server = new URL('https://api.example:6443');
      expect(() => proxyFromEnvironment(server, { https_proxy })).toThrow(
        expect.objectContaining({
          code: 'KUBE_API_UNREACHABLE',
          message: 'the variable https_proxy names no http or https proxy for api.example:6443',
        }),
      );
      expect(proxyFromEnvironment(server, { https_proxy, NO_PROXY: 'api.example' })).toBe(
        undefined,
      );
    },
  );

  it('never proxies loopback', () => {
    expect(proxied('https://localhost:6443', {})).toBe(false);
    expect(proxied('https://127.0.0.9:6443', {})).toBe(false);
    expect(proxied('https://[::1]:6443', {})).toBe(false);
  });

  it.each([
    ['https://api.example.com', 'example.com', false],
    ['https://example.com', 'example.com', false],
    ['https://example.com', '.example.com', true],
    ['https://api.example.com', '.example.com', false],
    ['https://api.example.com', '*.example.com', false],
    ['https://notexample.com', 'example.com', true],
    ['https://API.Example.com', 'api.example.COM', false],
    ['https://api.example.com:6443', 'api.example.com:6443', false],
    ['https://api.example.com:6443', 'api.example.com:443', true],
    ['https://api.example.com', 'api.example.com:443', false],
    ['https://10.1.2.3:6443', '10.0.0.0/8', false],
    ['https://11.1.2.3:6443', '10.0.0.0/8', true],
    ['https://10.1.2.3:6443', '10.1.2.3', false],
    ['https://[2001:db8::5]:6443', '2001:db8::/32', false],
    ['https://[2001:db8::5]:6443', '[2001:db8::5]:6443', false],
    ['https://api.example.com', '10.0.0.0/8', true],
    ['https://10.1.2.3', '10.0.0.0/99', true],
    ['https://10.1.2.3', '2001:db8::/32', true],
    ['https://api.example.com', 'other, *', false],
    ['https://api.example.com', ', ,', true],
  ])('%s with NO_PROXY %j: proxied %p', (server, noProxy, expected) => {
    expect(proxied(server, { NO_PROXY: noProxy })).toBe(expected);
  });
});
