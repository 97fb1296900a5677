/**
 * The manifest: canonical JSON lines that say all about a tree but its files' content. Its SHA-256 is the snapshot's id,
 * so one tree has exactly one form, and everything else is refused. See docs/format.md.
 */
import { isUtf8 } from 'node:buffer';
import { BladerootError, describeError } from '../errors.ts';
import type { Layer, ObjectRef } from '../store/pack-index.ts';
import { parentOf, type BytePath } from './byte-path.ts';
import { entryFromLine, entryToLine } from './manifest-line.ts';
import { SharedTexts } from './shared-texts.ts';

interface Place {
  /** '' for the root, which comes first. */
  path: BytePath;
  layer: Layer;
}

/** What everything but a hard link has of its own. */
export interface Metadata {
  /** Permission bits, such as 0o4755. */
  mode: number;
  uid: number;
  gid: number;
  /** Decimal seconds since 1970, with up to nine decimals and no trailing zero, such as `-1.5`. */
  mtime: string;
  /** Raw values by name (the name's characters are its bytes), sorted by name; ACLs and capabilities among them. */
  xattrs: ReadonlyMap<string, Buffer>;
}

export type DirEntry = Place & Metadata & { type: 'dir' };
/** Where data is in a sparse file: [offset, length] in bytes; what is not data is a hole. */
export type Extent = readonly [offset: number, length: number];
export type FileEntry = Place &
  Metadata & {
    type: 'file';
    /** Of the whole file, with its holes. */
    size: number;
    /** The file's data, in parts of at most MAX_OBJECT_SIZE, one after the other; none where there is no data. */
    objects: readonly ObjectRef[];
    /** In order; undefined for a file without holes. */
    extents: readonly Extent[] | undefined;
  };
export type SymlinkEntry = Place & Metadata & { type: 'symlink'; target: BytePath };
export type DeviceEntry = Place & Metadata & { type: 'char' | 'block'; major: number; minor: number };
export type FifoEntry = Place & Metadata & { type: 'fifo' };
/** Another name of what is at `target`, which is the first path of its link group. */
export type HardlinkEntry = Place & { type: 'hardlink'; target: BytePath };
export type ManifestEntry = DirEntry | FileEntry | SymlinkEntry | DeviceEntry | FifoEntry | HardlinkEntry;

const HEADER = JSON.stringify({ format: 'bladeroot-manifest', version: 1 });

/** The manifest of entries that are in the order of their paths' bytes. */
export function encodeManifest(entries: readonly ManifestEntry[]): Buffer {
  return Buffer.concat([...manifestParts(entries)]);
}

/** As `encodeManifest`, in parts: a large manifest takes as much memory as its entries. */
export function* manifestParts(entries: readonly ManifestEntry[]): Generator<Buffer> {
  yield Buffer.from(`${HEADER}\n`);
  for (let i = 0; i < entries.length; i += LINES_AT_ONCE) {
    const lines = entries.slice(i, i + LINES_AT_ONCE).map(entryToLine);
    yield Buffer.from(`${lines.join('\n')}\n`);
  }
}

const LINES_AT_ONCE = 4096;

/**
 * Reads a manifest, which is hostile until this has returned: afterwards every path lies in the tree, below directories
 * only, each once and in order, and every hard link names an earlier thing that is neither a directory nor a link.
 * @throws BladerootError `MANIFEST_INVALID`, with the line
 */
export function parseManifest(bytes: Buffer): ManifestEntry[] {
  if (!isUtf8(bytes)) throw invalid(1, 'it is not UTF-8');
  const [tree, times] = [new TreeCheck(), new SharedTexts()];
  const entries: ManifestEntry[] = [];
  let number = 0;
  for (const line of linesOf(bytes)) {
    number++;
    if (number === 1) {
      if (line === HEADER) continue;
      throw invalid(1, `it is not ${HEADER}; is the snapshot from a newer bladeroot?`);
    }
    try {
      const entry = entryFromLine(line);
      if (entryToLine(entry) !== line) throw new Error('it is not in the canonical form');
      tree.add(entry);
      if (entry.type !== 'hardlink') entry.mtime = times.share(entry.mtime);
      entries.push(entry);
    } catch (error) {
      throw invalid(number, describeError(error), error);
    }
  }
  if (entries.length === 0) throw invalid(2, 'it is cut off');
  return entries;
}

/** The lines of a text, each of which has to end in a newline. */
function* linesOf(bytes: Buffer): Generator<string> {
  for (let start = 0, line = 1; start < bytes.length; line++) {
    const end = bytes.indexOf(0x0a, start);
    if (end < 0) throw invalid(line, 'it is cut off');
    yield bytes.toString('utf8', start, end);
    start = end + 1;
  }
}

function invalid(line: number, why: string, cause?: unknown): BladerootError {
  return new BladerootError('MANIFEST_INVALID', `line ${line} of the manifest is refused: ${why}`, { cause });
}

/** Whether entries, in their order, make one tree. */
class TreeCheck {
  readonly #types = new Map<BytePath, ManifestEntry['type']>();
  /** Directories of the layer `extra`: nothing of `run` may lie in them. */
  readonly #extra = new Set<BytePath>();
  #last: BytePath | undefined;

  add(entry: ManifestEntry): void {
    const { path, type, layer } = entry;
    if (this.#last === undefined) {
      if (path !== '' || type !== 'dir') throw new Error('the first entry is not the root directory');
    } else {
      if (path <= this.#last) throw new Error('it is not in order');
      if (BAD_PATH.test(path)) throw new Error('its path does not stay in the tree');
      if (this.#types.get(parentOf(path)) !== 'dir') throw new Error('what it lies in is no directory');
      if (layer === 'run' && this.#extra.has(parentOf(path))) {
        throw new Error('it is of the layer run, and what it lies in is not');
      }
    }
    if (type === 'hardlink') {
      const linked = this.#types.get(entry.target);
      if (linked === undefined || linked === 'dir' || linked === 'hardlink') {
        throw new Error('it is a hard link to nothing that can be linked');
      }
    }
    this.#types.set(path, type);
    if (type === 'dir' && layer === 'extra') this.#extra.add(path);
    this.#last = path;
  }
}

/** A component that is empty, `.` or `..`, or a zero byte. */
const BAD_PATH = /(?:^|\/)\.{0,2}(?:\/|$)|\0/;
