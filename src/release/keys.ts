/** The fleet's signing key: ed25519, as PEM files in the state directory's `keys`. */
import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { BladerootError, errorCode } from '../errors.ts';
import { writeFileAtomic } from '../system/write-file.ts';

const PRIVATE = 'release.key';
const PUBLIC = 'release.pub';

/** Makes the pair, unless there is one already; returns whether it was made. */
export async function createKeys(stateDirectory: string): Promise<boolean> {
  const directory = join(stateDirectory, 'keys');
  await mkdir(directory, { recursive: true, mode: 0o700 });
  if ((await readIfThere(join(directory, PRIVATE))) !== undefined) return false;
  const pair = generateKeyPairSync('ed25519');
  await writeFileAtomic(join(directory, PRIVATE), pair.privateKey.export({ type: 'pkcs8', format: 'pem' }), {
    mode: 0o600,
  });
  await writePublicKey(stateDirectory, pair.publicKey);
  return true;
}

/** Puts the public half where a standby looks for it. */
export async function writePublicKey(stateDirectory: string, key: KeyObject): Promise<void> {
  const directory = join(stateDirectory, 'keys');
  await mkdir(directory, { recursive: true, mode: 0o700 });
  await writeFileAtomic(join(directory, PUBLIC), key.export({ type: 'spki', format: 'pem' }));
}

/** @throws BladerootError `NO_KEY` */
export async function readPrivateKey(stateDirectory: string): Promise<KeyObject> {
  return createPrivateKey(await readKeyFile(stateDirectory, PRIVATE));
}

/** @throws BladerootError `NO_KEY` */
export async function readPublicKey(stateDirectory: string): Promise<KeyObject> {
  return createPublicKey(await readKeyFile(stateDirectory, PUBLIC));
}

async function readKeyFile(stateDirectory: string, name: string): Promise<string> {
  const path = join(stateDirectory, 'keys', name);
  const text = await readIfThere(path);
  if (text !== undefined) return text;
  throw new BladerootError('NO_KEY', `there is no fleet key at ${path}`, {
    hint:
      name === PRIVATE
        ? 'run `bladeroot init` on a new root; a promoted blade serves and cannot publish'
        : 'run `bladeroot init`',
  });
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}
