/**
 * What the last initrd was built of, so that publishing again builds one only when something of that has changed, and
 * compresses only what has changed in it. It is derived: without it, or when it cannot be read, the initrd is built.
 */
import type { KeyObject } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { Initrd } from '../initrd/build.ts';
import { digestSchema } from '../store/digest-schema.ts';
import { sha256, type Digest } from '../store/digest.ts';
import type { Store } from '../store/store.ts';
import { programDigest } from '../system/program-digest.ts';
import { readIfThere } from '../system/read-file.ts';
import { writeFileAtomic } from '../system/write-file.ts';
import type { Blob } from './statement.ts';

const FILE = 'initrd.json';

const recordSchema = z.object({
  inputs: digestSchema,
  digest: digestSchema,
  bytes: z.int(),
  /** The archives in it, in their order: what each is uncompressed, and how long it is. */
  parts: z.array(z.object({ content: digestSchema, bytes: z.int() })),
});
type BuiltInitrd = z.infer<typeof recordSchema>;

/** All that an initrd is made of: the snapshot, the key that it trusts, and the program that builds it. */
export async function initrdInputs(snapshot: Digest, publicKey: KeyObject): Promise<Digest> {
  const der = publicKey.export({ type: 'spki', format: 'der' });
  return sha256(Buffer.from([snapshot, sha256(der), await programDigest()].join('\n')));
}

/** The last initrd that was built, if it is still whole in the store: publishing again mends it. */
export async function lastInitrd(stateDirectory: string, store: Store): Promise<BuiltInitrd | undefined> {
  const text = await readIfThere(join(stateDirectory, FILE));
  const record = text === undefined ? undefined : recordSchema.safeParse(parsed(text)).data;
  return record !== undefined && (await isWhole(store, record.digest)) ? record : undefined;
}

async function isWhole(store: Store, digest: Digest): Promise<boolean> {
  return (await store.hasBlob(digest)) && sha256(await readFile(store.blobPath(digest))) === digest;
}

/** The compressed archives of an initrd, by what they are uncompressed; none of one that is damaged. */
export async function archivesOf(store: Store, initrd: BuiltInitrd): Promise<Map<Digest, Buffer>> {
  const bytes = await readFile(store.blobPath(initrd.digest));
  const archives = new Map<Digest, Buffer>();
  if (sha256(bytes) !== initrd.digest) return archives;
  let at = 0;
  for (const part of initrd.parts) {
    archives.set(part.content, bytes.subarray(at, at + part.bytes));
    at += part.bytes;
  }
  return archives;
}

/** Keeps an initrd in the store, and what it was built of. */
export async function keepInitrd(
  stateDirectory: string,
  store: Store,
  inputs: Digest,
  { bytes, parts }: Initrd,
): Promise<Blob> {
  const blob = { digest: await store.putBlob(bytes), bytes: bytes.length };
  const record: BuiltInitrd = { inputs, ...blob, parts };
  await writeFileAtomic(join(stateDirectory, FILE), `${JSON.stringify(record)}\n`);
  return blob;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
