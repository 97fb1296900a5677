/** The fleet's signing key: ed25519, as PEM files in the state directory's `keys`. */
import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { BladerootError } from '../errors.ts';
import { makeReadableDirectory, writeFileAtomic } from '../system/write-file.ts';
import { readIfThere } from '../system/read-file.ts';

const PRIVATE = 'release.key';
const PUBLIC = 'release.pub';

/**
 * Makes the pair, unless there is one already; returns whether it was made.
 * @throws BladerootError `NOT_THE_FIRST_ROOT` where there is only the public half, as on a promoted blade: with another
 * key, the fleet's blades would take nothing from here any more.
 */
export async function createKeys(stateDirectory: string): Promise<boolean> {
  const directory = await makeKeysDirectory(stateDirectory);
  const privateKey = join(directory, PRIVATE);
  const publicKey = join(directory, PUBLIC);
  const hasPublic = (await readIfThere(publicKey)) !== undefined;
  if ((await readIfThere(privateKey)) !== undefined) {
    // The power failed between the two files.
    if (!hasPublic)
      await writePublicKey(stateDirectory, createPublicKey(await readPrivateKey(stateDirectory)));
    return false;
  }
  if (hasPublic) {
    throw new BladerootError('NOT_THE_FIRST_ROOT', `${publicKey} is there, but not ${privateKey}`, {
      hint: "copy the fleet's release.key there from its first root, or name an empty directory with --state",
    });
  }
  const pair = generateKeyPairSync('ed25519');
  await writeFileAtomic(privateKey, pair.privateKey.export({ type: 'pkcs8', format: 'pem' }), {
    mode: 0o600,
  });
  await writePublicKey(stateDirectory, pair.publicKey);
  return true;
}

/** Puts the public half where a standby looks for it. */
export async function writePublicKey(stateDirectory: string, key: KeyObject): Promise<void> {
  const directory = await makeKeysDirectory(stateDirectory);
  await writeFileAtomic(join(directory, PUBLIC), key.export({ type: 'spki', format: 'pem' }));
}

async function makeKeysDirectory(stateDirectory: string): Promise<string> {
  await makeReadableDirectory(stateDirectory);
  const directory = join(stateDirectory, 'keys');
  await mkdir(directory, { recursive: true, mode: 0o700 });
  return directory;
}

/** @throws BladerootError `NO_KEY`, `KEY_DAMAGED` */
export async function readPrivateKey(stateDirectory: string): Promise<KeyObject> {
  return await readKey(stateDirectory, PRIVATE, createPrivateKey);
}

/** @throws BladerootError `NO_KEY`, `KEY_DAMAGED` */
export async function readPublicKey(stateDirectory: string): Promise<KeyObject> {
  return await readKey(stateDirectory, PUBLIC, createPublicKey);
}

/** A public key that lies anywhere. @throws BladerootError `NO_KEY`, `KEY_DAMAGED` */
export async function readPublicKeyFile(path: string): Promise<KeyObject> {
  const key = await readKeyFile(path, createPublicKey);
  if (key !== undefined) return key;
  throw new BladerootError('NO_KEY', `there is no key at ${path}`, {
    hint: "it is the fleet's keys/release.pub, in the state directory of every root and blade",
  });
}

async function readKeyFile(path: string, parse: (pem: string) => KeyObject): Promise<KeyObject | undefined> {
  const text = await readIfThere(path);
  if (text === undefined) return undefined;
  const key = parsed(text, parse);
  if (key?.asymmetricKeyType === 'ed25519') return key;
  throw new BladerootError('KEY_DAMAGED', `${path} is no ed25519 key in PEM form`, {
    hint: 'put it back from a backup, or from another root of the fleet',
  });
}

async function readKey(
  stateDirectory: string,
  name: string,
  parse: (pem: string) => KeyObject,
): Promise<KeyObject> {
  const path = join(stateDirectory, 'keys', name);
  const key = await readKeyFile(path, parse);
  if (key !== undefined) return key;
  throw new BladerootError('NO_KEY', `there is no fleet key at ${path}`, {
    hint:
      name === PRIVATE
        ? 'run `bladeroot init` on a new root; a promoted blade serves and cannot publish'
        : 'run `bladeroot init`',
  });
}

function parsed(text: string, parse: (pem: string) => KeyObject): KeyObject | undefined {
  try {
    return parse(text);
  } catch (error) {
    // Whatever OpenSSL has to say about a text that is no key, it does not help a person.
    if (error instanceof Error) return undefined;
    throw error;
  }
}
