/**
 * What the last initrd was built of, so that publishing again builds one only when something of that has changed. It is
 * derived: without it, or when it cannot be read, the initrd is built.
 */
import type { KeyObject } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { digestSchema } from '../store/digest-schema.ts';
import { sha256, type Digest } from '../store/digest.ts';
import type { Store } from '../store/store.ts';
import { programDigest } from '../system/program-digest.ts';
import { readIfThere } from '../system/read-file.ts';
import { writeFileAtomic } from '../system/write-file.ts';
import type { Blob } from './statement.ts';

const FILE = 'initrd.json';

const recordSchema = z.object({ inputs: digestSchema, digest: digestSchema, bytes: z.int() });

/** All that an initrd is made of: the snapshot, the key that it trusts, and the program that builds it. */
export async function initrdInputs(snapshot: Digest, publicKey: KeyObject): Promise<Digest> {
  const der = publicKey.export({ type: 'spki', format: 'der' });
  return sha256(Buffer.from([snapshot, sha256(der), await programDigest()].join('\n')));
}

/** The initrd that was built of just that, if it is the last one and still whole in the store: publishing again mends it. */
export async function builtInitrd(
  stateDirectory: string,
  store: Store,
  inputs: Digest,
): Promise<Blob | undefined> {
  const text = await readIfThere(join(stateDirectory, FILE));
  const record = text === undefined ? undefined : recordSchema.safeParse(parsed(text)).data;
  if (record?.inputs !== inputs || !(await isWhole(store, record.digest))) return undefined;
  return { digest: record.digest, bytes: record.bytes };
}

async function isWhole(store: Store, digest: Digest): Promise<boolean> {
  return (await store.hasBlob(digest)) && sha256(await readFile(store.blobPath(digest))) === digest;
}

export async function writeBuiltInitrd(stateDirectory: string, inputs: Digest, initrd: Blob): Promise<void> {
  await writeFileAtomic(join(stateDirectory, FILE), `${JSON.stringify({ inputs, ...initrd })}\n`);
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
