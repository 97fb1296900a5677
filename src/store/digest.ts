import { createHash, hash, webcrypto } from 'node:crypto';

/** SHA-256 as 64 lower-case hex digits. */
export type Digest = string;

export const DIGEST = /^[0-9a-f]{64}$/;

export function isDigest(text: string): boolean {
  return DIGEST.test(text);
}

export function sha256(bytes: Uint8Array): Digest {
  return hash('sha256', bytes, 'hex');
}

/** As sha256, on another thread: for who has something else to do meanwhile. */
export async function sha256Meanwhile(bytes: Uint8Array): Promise<Digest> {
  return Buffer.from(await webcrypto.subtle.digest('SHA-256', bytes)).toString('hex');
}

/** Passes chunks on and calls `done` with the SHA-256 of all of them, after the last one. */
export async function* hashing(
  chunks: AsyncIterable<Buffer>,
  done: (digest: Digest) => void,
): AsyncGenerator<Buffer> {
  const sum = createHash('sha256');
  for await (const chunk of chunks) {
    sum.update(chunk);
    yield chunk;
  }
  done(sum.digest('hex'));
}
