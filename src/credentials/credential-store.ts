/** What a registry is told about the user; exactly the fields that were found are set. */
export interface RegistryCredentials {
  readonly username?: string;
  readonly password?: string;
  /** OAuth refresh token, used in place of username and password. */
  readonly identityToken?: string;
  /** Bearer token to be used as it is. */
  readonly registryToken?: string;
}

/** Finds credentials for a registry host such as `ghcr.io` or `localhost:5000`. */
export interface CredentialStore {
  get(host: string, signal: AbortSignal): Promise<RegistryCredentials | undefined>;
}
