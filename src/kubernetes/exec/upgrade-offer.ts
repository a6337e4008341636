import { createHash, randomBytes } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';

import type { UpgradeRequest } from './upgrade.ts';

/** How to ask for a protocol, and how to read what the server switched to. */
export interface UpgradeOffer {
  readonly method: UpgradeRequest['method'];
  readonly headers: UpgradeRequest['headers'];
  /** The protocol of ours that the server chose, or what is wrong with its answer. */
  readonly accept: (
    headers: IncomingHttpHeaders,
  ) => { readonly chosen: string } | { readonly wrong: string };
}

/** Offers one stream protocol over SPDY/3.1, as kubectl does. */
export function spdyOffer(protocol: string): UpgradeOffer {
  return {
    method: 'POST',
    headers: {
      connection: 'Upgrade',
      upgrade: 'SPDY/3.1',
      'x-stream-protocol-version': protocol,
      'content-length': '0',
    },
    accept: (headers) => {
      const chosen = headers['x-stream-protocol-version'];
      if (headers.upgrade?.toLowerCase() !== 'spdy/3.1') {
        return { wrong: `switched to ${headers.upgrade}` };
      }
      return chosen === protocol
        ? { chosen: protocol }
        : { wrong: `chose ${String(chosen)}, not ${protocol}` };
    },
  };
}

/** Offers subprotocols over WebSocket, by RFC 6455, section 4.1. */
export function webSocketOffer(protocols: readonly string[]): UpgradeOffer {
  const key = randomBytes(16).toString('base64');
  const accepted = createHash('sha1')
    .update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
    .digest('base64');
  return {
    method: 'GET',
    headers: {
      connection: 'Upgrade',
      upgrade: 'websocket',
      'sec-websocket-version': '13',
      'sec-websocket-key': key,
      'sec-websocket-protocol': protocols.join(', '),
    },
    accept: (headers) => {
      if (headers['sec-websocket-accept'] !== accepted) {
        return { wrong: 'answered another WebSocket key' };
      }
      if (headers['sec-websocket-extensions'] !== undefined) {
        return { wrong: 'chose an extension not offered' };
      }
      const chosen = protocols.find((each) => each === headers['sec-websocket-protocol']);
      return chosen === undefined
        ? {
            wrong: `chose the subprotocol ${String(headers['sec-websocket-protocol'])}, which was not offered`,
          }
        : { chosen };
    },
  };
}
