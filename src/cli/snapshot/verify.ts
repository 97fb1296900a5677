import type { Command } from 'commander';
import { findId, findSnapshot } from '../../release/find-snapshot.ts';
import { readPublicKey } from '../../release/keys.ts';
import { ReleaseRepository } from '../../release/repository.ts';
import { requireSound, verifyStore, type Verified } from '../../release/verify.ts';
import { openSource } from '../../store/open-source.ts';
import { collect, contextOf, leaf } from '../command.ts';
import { bytes } from '../output.ts';
import { locked, openStore, readStore } from '../store.ts';

interface VerifyCommandOptions {
  repairFrom: string[];
}

export function verifyCommand(signal: AbortSignal): Command {
  return leaf('verify', 'read everything in the store and check it; mend it from another store', [
    'bladeroot snapshot verify                     # all snapshots, and what releases name',
    'bladeroot snapshot verify stable              # one snapshot',
    'bladeroot snapshot verify --repair-from http://web02:8067/store --repair-from /mnt/backup/store',
  ])
    .argument('[id]', "a snapshot's id or its beginning, a tag, or a tree's name (default: all)")
    .option(
      '--repair-from <url|dir>',
      'fetch from there what is damaged or missing here (again and again: the first that has it sound)',
      collect,
      [],
    )
    .addHelpText('after', '\nExit status: 0 if all is sound in the end, 1 if a problem is left.')
    .action(async (text: string | undefined, { repairFrom }: VerifyCommandOptions, command: Command) => {
      const context = contextOf(command, signal);
      const { stateDirectory, output } = context;
      const publicKey = await readPublicKey(stateDirectory);
      const store = await (repairFrom.length === 0 ? readStore(context) : openStore(context));
      const sources = repairFrom.map((from) => openSource(from));
      try {
        const verified = await locked(context, store, 'shared', async () => {
          const id =
            text === undefined
              ? undefined
              : ((await findId(store, text)) ?? (await findSnapshot(store, text, publicKey)).id);
          return await verifyStore({
            store,
            publicKey,
            releases: new ReleaseRepository(stateDirectory, publicKey),
            id,
            sources,
            signal,
            onProgress: ({ bytesDone, bytesTotal }) =>
              output.progress(() => `checking: ${bytes(bytesDone)} of ${bytes(bytesTotal)}`),
          });
        });
        output.result(verified, describe(verified));
        requireSound(verified);
      } finally {
        for (const source of sources) source.close?.();
      }
    });
}

function describe({ snapshots, packs, blobs, problems, notes }: Verified): string {
  const mended = problems.filter((problem) => problem.mended).length;
  const found = problems.length === 0 ? 'all sound' : `${problems.length} problems, ${mended} mended`;
  return [
    ...problems.map(({ path, message, mended: done }) => `${path}: ${message}${done ? ' (mended)' : ''}`),
    ...notes,
    `${snapshots} snapshots, ${packs} packs, ${blobs} blobs: ${found}`,
  ].join('\n');
}
