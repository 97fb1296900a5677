/** What a new content is likely to resemble, and so can be a patch on: the old content of the same file. */
import { EntryFinder } from './entry-finder.ts';
import type { ObjectReader } from '../store/object-reader.ts';
import { MAX_BASE_SIZE } from '../store/frame.ts';
import type { ObjectRef } from '../store/pack-index.ts';
import type { BytePath } from './byte-path.ts';
import type { FileEntry, ManifestEntry } from './manifest.ts';

/** How far before and after its own place in the file the old content of a part is looked at, in bytes. */
const MARGIN = 2 * 1024 * 1024;

/**
 * Applying a patch may need another to be applied first, and so on; each step holds its bases in memory. What would lie
 * deeper is based on what its base is based on.
 */
const MAX_DEPTH = 2;

/** Finds bases in an old snapshot. */
export class BaseFinder {
  readonly #objects: ObjectReader;
  readonly #entries: readonly ManifestEntry[];
  #old: OldFiles | undefined;

  /** @param objects what the packs hold that the new one may be based on */
  constructor(entries: readonly ManifestEntry[], objects: ObjectReader) {
    this.#objects = objects;
    this.#entries = entries;
  }

  /**
   * The old objects for a part of a file.
   * @param from where it is in the data of the file, `length` bytes of `total`
   */
  basesFor(path: BytePath, from: number, length: number, total: number): ObjectRef[] {
    this.#old ??= new OldFiles(this.#entries);
    const old = this.#old.find(path);
    if (old === undefined) return [];
    const oldTotal = old.objects.reduce((sum, { size }) => sum + size, 0);
    // The file has grown or shrunk somewhere: the same part is expected at the same share of the way.
    const scale = oldTotal / total;
    const window = { start: from * scale - MARGIN, end: (from + length) * scale + MARGIN };
    const found: ObjectRef[] = [];
    let start = 0;
    for (const object of old.objects) {
      const end = start + object.size;
      if (end > window.start && start < window.end) found.push(...this.#shallow(object));
      start = end;
    }
    return withinLimit(found);
  }

  #shallow(object: ObjectRef): readonly ObjectRef[] {
    if (!this.#objects.has(object.digest)) return [];
    return this.#objects.depthOf(object.digest) < MAX_DEPTH ? [object] : this.#objects.basesOf(object.digest);
  }
}

/** The files of the old snapshot, by their paths. */
class OldFiles {
  readonly #entries: readonly ManifestEntry[];
  readonly #finder: EntryFinder;
  /** Places of files by a hash of their path without the numbers in it: the last of each. All those paths would be much. */
  readonly #versions = new Map<number, number>();

  constructor(entries: readonly ManifestEntry[]) {
    this.#entries = entries;
    this.#finder = new EntryFinder(entries);
    for (const [place, entry] of entries.entries()) {
      if (!hasContent(entry)) continue;
      const general = withoutVersion(entry.path);
      if (general !== entry.path) this.#versions.set(hashOf(general), place);
    }
  }

  find(path: BytePath): FileEntry | undefined {
    const same = this.#finder.entryOf(path);
    if (hasContent(same)) return same;
    const general = withoutVersion(path);
    const other = this.#entries[this.#versions.get(hashOf(general)) ?? -1];
    return hasContent(other) && withoutVersion(other.path) === general ? other : undefined;
  }
}

function hasContent(entry: ManifestEntry | undefined): entry is FileEntry {
  return entry?.type === 'file' && entry.objects.length > 0;
}

/** FNV-1a, of 30 bits: V8 has numbers up to that in place. Of two paths with the same hash one is not found. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash >>> 2;
}

/** Each once, and as many as a patch may have. */
export function withinLimit(bases: readonly ObjectRef[]): ObjectRef[] {
  const kept = new Map<string, ObjectRef>();
  let size = 0;
  for (const base of bases) {
    if (kept.has(base.digest) || size + base.size > MAX_BASE_SIZE) continue;
    kept.set(base.digest, base);
    size += base.size;
  }
  return [...kept.values()];
}

/** `lib/modules/6.1.0-37-amd64/x.ko` and `…/6.1.0-40-amd64/x.ko`, `libz.so.1.2.11` and `libz.so.1.2.13` are the same. */
function withoutVersion(path: BytePath): string {
  return path.replace(/\d+(?:[.\-_+~]\d+)*/g, '#');
}
