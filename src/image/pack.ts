/** A tree into a store: GNU tar reads it, its stream becomes a manifest and a pack of objects. */
import { BladerootError, errorCode } from '../errors.ts';
import type { Digest } from '../store/digest.ts';
import type { Layer } from '../store/pack-index.ts';
import { PackWriter, type WrittenPack } from '../store/pack-writer.ts';
import type { Store } from '../store/store.ts';
import { ProgramFailed, startPiped, type PipedChild } from '../system/run.ts';
import { fromBytes, toBytes, type BytePath } from './byte-path.ts';
import { LEFTOVERS, matcherOf } from './leftovers.ts';
import { encodeManifest, type FileEntry, type ManifestEntry } from './manifest.ts';
import { decodeTar, type TarEntry } from './tar-decoder.ts';
import { walkTree } from './walk.ts';

export interface PackProgress {
  entriesDone: number;
  entriesTotal: number;
  /** Of content that was read. */
  bytesDone: number;
}

export interface PackOptions {
  /** Patterns of paths to leave out, beside LEFTOVERS. */
  exclude?: readonly string[];
  signal?: AbortSignal | undefined;
  onProgress?: ((progress: PackProgress) => void) | undefined;
}

export interface PackedLayer {
  name: Layer;
  entries: number;
  /** Of the files' content. */
  bytes: number;
  objects: number;
  packs: { id: Digest; bytes: number }[];
}

export interface PackedTree {
  /** SHA-256 of the manifest: the snapshot's id. */
  id: Digest;
  /** Lengths in bytes. */
  manifest: { bytes: number; storedBytes: number };
  layers: PackedLayer[];
  /** What a blank blade fetches: manifest, packs and their indexes. */
  storedBytes: number;
  /** What the store did not have before. */
  newObjects: number;
  newBytes: number;
  filesRead: number;
  seconds: number;
}

/**
 * Packs the tree in a directory. The same tree gives the same id on any machine, at any time, in any locale.
 * @throws BladerootError `TREE_MISSING`, or `TREE_CHANGED` when it could not be read as it stands
 */
export async function packTree(
  directory: string,
  store: Store,
  options: PackOptions = {},
): Promise<PackedTree> {
  const started = performance.now();
  const paths = await walkTree(directory, options);
  const writer = await PackWriter.create(store, 'run');
  try {
    const entries = await readTree(directory, paths, writer, options);
    const pack = await writer.finish();
    const bytes = encodeManifest(entries);
    const { id, storedBytes, isNew } = await store.putManifest(bytes);
    const packBytes = pack === undefined ? 0 : pack.bytes + pack.indexBytes;
    return {
      id,
      manifest: { bytes: bytes.length, storedBytes },
      layers: [layerOf(entries, pack)],
      storedBytes: storedBytes + packBytes,
      newObjects: pack?.isNew === true ? pack.objects : 0,
      newBytes: (isNew ? storedBytes : 0) + (pack?.isNew === true ? packBytes : 0),
      filesRead: filesIn(entries).length,
      seconds: (performance.now() - started) / 1000,
    };
  } catch (error) {
    await writer.discard();
    throw error;
  }
}

/**
 * GNU tar reads: Node knows no xattrs. ACLs come among them in their raw form, as the kernel keeps them, which is the
 * same everywhere; `--acls` would only add them once more as text. Without atime and ctime a file that was merely read
 * stays the same.
 */
const TAR_ARGS = [
  '--create',
  '--file=-',
  '--format=pax',
  '--pax-option=delete=atime,delete=ctime',
  '--xattrs',
  '--xattrs-include=*',
  '--numeric-owner',
  '--no-recursion',
  '--null',
  '--verbatim-files-from',
];

/** The entries of a tree, in the order of `paths`; the content of its files goes to the pack. */
async function readTree(
  directory: string,
  paths: readonly BytePath[],
  writer: PackWriter,
  { signal, onProgress }: PackOptions,
): Promise<ManifestEntry[]> {
  const entries: ManifestEntry[] = [];
  let bytesDone = 0;
  const tar = startPiped('tar', [...TAR_ARGS, `--directory=${directory}`, '--files-from=-'], {
    env: { LC_ALL: 'C', TAR_OPTIONS: '' },
    signal,
  });
  try {
    tar.stdin.end(toBytes(paths.map((path) => (path === '' ? '.\0' : `./${path}\0`)).join('')));
    for await (const entry of decodeTar(tar.stdout)) {
      entries.push(await toManifestEntry(entry, writer));
      bytesDone += entry.header.size;
      onProgress?.({ entriesDone: entries.length, entriesTotal: paths.length, bytesDone });
    }
    await tar.done;
  } catch (error) {
    throw await whyUnread(directory, tar, error);
  }
  return entries;
}

async function toManifestEntry({ header, content }: TarEntry, writer: PackWriter): Promise<ManifestEntry> {
  const { type, mode, uid, gid, mtime, major, minor } = header;
  const place = { path: treePath(header.path), layer: 'run' as const };
  if (type === 'hardlink') return { ...place, type, target: treePath(header.target) };

  const xattrs = new Map([...header.xattrs].sort(([a], [b]) => (a < b ? -1 : 1)));
  const common = { ...place, mode, uid, gid, mtime, xattrs };
  switch (type) {
    case 'file': {
      if (header.size === 0 || emptied(place.path)) return { ...common, type, size: 0, object: undefined };
      return { ...common, type, size: header.size, object: await writer.add(content, header.size) };
    }
    case 'symlink':
      return { ...common, type, target: fromBytes(header.target) };
    case 'char':
    case 'block':
      return { ...common, type, major, minor };
    default:
      return { ...common, type };
  }
}

const emptied = matcherOf(LEFTOVERS.emptied);

/** Members are called `./`, `./etc/`, `./etc/passwd`. */
function treePath(member: Buffer): BytePath {
  return fromBytes(member).replace(/^\.\//, '').replace(/\/$/, '');
}

/** The reason behind an error: when tar's stream is cut off, tar itself says why. */
async function whyUnread(directory: string, tar: PipedChild, error: unknown): Promise<unknown> {
  tar.kill('SIGTERM');
  const ended = await tar.done.catch((reason: unknown) => reason);
  const cause = errorCode(error) === 'TAR_CUT_OFF' ? ended : error;
  if (!(cause instanceof ProgramFailed)) return cause;
  const said = cause.stderr.trim().split('\n').slice(0, 5).join('; ');
  return new BladerootError('TREE_CHANGED', `${directory} could not be read as it stands: ${said}`, {
    hint: 'nothing may change a tree while it is being packed',
    cause,
  });
}

function layerOf(entries: readonly ManifestEntry[], pack: WrittenPack | undefined): PackedLayer {
  return {
    name: 'run',
    entries: entries.length,
    bytes: filesIn(entries).reduce((bytes, file) => bytes + file.size, 0),
    objects: pack?.objects ?? 0,
    packs: pack === undefined ? [] : [{ id: pack.id, bytes: pack.bytes }],
  };
}

function filesIn(entries: readonly ManifestEntry[]): FileEntry[] {
  return entries.filter((entry) => entry.type === 'file');
}
