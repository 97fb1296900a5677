import { resolve } from 'node:path';
import type { Command } from 'commander';
import { BladerootError } from '../../errors.ts';
import { unpackSnapshot } from '../../image/unpack.ts';
import type { SnapshotStatement } from '../../image/statement.ts';
import { findAtSource, findSnapshot } from '../../release/find-snapshot.ts';
import { readPublicKey, readPublicKeyFile } from '../../release/keys.ts';
import { DirectorySource } from '../../store/directory-source.ts';
import { LAYERS, type Layer } from '../../store/pack-index.ts';
import { openSources } from '../../store/open-source.ts';
import type { Source } from '../../store/source.ts';
import { collect, contextOf, leaf, type Context } from '../command.ts';
import { bytes } from '../output.ts';
import { locked, readStore } from '../store.ts';

interface UnpackCommandOptions {
  layers: Layer[];
  keep: string[];
  checksum?: boolean;
  from: string[];
  key?: string;
}

export function unpackCommand(signal: AbortSignal): Command {
  return leaf('unpack', 'make a directory what a snapshot is', [
    'bladeroot snapshot unpack debian /mnt/root            # the newest of the tree debian',
    'bladeroot snapshot unpack 5f0c11d2 /mnt/root --keep /home/',
    'bladeroot snapshot unpack stable /mnt/root --from http://web01:8067/store --key release.pub',
  ])
    .argument('<id>', "a snapshot's id or its beginning, a tag, or a tree's name")
    .argument(
      '<dir>',
      'made where it is missing; in one that is there, what differs is written and the rest removed',
    )
    .option('--layers <names>', `which layers, with commas (default: ${LAYERS.join(',')})`, parseLayers, [
      ...LAYERS,
    ])
    .option('--keep <pattern>', 'is not removed (gitignore syntax; again and again)', collect, [])
    .option('--checksum', 'read what is there already, instead of trusting sizes and times')
    .option(
      '--from <url|dir>',
      'fetch from another store, where it is named by a whole id or a tag (again and again: when one fails, the next goes on)',
      collect,
      [],
    )
    .option('--key <file>', "the fleet's public key (default: that of the state directory)")
    .action(async (id: string, directory: string, options: UnpackCommandOptions, command: Command) => {
      const context = contextOf(command, signal);
      const publicKey = await (options.key === undefined
        ? readPublicKey(context.stateDirectory)
        : readPublicKeyFile(resolve(options.key)));
      if (options.from.length === 0) {
        const store = await readStore(context);
        await locked(context, store, 'shared', async () => {
          const statement = await findSnapshot(store, id, publicKey);
          await unpack(context, statement, new DirectorySource(store.directory), directory, options);
        });
        return;
      }
      const source = openSources(options.from);
      try {
        const { statement } = await findAtSource(source, id, publicKey);
        await unpack(context, statement, source, directory, options);
      } finally {
        source.close?.();
      }
    });
}

async function unpack(
  { output, signal }: Context,
  statement: SnapshotStatement,
  source: Source,
  directory: string,
  { layers, keep, checksum }: UnpackCommandOptions,
): Promise<void> {
  const begun = performance.now();
  let written = 0;
  await unpackSnapshot({
    statement,
    source,
    directory: resolve(directory),
    layers,
    keep,
    checksum,
    signal,
    onProgress: ({ phase, bytesDone, bytesTotal }) => {
      written = bytesDone;
      output.progress(() =>
        phase === 'compare'
          ? `looking at what is in ${directory}`
          : `unpacking: ${bytes(bytesDone)} of ${bytes(bytesTotal)}`,
      );
    },
  });
  const seconds = (performance.now() - begun) / 1000;
  output.result(
    { id: statement.id, directory: resolve(directory), bytesWritten: written, seconds },
    `${directory} is snapshot ${statement.id.slice(0, 12)}: ${bytes(written)} written in ${seconds.toFixed(1)} s`,
  );
}

function parseLayers(text: string): Layer[] {
  return text.split(',').map((name) => {
    const layer = LAYERS.find((each) => each === name);
    if (layer !== undefined) return layer;
    throw new BladerootError('UNKNOWN_LAYER', `there is no layer ${JSON.stringify(name)}`, {
      hint: `the layers are ${LAYERS.join(' and ')}`,
    });
  });
}
