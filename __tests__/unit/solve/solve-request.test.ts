import { describe, expect, it } from '@jest/globals';
import type { BuildOptions } from '../../../src/options/options.ts';
import { solveRequest } from '../../../src/solve/solve-request.ts';

const build: BuildOptions = {
  contextPath: '/app',
  dockerfilePath: '/app/Dockerfile',
  target: undefined,
  buildArgs: {},
  labels: {},
  platforms: [],
  exporters: [
    { type: 'image', attrs: { name: 'r/a:1', push: 'true' } },
    { type: 'image', attrs: { name: 'r/b:1' } },
  ],
  noCache: false,
  noCacheFilters: [],
  pull: false,
  network: 'host',
  addHosts: [],
  shmSizeBytes: undefined,
  ulimits: [],
  cgroupParent: undefined,
  entitlements: ['network.host', 'security.insecure'],
  timeoutMs: undefined,
};
const identity = { ref: 'the-ref', sessionId: 'the-session' };

describe('solveRequest', () => {
  it('names build, session, frontend and exporters, the first also in the old fields', () => {
    const request = solveRequest(build, identity);
    expect(request).toMatchObject({
      Ref: 'the-ref',
      Session: 'the-session',
      Frontend: 'dockerfile.v0',
      FrontendAttrs: { filename: 'Dockerfile', 'force-network-mode': 'host' },
      Exporters: [
        { Type: 'image', Attrs: { name: 'r/a:1', push: 'true' } },
        { Type: 'image', Attrs: { name: 'r/b:1' } },
      ],
      ExporterDeprecated: 'image',
      ExporterAttrsDeprecated: { name: 'r/a:1', push: 'true' },
      Cache: { Exports: [], Imports: [] },
      Internal: false,
    });
    expect(request.Definition).toBeUndefined();
  });

  it('asks for the network of the host once', () => {
    expect(solveRequest(build, identity).Entitlements).toEqual([
      'network.host',
      'security.insecure',
    ]);
    const implied = solveRequest({ ...build, entitlements: [] }, identity);
    expect(implied.Entitlements).toEqual(['network.host']);
    const none = solveRequest({ ...build, entitlements: [], network: 'none' }, identity);
    expect(none.Entitlements).toEqual([]);
  });

  it('exports nothing when nothing is asked for', () => {
    const request = solveRequest({ ...build, exporters: [] }, identity);
    expect(request.Exporters).toEqual([]);
    expect(request.ExporterDeprecated).toBe('');
  });

  it('asks for no attestations', () => {
    const names = Object.keys(solveRequest(build, identity).FrontendAttrs);
    expect(names.filter((name) => name.startsWith('attest:'))).toEqual([]);
  });
});
