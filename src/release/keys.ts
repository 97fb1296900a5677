/** The fleet's signing key: ed25519, as PEM files in the state directory's `keys`; the private half may have a passphrase. */
import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { BladerootError } from '../errors.ts';
import { makeReadableDirectory, writeFileAtomic } from '../system/write-file.ts';
import { readIfThere } from '../system/read-file.ts';
import { decryptKey, encryptKey, isEncrypted } from './encrypted-key.ts';

/** What is to be said of a key that a root alone has. */
export const UNCARRIED_KEY = {
  message:
    "the fleet's key has no passphrase, so no blade carries it: if this root is lost, nothing can be published any more",
  hint: '`bladeroot key passphrase` gives it one',
};

const PRIVATE = 'release.key';
const PUBLIC = 'release.pub';

/** Asks for a passphrase, or reads it; called only when it is needed. @param path of the key that it is for */
export type AskPassphrase = (path: string) => Promise<string>;

/**
 * Makes the pair, unless there is one already; returns whether it was made.
 * @param passphrase that the private half is to have; undefined: none
 * @throws BladerootError `NOT_THE_FIRST_ROOT` where there is only the public half, as on a promoted blade: with another
 * key, the fleet's blades would take nothing from here any more.
 */
export async function createKeys(stateDirectory: string, passphrase?: AskPassphrase): Promise<boolean> {
  const directory = await makeKeysDirectory(stateDirectory);
  const privateKey = join(directory, PRIVATE);
  const publicKey = join(directory, PUBLIC);
  const hasPublic = (await readIfThere(publicKey)) !== undefined;
  if ((await readIfThere(privateKey)) !== undefined) {
    // The power failed between the two files.
    if (!hasPublic)
      await writePublicKey(stateDirectory, createPublicKey(await readPrivateKey(stateDirectory, passphrase)));
    return false;
  }
  if (hasPublic) {
    throw new BladerootError('NOT_THE_FIRST_ROOT', `${publicKey} is there, but not ${privateKey}`, {
      hint: "copy the fleet's release.key there from its first root, or name an empty directory with --state",
    });
  }
  const pair = generateKeyPairSync('ed25519');
  await writePrivateKey(stateDirectory, pair.privateKey, await passphrase?.(privateKey));
  await writePublicKey(stateDirectory, pair.publicKey);
  return true;
}

/** Writes the private half anew, under a passphrase or without one. @throws BladerootError `PASSPHRASE_SHORT` */
export async function writePrivateKey(
  stateDirectory: string,
  key: KeyObject,
  passphrase: string | undefined,
): Promise<void> {
  const pem =
    passphrase === undefined
      ? key.export({ type: 'pkcs8', format: 'pem' }).toString()
      : encryptKey(key, passphrase);
  await writePrivate(stateDirectory, pem);
}

/** Puts the public half where a standby looks for it. */
export async function writePublicKey(stateDirectory: string, key: KeyObject): Promise<void> {
  const directory = await makeKeysDirectory(stateDirectory);
  await writeFileAtomic(join(directory, PUBLIC), key.export({ type: 'spki', format: 'pem' }));
}

/**
 * Puts the private half that a release carries where a root has it, so that a promoted blade can publish. A key without a
 * passphrase that is there already stays, since it can do more.
 * @returns whether the carried one is there now
 */
export async function placeCarriedKey(stateDirectory: string, pem: string): Promise<boolean> {
  const there = await readIfThere(privateKeyPath(stateDirectory));
  if (there !== undefined && !isEncrypted(there)) return false;
  if (there !== pem) await writePrivate(stateDirectory, pem);
  return true;
}

async function writePrivate(stateDirectory: string, pem: string): Promise<void> {
  await makeKeysDirectory(stateDirectory);
  await writeFileAtomic(privateKeyPath(stateDirectory), pem, { mode: 0o600 });
}

async function makeKeysDirectory(stateDirectory: string): Promise<string> {
  await makeReadableDirectory(stateDirectory);
  const directory = join(stateDirectory, 'keys');
  await mkdir(directory, { recursive: true, mode: 0o700 });
  return directory;
}

/** What is in a state directory of the private half. */
export type PrivateKeyFile =
  | { kind: 'plain' }
  /** `pem` can be carried by blades. */
  | { kind: 'encrypted'; pem: string }
  | { kind: 'elsewhere' };

export async function privateKeyFile(stateDirectory: string): Promise<PrivateKeyFile> {
  const pem = await readIfThere(privateKeyPath(stateDirectory));
  if (pem === undefined) return { kind: 'elsewhere' };
  return isEncrypted(pem) ? { kind: 'encrypted', pem } : { kind: 'plain' };
}

export function privateKeyPath(stateDirectory: string): string {
  return join(stateDirectory, 'keys', PRIVATE);
}

/** @throws BladerootError `NO_KEY`, `KEY_DAMAGED`, `NO_PASSPHRASE`, `WRONG_PASSPHRASE` */
export async function readPrivateKey(stateDirectory: string, passphrase?: AskPassphrase): Promise<KeyObject> {
  const path = privateKeyPath(stateDirectory);
  const key = await readKeyFile(path, (pem) => parsePrivate(path, pem, passphrase));
  if (key !== undefined) return key;
  throw new BladerootError('NO_KEY', `there is no fleet key at ${path}`, {
    hint: 'run `bladeroot init` on a new root; a promoted blade has the key if it has a passphrase; one that is kept elsewhere is named by --key or --sign-with',
  });
}

/** A private key that lies anywhere. @throws as `readPrivateKey` */
export async function readPrivateKeyFile(path: string, passphrase?: AskPassphrase): Promise<KeyObject> {
  const key = await readKeyFile(path, (pem) => parsePrivate(path, pem, passphrase));
  if (key !== undefined) return key;
  throw new BladerootError('NO_KEY', `there is no key at ${path}`, {
    hint: "it is the fleet's release.key",
  });
}

/** @throws BladerootError `NO_KEY`, `KEY_DAMAGED` */
export async function readPublicKey(stateDirectory: string): Promise<KeyObject> {
  const path = join(stateDirectory, 'keys', PUBLIC);
  const key = await readKeyFile(path, createPublicKey);
  if (key !== undefined) return key;
  throw new BladerootError('NO_KEY', `there is no fleet key at ${path}`, { hint: 'run `bladeroot init`' });
}

/** A public key that lies anywhere. @throws BladerootError `NO_KEY`, `KEY_DAMAGED` */
export async function readPublicKeyFile(path: string): Promise<KeyObject> {
  const key = await readKeyFile(path, createPublicKey);
  if (key !== undefined) return key;
  throw new BladerootError('NO_KEY', `there is no key at ${path}`, {
    hint: "it is the fleet's keys/release.pub, in the state directory of every root and blade",
  });
}

async function parsePrivate(
  path: string,
  pem: string,
  passphrase: AskPassphrase | undefined,
): Promise<KeyObject> {
  if (!isEncrypted(pem)) return createPrivateKey(pem);
  if (passphrase !== undefined) return decryptKey(pem, await passphrase(path));
  throw new BladerootError('NO_PASSPHRASE', `the key ${path} has a passphrase`, {
    hint: 'give it with --passphrase-file, or at a terminal',
  });
}

async function readKeyFile(
  path: string,
  parse: (pem: string) => KeyObject | Promise<KeyObject>,
): Promise<KeyObject | undefined> {
  const text = await readIfThere(path);
  if (text === undefined) return undefined;
  const key = await parsed(text, parse);
  if (key?.asymmetricKeyType === 'ed25519') return key;
  throw new BladerootError('KEY_DAMAGED', `${path} is no ed25519 key in PEM form`, {
    hint: 'put it back from a backup, or from another root of the fleet',
  });
}

async function parsed(
  text: string,
  parse: (pem: string) => KeyObject | Promise<KeyObject>,
): Promise<KeyObject | undefined> {
  try {
    return await parse(text);
  } catch (error) {
    if (error instanceof BladerootError) throw error;
    // Whatever OpenSSL has to say about a text that is no key, it does not help a person.
    if (error instanceof Error) return undefined;
    throw error;
  }
}
