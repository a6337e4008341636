import type { Builder } from './kubernetes/driver.ts';
import type { BuilderLost } from './kubernetes/loss.ts';
import type { RemoteError } from './remote/errors.ts';

/** What a build needs of its builder, wherever that is; see `Builder`. */
export interface BuilderAtWork extends Pick<
  Builder,
  'endpoint' | 'name' | 'nodeName' | 'answersAnew' | 'podLost'
> {
  readonly driver: 'kubernetes' | 'remote';
  explainLoss(
    signal: AbortSignal,
    cause: unknown,
    more?: { readonly step?: string | undefined; readonly isSilent?: boolean },
  ): Promise<BuilderLost | RemoteError>;
}
