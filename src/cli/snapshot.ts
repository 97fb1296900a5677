import { stat } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import type { Command } from 'commander';
import { packTree } from '../image/pack.ts';
import { snapshotStatement, type SnapshotStatement } from '../image/statement.ts';
import { unpackSnapshot } from '../image/unpack.ts';
import { readPrivateKey, readPublicKey } from '../release/keys.ts';
import { findSnapshot, listSnapshot, readSnapshots } from '../release/snapshots.ts';
import { DirectorySource } from '../store/directory-source.ts';
import { Store } from '../store/store.ts';
import { lockTree } from '../tree/lock.ts';
import { installProgram } from '../tree/program.ts';
import { Trees } from '../tree/trees.ts';
import { contextOf, leaf, noun } from './command.ts';
import { bytes, table } from './output.ts';

export function snapshotCommands(signal: AbortSignal): Command {
  return noun('snapshot', 'immutable, signed images of trees', [
    pack(signal),
    unpack(signal),
    list(signal),
    show(signal),
  ]);
}

function pack(signal: AbortSignal): Command {
  return leaf('pack', 'pack a tree, or any directory, into a signed snapshot', [
    'bladeroot snapshot pack debian        # a tree: the program is put into it first',
    'bladeroot snapshot pack ./rootfs      # a directory, exactly as it is',
  ])
    .argument('<tree|dir>', 'name of a tree, or path of a directory (with a slash in it)')
    .action(async (source: string, _options, command: Command) => {
      const { stateDirectory, output } = contextOf(command, signal);
      const key = await readPrivateKey(stateDirectory);
      const store = await Store.open(join(stateDirectory, 'store'));
      const { name, path, isTree } = await whatToPack(stateDirectory, source);
      const unlock = await lockTree(path);
      try {
        if (isTree) {
          const written = await installProgram(path);
          output.step(
            `the program in ${path} is ${written === 0 ? 'up to date' : `updated (${written} files)`}`,
          );
        }
        output.step(`packing ${path}`);
        const packed = await packTree(path, store, {
          signal,
          onProgress: ({ entriesDone, entriesTotal, bytesDone }) =>
            output.progress(() => `packing: ${entriesDone} of ${entriesTotal} entries, ${bytes(bytesDone)}`),
        });
        const statement = snapshotStatement(packed, name, new Date());
        await listSnapshot(store, statement, key);
        const { id, layers, storedBytes, newObjects, newBytes, filesRead, seconds } = packed;
        const size = layers.reduce((sum, layer) => sum + layer.bytes, 0);
        const result = {
          id,
          layers: layers.map((layer) => ({
            name: layer.name,
            entries: layer.entries,
            bytes: layer.bytes,
            objects: layer.objects,
          })),
          bytes: size,
          storedBytes,
          newObjects,
          newBytes,
          filesRead,
          seconds,
        };
        const facts = `${bytes(size)} in ${filesRead} files, ${bytes(storedBytes)} stored, ${seconds.toFixed(1)} s`;
        output.result(result, `snapshot ${id.slice(0, 12)} of ${name}: ${facts}`);
      } finally {
        await unlock();
      }
    });
}

async function whatToPack(
  stateDirectory: string,
  source: string,
): Promise<{ name: string; path: string; isTree: boolean }> {
  const isPath = source.includes('/') || source === '.' || source === '..';
  const directory = await stat(source).catch(() => undefined);
  if (isPath && directory?.isDirectory() === true) {
    return { name: basename(resolve(source)), path: resolve(source), isTree: false };
  }
  const { name, path } = await new Trees(stateDirectory).get(source);
  return { name, path, isTree: true };
}

function unpack(signal: AbortSignal): Command {
  return leaf('unpack', 'unpack a snapshot into an empty directory', [
    'bladeroot snapshot unpack debian /mnt/root       # the newest of the tree debian',
    'bladeroot snapshot unpack 5f0c11d2 /mnt/root',
  ])
    .argument('<id>', "a snapshot's id or its beginning, or a tree's name")
    .argument('<dir>', 'an empty or new directory')
    .action(async (id: string, directory: string, _options, command: Command) => {
      const { stateDirectory, output } = contextOf(command, signal);
      const store = await Store.open(join(stateDirectory, 'store'));
      const statement = await findSnapshot(store, id, await readPublicKey(stateDirectory));
      const begun = performance.now();
      await unpackSnapshot({
        statement,
        source: new DirectorySource(store.directory),
        directory: resolve(directory),
        signal,
        onProgress: ({ bytesDone, bytesTotal }) =>
          output.progress(() => `unpacking: ${bytes(bytesDone)} of ${bytes(bytesTotal)}`),
      });
      const seconds = (performance.now() - begun) / 1000;
      output.result(
        { id: statement.id, directory: resolve(directory), seconds },
        `snapshot ${statement.id.slice(0, 12)} unpacked into ${directory} in ${seconds.toFixed(1)} s`,
      );
    });
}

function list(signal: AbortSignal): Command {
  return leaf('list', 'list the snapshots, oldest first', ['bladeroot snapshot list']).action(
    async (_options, command: Command) => {
      const { stateDirectory, output } = contextOf(command, signal);
      const store = await Store.open(join(stateDirectory, 'store'));
      const all = await readSnapshots(store, await readPublicKey(stateDirectory));
      const rows = all.map((snapshot) => [
        snapshot.id.slice(0, 12),
        snapshot.tree,
        snapshot.created.slice(0, 19).replace('T', ' '),
        bytes(contentBytes(snapshot)),
        bytes(snapshot.storedBytes),
      ]);
      const headings = ['SNAPSHOT', 'TREE', 'CREATED (UTC)', 'SIZE', 'STORED'];
      output.result(all, rows.length === 0 ? 'no snapshots' : table(headings, rows));
    },
  );
}

function show(signal: AbortSignal): Command {
  return leaf('show', 'show one snapshot', [
    'bladeroot snapshot show debian',
    'bladeroot snapshot show 5f0c11d2 --json',
  ])
    .argument('<id>', "a snapshot's id or its beginning, or a tree's name")
    .action(async (id: string, _options, command: Command) => {
      const { stateDirectory, output } = contextOf(command, signal);
      const store = await Store.open(join(stateDirectory, 'store'));
      const snapshot = await findSnapshot(store, id, await readPublicKey(stateDirectory));
      const lines = [
        `snapshot  ${snapshot.id}`,
        `tree      ${snapshot.tree}`,
        `created   ${snapshot.created}`,
        `size      ${bytes(contentBytes(snapshot))}, ${bytes(snapshot.storedBytes)} stored`,
        ...snapshot.layers.flatMap((layer) => [
          `layer     ${layer.name}: ${layer.entries} entries, ${layer.objects} objects`,
          ...layer.packs.map((item) => `  pack    ${item.id} (${bytes(item.bytes)})`),
        ]),
      ];
      output.result(snapshot, lines.join('\n'));
    });
}

function contentBytes(snapshot: SnapshotStatement): number {
  return snapshot.layers.reduce((sum, layer) => sum + layer.bytes, 0);
}
