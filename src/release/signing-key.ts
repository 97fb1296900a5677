/** Who signs: the fleet's private key itself, or a program that has it, wherever that may be. */
import { createPublicKey, KeyObject, verify } from 'node:crypto';
import { BladerootError } from '../errors.ts';
import { runForBytes } from '../system/run.ts';
import { keyId, preAuthEncoding, seal, sealed } from './envelope.ts';

/** Signs without showing the key. */
export interface ExternalKey {
  publicKey: KeyObject;
  /** The ed25519 signature over these bytes, 64 bytes long. */
  sign(bytes: Buffer): Promise<Buffer>;
}

export type SigningKey = KeyObject | ExternalKey;

export function publicHalf(key: SigningKey): KeyObject {
  return key instanceof KeyObject ? createPublicKey(key) : key.publicKey;
}

/** As `seal`, by whoever signs. @throws BladerootError `SIGNING_FAILED` */
export async function sealWith(payloadType: string, statement: unknown, key: SigningKey): Promise<string> {
  if (key instanceof KeyObject) return seal(payloadType, statement, key);
  const payload = Buffer.from(JSON.stringify(statement));
  const signature = await key.sign(preAuthEncoding(payloadType, payload));
  return sealed(payloadType, payload, { keyid: keyId(key.publicKey), signature });
}

/**
 * A command of the shell that gets what is to be signed on stdin and writes the signature, 64 bytes, to stdout. What it
 * answers is checked: nothing is written that blades would refuse.
 */
export function signingCommand(command: string, publicKey: KeyObject, signal?: AbortSignal): ExternalKey {
  return {
    publicKey,
    async sign(bytes) {
      // The administrator's own words: a pipe, a variable, `ssh HOST` are theirs to use.
      const signature = await runForBytes('/bin/sh', ['-c', command], { input: bytes, signal });
      if (signature.length === 64 && verify(null, bytes, publicKey, signature)) return signature;
      const got = signature.length === 64 ? 'of another key' : `of ${signature.length} bytes`;
      throw new BladerootError(
        'SIGNING_FAILED',
        `the command of --sign-with has written a signature ${got}`,
        {
          hint: `it has to be the 64 bytes of an ed25519 signature by the fleet's key (${keyId(publicKey)}); docs/releases.md has examples`,
        },
      );
    },
  };
}
