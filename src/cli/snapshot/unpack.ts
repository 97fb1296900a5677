import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { BladerootError } from '../../errors.ts';
import { unpackSnapshot } from '../../image/unpack.ts';
import { readPublicKey } from '../../release/keys.ts';
import { findSnapshot } from '../../release/snapshots.ts';
import { DirectorySource } from '../../store/directory-source.ts';
import { LAYERS, type Layer } from '../../store/pack-index.ts';
import { Store } from '../../store/store.ts';
import { collect, contextOf, leaf } from '../command.ts';
import { bytes } from '../output.ts';

interface UnpackCommandOptions {
  layers: Layer[];
  keep: string[];
  checksum?: boolean;
}

export function unpackCommand(signal: AbortSignal): Command {
  return leaf('unpack', 'make a directory what a snapshot is', [
    'bladeroot snapshot unpack debian /mnt/root            # the newest of the tree debian',
    'bladeroot snapshot unpack 5f0c11d2 /mnt/root --keep /home/',
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
    .action(async (id: string, directory: string, options: UnpackCommandOptions, command: Command) => {
      const { stateDirectory, output } = contextOf(command, signal);
      const store = await Store.open(join(stateDirectory, 'store'));
      const statement = await findSnapshot(store, id, await readPublicKey(stateDirectory));
      const begun = performance.now();
      let written = 0;
      await unpackSnapshot({
        statement,
        source: new DirectorySource(store.directory),
        directory: resolve(directory),
        ...options,
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
    });
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
