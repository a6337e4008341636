import { describe, expect, it } from '@jest/globals';
import { tmpdir } from 'node:os';
import { loadDaemonFiles } from '../../../src/kubernetes/daemon-files.ts';

const load = (toml: string) =>
  loadDaemonFiles(
    { buildkitdConfig: undefined, buildkitdConfigInline: toml, registryConfig: {} },
    tmpdir(),
  ).catch((thrown: unknown) => thrown);

describe('certificates that cannot be read', () => {
  it('are named by their path', async () => {
    expect(await load('[registry."ghcr.io"]\nca = ["certs/missing.pem"]')).toMatchObject({
      code: 'BUILDKITD_CONFIG_INVALID',
      message: 'buildkitd-config-inline: registry."ghcr.io".ca: certs/missing.pem does not exist',
    });
  });

  it.each([
    ['key', 'MIIEvQIBADANBg'],
    ['key', '/MIIE/vQIBADANBg'],
    ['cert', 'MIIEvQIBADANBg'],
    ['cert', '\\nMIIEvQIBADANBg\\n-----END PRIVATE KEY-----\\n'],
  ])('are not shown where they may be a key without its header: %s %s', async (kind, text) => {
    const other = '-----BEGIN X-----';
    const pair = kind === 'key' ? { key: text, cert: other } : { key: other, cert: text };
    const toml = `[registry."ghcr.io"]\nkeypair = {key = "${pair.key}", cert = "${pair.cert}"}`;
    const failure = await load(toml);
    expect(failure).toMatchObject({
      code: 'BUILDKITD_CONFIG_INVALID',
      message: `buildkitd-config-inline: registry."ghcr.io".keypair.${kind}: the file that it names does not exist`,
    });
    expect(JSON.stringify(failure)).not.toContain('MIIE');
  });
});
