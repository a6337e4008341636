import { randomBytes } from 'node:crypto';

/**
 * A fresh name for a session or a build: 25 lower-case letters and digits, about 129 random bits.
 *
 * Follows BuildKit `identity/randomid.go`: 17 random bytes as a number with its top bit set, in
 * base 36, without the first digit, which is hardly random.
 */
export function randomIdentity(): string {
  const bytes = randomBytes(17);
  bytes.writeUInt8(bytes.readUInt8(0) | 0x80, 0);
  return BigInt(`0x${bytes.toString('hex')}`)
    .toString(36)
    .slice(1, 26);
}
