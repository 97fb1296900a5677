/**
 * age files (age-encryption.org/v1) with X25519: what is written here, age(1) reads, and the reverse. Everything is in
 * memory: a secret is a key or a password, not an image.
 */
import type { Encrypter } from 'age-encryption';
import { BladerootError } from '../errors.ts';
import { isArmored, isCiphertext } from './ciphertext.ts';

/** Loaded when it is needed: it takes longer than most commands that may need it. */
const age = async () => await import('age-encryption');

/** A new private key, `AGE-SECRET-KEY-1…`. */
export async function makeIdentity(): Promise<string> {
  return await (await age()).generateX25519Identity();
}

/** The public half, `age1…`. @throws BladerootError `BAD_IDENTITY`, which does not repeat the identity */
export async function recipientOf(identity: string): Promise<string> {
  const { identityToRecipient } = await age();
  try {
    return await identityToRecipient(identity);
  } catch {
    // Whatever the library says may quote what it was given.
    throw new BladerootError('BAD_IDENTITY', 'this is no age identity', {
      hint: 'it is a line that begins with AGE-SECRET-KEY-1, as `age-keygen` and `bladeroot init` write it',
    });
  }
}

/**
 * An armoured age file (text, for git's sake) that each of these can read.
 * @throws BladerootError `BAD_RECIPIENT`
 */
export async function encryptTo(clear: Uint8Array, recipients: readonly string[]): Promise<Buffer> {
  const library = await age();
  const encrypter = new library.Encrypter();
  for (const recipient of recipients) addRecipient(encrypter, recipient);
  return Buffer.from(library.armor.encode(await encrypter.encrypt(clear)));
}

function addRecipient(encrypter: Encrypter, recipient: string): void {
  try {
    encrypter.addRecipient(recipient);
  } catch (error) {
    throw new BladerootError('BAD_RECIPIENT', `${recipient} is no age recipient`, {
      hint: 'a letter of it is wrong: copy it again from `bladeroot blade list --pending`, or from age-keygen -y',
      cause: error,
    });
  }
}

/**
 * The clear text of an age file, armoured or not.
 * @param what the file, for errors
 * @throws BladerootError `NOT_ENCRYPTED`, `SECRET_UNREADABLE` when it is not for any of the identities or damaged
 */
export async function decryptWith(
  ciphertext: Uint8Array,
  identities: readonly string[],
  what: string,
): Promise<Buffer> {
  if (!isCiphertext(ciphertext)) {
    throw new BladerootError('NOT_ENCRYPTED', `${what} is no age file`, {
      hint: 'remove it, and write it with `bladeroot secret set`',
    });
  }
  const { armor, Decrypter } = await age();
  const decrypter = new Decrypter();
  for (const identity of identities) decrypter.addIdentity(identity);
  try {
    const binary = isArmored(ciphertext) ? armor.decode(Buffer.from(ciphertext).toString()) : ciphertext;
    return Buffer.from(await decrypter.decrypt(binary));
  } catch (error) {
    const said = error instanceof Error ? error.message : 'it cannot be decrypted';
    throw new BladerootError('SECRET_UNREADABLE', `${what}: ${said}`, {
      hint: 'the identity is not one that it is encrypted to, or the file is damaged; `bladeroot secret list` says who can read it',
    });
  }
}
