import { generateKeyPairSync, type KeyObject, sign, X509Certificate } from 'node:crypto';

/** A key and its certificate, as PEM. */
export interface TestIdentity {
  readonly key: string;
  readonly cert: string;
}

/** A certificate authority of one test file, with DER written by hand: nothing but Node is needed. */
export class TestAuthority {
  /** PEM, to be trusted. */
  readonly cert: string;
  readonly #name: string;
  readonly #keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  #serial = 1;

  constructor(name = 'test authority') {
    this.#name = name;
    this.cert = this.#certificate(name, this.#keys.publicKey, [
      extension([0x55, 0x1d, 0x13], sequence(tlv(0x01, Buffer.of(0xff)))),
    ]);
  }

  /** Certifies a new key; `names` are DNS names and IPv4 addresses. */
  issue(commonName: string, names: readonly string[] = []): TestIdentity {
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const alternatives = names.map((name) =>
      /^[\d.]+$/.test(name)
        ? tlv(0x87, Buffer.from(name.split('.').map(Number)))
        : tlv(0x82, Buffer.from(name)),
    );
    const extensions =
      names.length === 0 ? [] : [extension([0x55, 0x1d, 0x11], sequence(...alternatives))];
    return {
      key: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
      cert: this.#certificate(commonName, publicKey, extensions),
    };
  }

  #certificate(subject: string, publicKey: KeyObject, extensions: readonly Buffer[]): string {
    const ecdsaWithSha256 = sequence(oid([0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02]));
    this.#serial += 1;
    const body = sequence(
      tlv(0xa0, tlv(0x02, Buffer.of(2))),
      tlv(0x02, Buffer.of(this.#serial)),
      ecdsaWithSha256,
      distinguishedName(this.#name),
      sequence(tlv(0x17, Buffer.from('200101000000Z')), tlv(0x17, Buffer.from('491231235959Z'))),
      distinguishedName(subject),
      publicKey.export({ type: 'spki', format: 'der' }),
      ...(extensions.length === 0 ? [] : [tlv(0xa3, sequence(...extensions))]),
    );
    const signature = sign('sha256', body, this.#keys.privateKey);
    const der = sequence(
      body,
      ecdsaWithSha256,
      tlv(0x03, Buffer.concat([Buffer.of(0), signature])),
    );
    return new X509Certificate(der).toString();
  }
}

function distinguishedName(commonName: string): Buffer {
  const attribute = sequence(oid([0x55, 0x04, 0x03]), tlv(0x0c, Buffer.from(commonName)));
  return sequence(tlv(0x31, attribute));
}

function extension(id: readonly number[], value: Buffer): Buffer {
  return sequence(oid(id), tlv(0x04, value));
}

function oid(bytes: readonly number[]): Buffer {
  return tlv(0x06, Buffer.from(bytes));
}

function sequence(...parts: readonly Buffer[]): Buffer {
  return tlv(0x30, Buffer.concat(parts));
}

function tlv(tag: number, value: Buffer): Buffer {
  const size = value.length;
  const length =
    size < 0x80 ? [size] : size < 0x100 ? [0x81, size] : [0x82, Math.trunc(size / 256), size % 256];
  return Buffer.concat([Buffer.of(tag, ...length), value]);
}
