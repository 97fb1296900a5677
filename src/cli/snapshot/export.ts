import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Command } from 'commander';
import { BladerootError, errorCode } from '../../errors.ts';
import { exportSnapshot } from '../../release/export-snapshot.ts';
import { findSnapshot } from '../../release/find-snapshot.ts';
import { readPublicKey } from '../../release/keys.ts';
import { writeFileAtomic } from '../../system/write-file.ts';
import { contextOf, leaf } from '../command.ts';
import { bytes } from '../output.ts';
import { locked, readStore } from '../store.ts';

export function exportCommand(signal: AbortSignal): Command {
  return leaf('export', 'write a snapshot, with all that it needs, to one file', [
    'bladeroot snapshot export stable /mnt/usb/stable.tar',
    'bladeroot snapshot export stable - | ssh root@web02 bladeroot snapshot import -',
  ])
    .argument('<id>', "a snapshot's id or its beginning, a tag, or a tree's name")
    .argument('<file>', 'a tar archive; - for stdout')
    .action(async (text: string, file: string, _options, command: Command) => {
      const context = contextOf(command, signal);
      const { output } = context;
      const publicKey = await readPublicKey(context.stateDirectory);
      const store = await readStore(context);
      await requireWritable(file);
      await locked(context, store, 'shared', async () => {
        const { id, tree } = await findSnapshot(store, text, publicKey);
        let written = 0;
        const onProgress = ({ bytesDone, bytesTotal }: { bytesDone: number; bytesTotal: number }): void => {
          written = bytesDone;
          output.progress(() => `exporting: ${bytes(bytesDone)} of ${bytes(bytesTotal)}`);
        };
        const archive = exportSnapshot(store, id, publicKey, { signal, onProgress });
        if (file === '-') await pipeline(Readable.from(archive), process.stdout, { end: false, signal });
        else await writeFileAtomic(resolve(file), archive);
        const said = `snapshot ${id.slice(0, 12)} of ${tree}: ${bytes(written)} of packs exported`;
        if (file === '-') output.step(said);
        else output.result({ id, file: resolve(file), packBytes: written }, `${said} to ${file}`);
      });
    });
}

/** A file is written aside and renamed, which must not replace a device. */
async function requireWritable(file: string): Promise<void> {
  if (file === '-') {
    if (!process.stdout.isTTY) return;
    throw new BladerootError('BAD_FILE', 'an archive is not written to a terminal', {
      hint: 'redirect stdout, or name a file',
    });
  }
  const there = await stat(file).catch((error: unknown) => {
    if (errorCode(error) !== 'ENOENT') throw error;
    return undefined;
  });
  if (there === undefined || there.isFile()) return;
  throw new BladerootError('BAD_FILE', `${file} is there, and is no file`, { hint: 'name a new file, or -' });
}
