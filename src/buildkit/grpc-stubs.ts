/**
 * The client stubs of grpc-js, without the channels, resolvers, load balancers and servers that its
 * main module loads: 400 KB, and 7 ms of each step.
 *
 * Its channel comes first, since these modules import each other in a circle; what is below that, the
 * bundle leaves out (see `scripts/build.ts`).
 */
import '@grpc/grpc-js/build/src/channel.js';

export { ChannelCredentials } from '@grpc/grpc-js/build/src/channel-credentials.js';
export { Client } from '@grpc/grpc-js/build/src/client.js';
export { ConnectivityState } from '@grpc/grpc-js/build/src/connectivity-state.js';
export { Status } from '@grpc/grpc-js/build/src/constants.js';
export { Metadata } from '@grpc/grpc-js/build/src/metadata.js';
