import { createHmac, createPrivateKey, createPublicKey, randomBytes, sign } from 'node:crypto';

/** PKCS #8 around the 32 bytes of an Ed25519 seed, as RFC 8410 has it. */
const pkcs8Prefix = Buffer.from('302e020100300506032b657004220420', 'hex');

const publicKeyBytes = 32;
const seedBytes = 16;

/**
 * Proves to a daemon that two sessions belong to one user, so that it may give the registry tokens
 * of the one to the other: the key of a host hangs on a seed that only we know.
 *
 * The seeds live as long as the object. BuildKit keeps them in `.token_seed` beside docker's config;
 * for us that would save one token request per host on runners that keep their home folder, and add
 * a file with secrets there.
 */
export class TokenAuthority {
  readonly #seeds = new Map<string, Buffer>();

  /** The public key of a host, 32 bytes, for the salt of this daemon. */
  publicKey(host: AuthorityHost, salt: Buffer): Buffer {
    const spki = createPublicKey(this.#privateKey(host, salt)).export({
      format: 'der',
      type: 'spki',
    });
    return spki.subarray(-publicKeyBytes);
  }

  /** The signature of `payload` and the payload itself, in one piece as NaCl's `sign` lays it out. */
  sign(host: AuthorityHost, salt: Buffer, payload: Buffer): Buffer {
    return Buffer.concat([sign(null, payload, this.#privateKey(host, salt)), payload]);
  }

  #privateKey(
    { host, hasSecret }: AuthorityHost,
    salt: Buffer,
  ): ReturnType<typeof createPrivateKey> {
    // Without a secret all users are alike: the key is that of everybody who is anonymous.
    const seed = hasSecret ? this.#seedOf(host) : Buffer.alloc(0);
    const keySeed = createHmac('sha256', salt).update(seed).digest();
    return createPrivateKey({
      key: Buffer.concat([pkcs8Prefix, keySeed]),
      format: 'der',
      type: 'pkcs8',
    });
  }

  #seedOf(host: string): Buffer {
    const seed = this.#seeds.get(host) ?? randomBytes(seedBytes);
    this.#seeds.set(host, seed);
    return seed;
  }
}

/** A registry and whether we have a secret for it. */
export interface AuthorityHost {
  readonly host: string;
  readonly hasSecret: boolean;
}
