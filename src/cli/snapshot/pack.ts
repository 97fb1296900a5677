import { stat } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import type { Command } from 'commander';
import { packTree } from '../../image/pack.ts';
import { needsRepack, repack } from '../../image/repack.ts';
import { contentBytes, snapshotStatement, type SnapshotStatement } from '../../image/statement.ts';
import { readPublicKey } from '../../release/keys.ts';
import { findSnapshot, newestOf } from '../../release/find-snapshot.ts';
import type { SigningKey } from '../../release/signing-key.ts';
import { listSnapshot, signSnapshot } from '../../release/snapshots.ts';
import type { Store } from '../../store/store.ts';
import { lockTree } from '../../tree/lock.ts';
import { installProgram } from '../../tree/program.ts';
import { Trees } from '../../tree/trees.ts';
import { collect, contextOf, leaf, type Context } from '../command.ts';
import { bytes } from '../output.ts';
import { openSigningKey, withSigningOptions, type SigningOptions } from '../signing.ts';
import { locked, openStore } from '../store.ts';
import { requireTag } from './tag.ts';

interface PackCommandOptions extends SigningOptions {
  tag?: string;
  base?: string;
  extra: string[];
  exclude: string[];
  live?: boolean;
}

export function packCommand(signal: AbortSignal): Command {
  const command = leaf('pack', 'pack a tree, or any directory, into a signed snapshot', [
    'bladeroot snapshot pack debian             # a tree: the program is put into it first',
    'bladeroot snapshot pack ./rootfs --tag web # a directory, exactly as it is',
  ])
    .argument('<tree|dir>', 'name of a tree, or path of a directory (with a slash in it)')
    .option('--tag <name>', 'a name for the snapshot; it is taken from the one that has it')
    .option('--base <id>', 'the snapshot to build upon (else the newest of the same tree or tag)')
    .option('--extra <pattern>', 'goes to the layer extra (gitignore syntax; again and again)', collect, [])
    .option('--exclude <pattern>', 'is left out (gitignore syntax; again and again)', collect, [])
    .option('--live', 'pack what changes meanwhile as it is found, with a warning, instead of failing');
  return withSigningOptions(command).action(
    async (source: string, options: PackCommandOptions, command: Command) => {
      const context = contextOf(command, signal);
      const { stateDirectory, output } = context;
      if (options.tag !== undefined) requireTag(options.tag);
      const key = await openSigningKey(context, options);
      const { name, path, isTree } = await whatToPack(stateDirectory, source);
      const unlock = await lockTree(path);
      try {
        if (isTree) {
          const written = await installProgram(path);
          output.step(
            `the program in ${path} is ${written === 0 ? 'up to date' : `updated (${written} files)`}`,
          );
        }
        const store = await openStore(context);
        await locked(context, store, 'shared', () => pack(context, { store, key, name, path }, options));
      } finally {
        await unlock();
      }
    },
  );
}

interface PackRequest {
  store: Store;
  key: SigningKey;
  /** Of the tree. */
  name: string;
  path: string;
}

async function pack(
  { stateDirectory, output, signal }: Context,
  { store, key, name, path }: PackRequest,
  options: PackCommandOptions,
): Promise<void> {
  const base = await baseOf(stateDirectory, store, name, options);
  output.step(`packing ${path}${base === undefined ? '' : `, upon ${base.id.slice(0, 12)}`}`);
  const packed = await packTree(path, store, {
    base,
    cacheFolder: join(stateDirectory, 'cache/pack'),
    patterns: { extra: options.extra, exclude: options.exclude },
    live: options.live,
    signal,
    onNote: (note) => output.step(note),
    onProgress: ({ entriesDone, entriesTotal, bytesDone }) =>
      output.progress(() => `packing: ${entriesDone} of ${entriesTotal} entries, ${bytes(bytesDone)}`),
  });
  let statement = await listSnapshot(store, snapshotStatement(packed, name, new Date()), key);
  if (statement.tree !== name) {
    output.step(`the same content is listed already, as a snapshot of ${statement.tree}`);
  }
  if (options.tag !== undefined) await store.putTag(options.tag, statement.id);
  // What it costs a blank blade is another matter only where something is new.
  if (packed.id !== base?.id && (await needsRepack(store, statement))) {
    output.step('much of what a blank blade would fetch is obsolete: making full packs');
    statement = await repack(store, statement, {
      signal,
      onProgress: ({ bytesDone, bytesTotal }) =>
        output.progress(() => `repacking: ${bytes(bytesDone)} of ${bytes(bytesTotal)}`),
    });
    await signSnapshot(store, statement, key);
  }
  const { id, layers, newObjects, newBytes, filesRead, seconds } = packed;
  const result = {
    id,
    layers: layers.map((layer) => ({
      name: layer.name,
      entries: layer.entries,
      bytes: layer.bytes,
      objects: layer.objects,
    })),
    bytes: contentBytes(statement),
    storedBytes: statement.storedBytes,
    newObjects,
    newBytes,
    filesRead,
    seconds,
  };
  const facts = [
    `${bytes(result.bytes)}, ${filesRead} files read`,
    `${bytes(statement.storedBytes)} stored, ${bytes(newBytes)} new`,
    `${seconds.toFixed(1)} s`,
  ];
  output.result(result, `snapshot ${id.slice(0, 12)} of ${name}: ${facts.join('; ')}`);
}

async function baseOf(
  stateDirectory: string,
  store: Store,
  tree: string,
  { base, tag }: PackCommandOptions,
): Promise<SnapshotStatement | undefined> {
  const publicKey = await readPublicKey(stateDirectory);
  if (base !== undefined) return await findSnapshot(store, base, publicKey);
  return await newestOf(store, { tree, tag }, publicKey);
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
