import type { BuildOptions } from '../options/options.ts';
import { CacheOptions, SolveRequest } from '../wire/gen/control.ts';
import { frontendOf } from './frontend-attrs.ts';

/** What identifies one build to the daemon. */
export interface SolveIdentity {
  /** Unique; also the key of the build in the daemon's history. */
  readonly ref: string;
  readonly sessionId: string;
}

/**
 * The request of one build, in one call of the Control API.
 *
 * The first exporter is repeated in the fields that daemons before v0.13 read. No attestations are
 * asked for. Follows BuildKit `client/solve.go` and buildx `build/opt.go`.
 */
export function solveRequest(build: BuildOptions, identity: SolveIdentity): SolveRequest {
  const frontend = frontendOf(build);
  const exporters = build.exporters.map(({ type, attrs }) => ({ Type: type, Attrs: { ...attrs } }));
  const [first] = exporters;
  return SolveRequest.fromPartial({
    Ref: identity.ref,
    Session: identity.sessionId,
    Frontend: frontend.name,
    FrontendAttrs: frontend.attrs,
    Exporters: exporters,
    ExporterDeprecated: first?.Type ?? '',
    ExporterAttrsDeprecated: first?.Attrs ?? {},
    Cache: CacheOptions.fromPartial({}),
    Entitlements: entitlementsOf(build),
  });
}

/** The host's network is an entitlement of its own. */
function entitlementsOf({ entitlements, network }: BuildOptions): string[] {
  return [...new Set([...entitlements, ...(network === 'host' ? ['network.host'] : [])])];
}
