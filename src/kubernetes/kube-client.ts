import type { ResolveApiTarget } from './api-target.ts';

/** The calls we make to the API server. */
export interface KubeClient extends Disposable {
  /** Namespace of the chosen context. */
  readonly namespace: string;
  /** For streams that need a connection of their own. */
  readonly resolveTarget: ResolveApiTarget;
}
