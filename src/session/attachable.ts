/**
 * One RPC that the daemon made through the session tunnel.
 *
 * Messages are protobuf bytes without gRPC framing. Headers keep every repeated value apart and in
 * order, which `filesync` patterns need.
 */
export interface SessionCall {
  /** Full method path, such as `/moby.filesync.v1.FileSync/DiffCopy`. */
  readonly method: string;
  /** Fires when the daemon cancels the call or the session ends. */
  readonly signal: AbortSignal;
  /** All values of a request header (lower-case name), in the order they were sent. */
  header(name: string): readonly string[];
  /**
   * Incoming messages until the daemon half-closes; reading applies back-pressure.
   *
   * Throws the reason of `signal` when the call is cancelled before that. Leaving the loop early is
   * fine and does not end the call.
   */
  messages(): AsyncIterable<Buffer>;
  /**
   * Sends one message, given whole or in pieces, as soon as there is room for it.
   *
   * Until then the promise is pending. The bytes are not copied and go out later: do not change them afterwards. Throws the reason of
   * `signal` when the call is cancelled.
   */
  send(message: Uint8Array | readonly Uint8Array[]): Promise<void>;
}

/**
 * Serves one call; returning ends it with status OK, throwing a `SessionError` with its status.
 */
export type SessionMethod = (call: SessionCall) => Promise<void>;

/** A gRPC service that the client offers to the daemon during a build. */
export interface Attachable {
  readonly methods: Readonly<Record<string, SessionMethod>>;
}
