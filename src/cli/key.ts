import type { Command } from 'commander';
import { keyId } from '../release/envelope.ts';
import {
  privateKeyFile,
  privateKeyPath,
  readPrivateKey,
  readPublicKey,
  writePrivateKey,
  type PrivateKeyFile,
} from '../release/keys.ts';
import { ReleaseRepository } from '../release/repository.ts';
import type { ReleaseStatement } from '../release/statement.ts';
import { contextOf, leaf, noun } from './command.ts';
import { newPassphraseFrom, passphraseFrom } from './passphrase.ts';

export function keyCommands(signal: AbortSignal): Command {
  return noun('key', 'the key that signs what the fleet runs', [show(signal), passphrase(signal)]);
}

function show(signal: AbortSignal): Command {
  return leaf('show', 'which key it is, where it lies, and whether losing this root would lose it', [
    'bladeroot key show',
    'bladeroot key show --json',
  ]).action(async (_options, command: Command) => {
    const { stateDirectory, output } = contextOf(command, signal);
    const publicKey = await readPublicKey(stateDirectory);
    const file = await privateKeyFile(stateDirectory);
    const current = await new ReleaseRepository(stateDirectory, publicKey).current();
    const carried = current?.statement.key;
    const result = {
      id: keyId(publicKey),
      publicKey: publicKey.export({ type: 'spki', format: 'pem' }).toString(),
      private: file.kind,
      release: current?.statement.sequence,
      carried: carried?.digest,
    };
    const lines = [
      `key      ${result.id} (ed25519)`,
      `private  ${describeFile(stateDirectory, file)}`,
      `blades   ${describeCarried(current?.statement)}`,
      result.publicKey.trimEnd(),
    ];
    output.result(result, lines.join('\n'));
  });
}

function describeFile(stateDirectory: string, { kind }: PrivateKeyFile): string {
  switch (kind) {
    case 'plain':
      return `${privateKeyPath(stateDirectory)}, without a passphrase: \`bladeroot key passphrase\` gives it one`;
    case 'encrypted':
      return `${privateKeyPath(stateDirectory)}, with a passphrase`;
    case 'elsewhere':
      return 'not here: publishing takes --key or --sign-with';
  }
}

function describeCarried(release: ReleaseStatement | undefined): string {
  if (release === undefined) return 'there is no release yet';
  const { sequence, key } = release;
  if (key !== undefined) return `carry it, encrypted, with release ${sequence} (blob ${key.digest})`;
  return `do not carry it: with this root it would be lost (release ${sequence} was published without one that has a passphrase)`;
}

interface PassphraseOptions {
  passphraseFile?: string;
  newPassphraseFile?: string;
  remove?: boolean;
}

function passphrase(signal: AbortSignal): Command {
  return leaf(
    'passphrase',
    'give the key a passphrase, or change it; blades carry it from the next release on',
    [
      'bladeroot key passphrase                       # asks for it',
      'bladeroot key passphrase --new-passphrase-file /dev/fd/3 3<<<"$WORDS"',
      'bladeroot key passphrase --remove              # blades carry it no longer',
    ],
  )
    .option('--passphrase-file <file>', 'whose first line is the one that the key has now')
    .option('--new-passphrase-file <file>', 'whose first line is the new one')
    .option('--remove', 'leave the key without any')
    .action(async (options: PassphraseOptions, command: Command) => {
      const { stateDirectory, output } = contextOf(command, signal);
      const key = await readPrivateKey(stateDirectory, passphraseFrom(options.passphraseFile));
      const path = privateKeyPath(stateDirectory);
      const isRemoved = options.remove === true;
      const fresh = isRemoved ? undefined : await newPassphraseFrom(options.newPassphraseFile)(path);
      await writePrivateKey(stateDirectory, key, fresh);
      const text = isRemoved
        ? `${path} has no passphrase any more: blades do not carry it from the next release on`
        : `${path} has a new passphrase: blades carry it from the next release on (\`bladeroot release publish\`); with what older releases carry, the old one works`;
      output.result({ key: keyId(key), private: isRemoved ? 'plain' : 'encrypted' }, text);
    });
}
