/** The options of all commands that sign. */
import type { Command } from 'commander';
import { BladerootError } from '../errors.ts';
import { keyId } from '../release/envelope.ts';
import { readPrivateKey, readPrivateKeyFile, readPublicKey } from '../release/keys.ts';
import { publicHalf, signingCommand, type SigningKey } from '../release/signing-key.ts';
import type { Context } from './command.ts';
import { passphraseFrom } from './passphrase.ts';

export interface SigningOptions {
  /** Where the key is, if not in the state directory. */
  key?: string;
  signWith?: string;
  passphraseFile?: string;
}

export function withSigningOptions(command: Command): Command {
  return command
    .option('--key <file>', "the fleet's private key, where it is not in the state directory")
    .option('--sign-with <command>', 'a shell command that signs: bytes on stdin, the signature on stdout')
    .option('--passphrase-file <file>', "whose first line is the key's passphrase (else it is asked for)");
}

/**
 * The key that signs; asks for its passphrase where it has one.
 * @throws BladerootError `NO_KEY`, `WRONG_KEY`, `WRONG_PASSPHRASE`, ...
 */
export async function openSigningKey(
  { stateDirectory, signal }: Context,
  { key: file, signWith, passphraseFile }: SigningOptions,
): Promise<SigningKey> {
  if (file !== undefined && signWith !== undefined) {
    throw new BladerootError('BAD_OPTIONS', '--key and --sign-with exclude each other', {
      hint: 'name the one that has the key',
    });
  }
  const passphrase = passphraseFrom(passphraseFile);
  if (file === undefined && signWith === undefined) return await readPrivateKey(stateDirectory, passphrase);
  const publicKey = await readPublicKey(stateDirectory);
  if (signWith !== undefined) return signingCommand(signWith, publicKey, signal);
  const key = await readPrivateKeyFile(file ?? '', passphrase);
  if (keyId(publicHalf(key)) === keyId(publicKey)) return key;
  throw new BladerootError('WRONG_KEY', `${file} is another key (${keyId(key)}) than this fleet's`, {
    hint: `blades trust ${keyId(publicKey)} alone`,
  });
}
