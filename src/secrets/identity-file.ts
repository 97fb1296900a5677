/** Identities in files, as age-keygen(1) writes them: comments, and a private key on a line. */
import { constants } from 'node:fs';
import { mkdir, open, type FileHandle } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { BladerootError, errorCode } from '../errors.ts';
import { writeFileAtomic } from '../system/write-file.ts';
import { makeIdentity, recipientOf } from './age.ts';

export interface Identity {
  /** `AGE-SECRET-KEY-1…`: never printed, sent or logged. */
  secret: string;
  /** `age1…` */
  recipient: string;
}

/** Of the identity that a blade keeps beside its host keys, in its state directory. */
export const BLADE_IDENTITY = 'identity/age.key';

/** Of the fleet's recovery identity where `init` makes it, in the state directory; from there it is to be taken away. */
export const RECOVERY_IDENTITY = 'keys/recovery.key';

export async function newIdentity(): Promise<Identity> {
  const secret = await makeIdentity();
  return { secret, recipient: await recipientOf(secret) };
}

/** Writes it for its owner alone, whole or not at all. */
export async function writeIdentity(path: string, { secret, recipient }: Identity): Promise<void> {
  // The mode is for the last folder alone: a blade's state directory, above it, is for the boot services to enter.
  await mkdir(dirname(dirname(path)), { recursive: true });
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  await writeFileAtomic(path, `# public key: ${recipient}\n${secret}\n`, { mode: 0o600 });
}

/**
 * The identities in a file; undefined when there is no such file.
 * @throws BladerootError `BAD_IDENTITY`, `IDENTITY_EXPOSED` when others than its owner can read it
 */
export async function readIdentities(path: string): Promise<Identity[] | undefined> {
  let file: FileHandle;
  try {
    file = await open(path, constants.O_RDONLY);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
  try {
    const { mode } = await file.stat();
    if ((mode & 0o077) !== 0) {
      throw new BladerootError('IDENTITY_EXPOSED', `others can read the identity in ${path}`, {
        hint: `chmod 600 ${path}; if somebody may have read it, make another one and rekey`,
      });
    }
    return await parseIdentities(await file.readFile('utf8'), path);
  } finally {
    await file.close();
  }
}

async function parseIdentities(text: string, path: string): Promise<Identity[]> {
  const secrets = text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'));
  if (secrets.length === 0) throw badFile(path, 'has no identity in it');
  const found: Identity[] = [];
  for (const [index, secret] of secrets.entries()) {
    const recipient = await recipientOf(secret).catch(() => undefined);
    if (recipient === undefined)
      throw badFile(path, `has something else than an identity (its ${index + 1}. line that is no comment)`);
    found.push({ secret, recipient });
  }
  return found;
}

function badFile(path: string, what: string): BladerootError {
  return new BladerootError('BAD_IDENTITY', `${path} ${what}`, {
    hint: 'an identity is a line that begins with AGE-SECRET-KEY-1, as age-keygen writes it',
  });
}

/** The blade's own, made on the blade, or undefined before its first deployment. @throws as readIdentities */
export async function readBladeIdentity(stateDirectory: string): Promise<Identity | undefined> {
  return (await readIdentities(join(stateDirectory, BLADE_IDENTITY)))?.[0];
}
