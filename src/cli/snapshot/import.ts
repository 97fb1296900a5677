import { createReadStream } from 'node:fs';
import { access } from 'node:fs/promises';
import { addAbortSignal, type Readable } from 'node:stream';
import type { Command } from 'commander';
import { BladerootError, errorCode } from '../../errors.ts';
import { importSnapshot } from '../../release/import-snapshot.ts';
import { readPublicKey } from '../../release/keys.ts';
import { contextOf, leaf } from '../command.ts';
import { bytes } from '../output.ts';
import { locked, openStore } from '../store.ts';

export function importCommand(signal: AbortSignal): Command {
  return leaf('import', "take in an exported snapshot, if it is signed by the fleet's key", [
    'bladeroot snapshot import /mnt/usb/stable.tar',
    'ssh root@web01 bladeroot snapshot export stable - | bladeroot snapshot import -',
  ])
    .argument('<file>', 'what `snapshot export` has written; - for stdin')
    .action(async (file: string, _options, command: Command) => {
      const context = contextOf(command, signal);
      const { output } = context;
      const publicKey = await readPublicKey(context.stateDirectory);
      const archive = await openArchive(file);
      const store = await openStore(context);
      const { statement, isNew } = await locked(context, store, 'shared', () =>
        importSnapshot(store, addAbortSignal(signal, archive), publicKey, {
          signal,
          onProgress: ({ bytesDone }) => output.progress(() => `importing: ${bytes(bytesDone)} checked`),
        }),
      );
      const name = `snapshot ${statement.id.slice(0, 12)} of ${statement.tree}`;
      output.result({ id: statement.id, isNew }, isNew ? `${name} is imported` : `${name} is here already`);
    });
}

async function openArchive(file: string): Promise<Readable> {
  if (file === '-') return process.stdin;
  await access(file).catch((error: unknown) => {
    if (errorCode(error) !== 'ENOENT') throw error;
    throw new BladerootError('BAD_FILE', `there is no file ${file}`);
  });
  return createReadStream(file, { highWaterMark: 1024 * 1024 });
}
