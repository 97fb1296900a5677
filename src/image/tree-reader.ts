/** A tree on its way into a snapshot: what is in it, which files have to be read, and whether it stayed as it was. */
import { setImmediate as breathe } from 'node:timers/promises';
import { errorCode } from '../errors.ts';
import { MAX_OBJECT_SIZE } from '../store/frame.ts';
import type { Digest } from '../store/digest.ts';
import { LAYERS, type Layer, type ObjectRef } from '../store/pack-index.ts';
import { endPhase } from '../system/collect-garbage.ts';
import { readXattrs } from '../system/posix.ts';
import type { BaseFinder } from './bases.ts';
import type { SeenFile } from './content.ts';
import { parentOf, type BytePath } from './byte-path.ts';
import type { Extent, ManifestEntry } from './manifest.ts';
import type { PackPool, PartToPack } from './object-packer.ts';
import type { PackCache } from './pack-cache.ts';
import type { FilePart, ReadPart } from './pack-worker.ts';
import type { PackedBase } from './packed-base.ts';
import { lookAt, stampOf, StampList, type ThingStat } from './thing-stat.ts';
import { entryOf, groupOf, linkGroups, type LinkGroup, type UnreadFile } from './tree-entries.ts';
import { ScanAhead, type Scan } from './scan-ahead.ts';
import type { SeenTree } from './seen-tree.ts';
import { TreeProblems } from './tree-problems.ts';
import { SharedTexts } from './shared-texts.ts';
import { isMissing, type TreeRoot } from './tree-root.ts';
import type { WalkedTree } from './walk.ts';

export interface PackProgress {
  entriesDone: number;
  entriesTotal: number;
  /** Of content that was read. */
  bytesDone: number;
}

export interface TreeReaderOptions {
  /** Packs what changes meanwhile as it is found, with a note, instead of failing. */
  live?: boolean | undefined;
  signal?: AbortSignal | undefined;
  /** Called for what is packed otherwise than it was seen. */
  onNote?: ((note: string) => void) | undefined;
  onProgress?: ((progress: PackProgress) => void) | undefined;
}

/** A file that has to be read, with its place among the entries. */
interface FileToRead {
  entry: UnreadFile;
  place: number;
}

/** What was known of files before they were read is not needed any more, and V8 takes its time to see that. */
const FILES_IN_A_PHASE = 25_000;

/** Things that are looked at before others get their turn. */
const THINGS_AT_ONCE = 2000;

/** Reads what a walk saw: all entries, and the contents that are not known yet. */
export class TreeReader {
  /** Files whose content was read. */
  filesRead = 0;
  readonly #seenTree: SeenTree;
  readonly #root: TreeRoot;
  readonly #tree: WalkedTree;
  readonly #base: PackedBase | undefined;
  readonly #options: TreeReaderOptions;
  /** An entry a thing; undefined while its content is being read, and for good when it vanished. */
  readonly #entries: (ManifestEntry | undefined)[];
  readonly #times = new SharedTexts();
  readonly #groups: ReadonlyMap<string, LinkGroup>;
  /** Places of files, by where their contents belong: to `run` when any of a file's names does. */
  readonly #toRead: Readonly<Record<Layer, number[]>> = { run: [], extra: [] };
  readonly #problems = new TreeProblems();
  readonly #progress: PackProgress;

  private constructor(seen: SeenTree, base: PackedBase | undefined, options: TreeReaderOptions) {
    this.#seenTree = seen;
    this.#root = seen.root;
    this.#tree = seen.things;
    this.#base = base;
    this.#options = options;
    this.#entries = this.#tree.paths.map(() => undefined);
    this.#groups = linkGroups(this.#tree);
    for (const path of seen.vanished) this.#problems.note(path, 'vanished');
    this.#progress = { entriesDone: 0, entriesTotal: this.#tree.paths.length, bytesDone: 0 };
  }

  /** Finds out which files have to be read. @throws BladerootError `TREE_CHANGED` */
  static async open(
    seen: SeenTree,
    cache: PackCache | undefined,
    base: PackedBase | undefined,
    options: TreeReaderOptions,
  ): Promise<TreeReader> {
    const reader = new TreeReader(seen, base, options);
    await reader.#look(cache);
    return reader;
  }

  /** The contents that belong to a layer, in the order of their paths; to be packed as they come. */
  async *parts(layer: Layer, scanner: PackPool, finder: BaseFinder | undefined): AsyncGenerator<PartToPack> {
    const places = this.#toRead[layer];
    const scans = new ScanAhead(
      places.filter((place) => isToScan(this.#tree.at(place).stat)),
      async (place) => await this.#scan(this.#fileAt(place), scanner),
    );
    for (const place of places) {
      const file = this.#fileAt(place);
      if (++this.filesRead % FILES_IN_A_PHASE === 0) endPhase();
      const { path, size } = file.entry;
      const seen = this.#seen(file);
      const isScanned = isToScan(this.#tree.at(place).stat);
      const { extents, lengths } = isScanned ? await scans.take() : { extents: undefined, lengths: [size] };
      if (isScanned && scans.isAtEnd) await scanner.rest();
      const total = lengths.reduce((sum, length) => sum + length, 0);
      if (total === 0) this.#complete(file, [], extents, this.#xattrsOf(path));
      const objects: ObjectRef[] = [];
      let from = 0;
      for (const length of lengths) {
        const content: FilePart = { file: seen, extents, from, length };
        const bases = finder?.basesFor(path, from, length, total) ?? [];
        const onDigest = (object: ObjectRef, part: ReadPart): void => {
          objects.push(object);
          this.#problems.note(path, part.problem);
          this.#progress.bytesDone += length;
          if (objects.length === lengths.length) this.#complete(file, objects, extents, part.xattrs);
        };
        yield { length, content, bases, onDigest };
        from += length;
      }
    }
  }

  /** What is in `run`, once its contents have been read. */
  runObjects(): Set<Digest> {
    const found = new Set<Digest>();
    for (const entry of this.#entries) {
      if (entry?.type === 'file' && entry.layer === 'run')
        for (const { digest } of entry.objects) found.add(digest);
    }
    return found;
  }

  /**
   * That all is still what the walk saw: no file was written, nothing came or went while others were being read.
   * @throws BladerootError `TREE_CHANGED`, unless what changes is to be packed all the same
   */
  async requireUnchanged(): Promise<void> {
    let looked = 0;
    for (const { path, stat } of this.#tree) {
      if (looked++ % THINGS_AT_ONCE === 0) await this.#breathe();
      const now = lookAgain(this.#root, path);
      if (now === undefined) this.#problems.note(path, 'vanished');
      else if (stampOf(now) !== stampOf(stat)) this.#problems.note(path, 'changed');
    }
    this.#requireNoProblems();
    if (this.#problems.isEmpty) return;
    const packed = new Set(this.finish().map(({ path }) => path));
    for (const note of this.#problems.notes(packed)) this.#options.onNote?.(note);
  }

  #requireNoProblems(): void {
    if (this.#options.live !== true) this.#problems.requireNone();
  }

  /** All entries, once everything has been read. */
  finish(): ManifestEntry[] {
    return this.#kept().flatMap((place) => this.#entries[place] ?? []);
  }

  /** What each entry of `finish` was like; nothing where it may change again without the times moving. */
  stamps(): StampList {
    const kept = this.#kept();
    const stamps = StampList.ofLength(kept.length);
    for (const [i, place] of kept.entries()) {
      const hasProblem = this.#problems.get(this.#tree.paths[place] ?? '') !== undefined;
      if (!hasProblem && this.#seenTree.isSettled(place)) stamps.set(i, this.#tree.stamp(place));
    }
    return stamps;
  }

  /** What a later walk will have again only if nothing has changed since this one; undefined where that is not certain. */
  digest(): Digest | undefined {
    return this.#problems.isEmpty ? this.#seenTree.digest() : undefined;
  }

  /** The places of what did not vanish, nor lies in what did, nor is another name of it. */
  #kept(): number[] {
    const gone = new Set<BytePath>();
    const kept: number[] = [];
    for (const [place, path] of this.#tree.paths.entries()) {
      const entry = this.#entries[place];
      const isLost =
        entry === undefined ||
        (path !== '' && gone.has(parentOf(path))) ||
        (entry.type === 'hardlink' && gone.has(entry.target));
      if (isLost) gone.add(path);
      else kept.push(place);
    }
    return kept;
  }

  async #look(cache: PackCache | undefined): Promise<void> {
    const [base, tree, groups] = [this.#base, this.#tree, this.#groups];
    const inRun = new Set<Digest>();
    if (base !== undefined) {
      for (const [place, path] of tree.paths.entries()) tree.sharePath(place, base.samePath(path));
    }
    // First what goes to `run`: what `extra` shares with it need not be packed again.
    for (const layer of LAYERS) {
      for (const place of tree.paths.keys()) {
        if (place % THINGS_AT_ONCE === 0) await this.#breathe();
        const thing = tree.at(place);
        const group = groupOf(thing.stat, groups);
        if ((group?.layer ?? thing.layer) !== layer) continue;
        // One whose first name was another when it was packed, or is now, is a link of another kind.
        const isFirst = group === undefined || group.first === thing.path;
        const seen = isFirst ? cache?.unchanged(thing.path, tree.stamp(place)) : undefined;
        const objects = seen?.type === 'file' ? seen.objects : [];
        const isHere = ({ digest }: ObjectRef): boolean =>
          base?.knows(layer, digest) === true || (layer === 'extra' && inRun.has(digest));
        if (seen !== undefined && objects.every(isHere)) {
          this.#put(place, seen.layer === thing.layer ? seen : { ...seen, layer: thing.layer });
          if (layer === 'run') for (const { digest } of objects) inRun.add(digest);
          continue;
        }
        const made = this.#ifThere(thing.path, () => entryOf(this.#root, thing, groups));
        if (made === undefined) continue;
        if ('entry' in made) this.#put(place, base?.sameAs(made.entry) ?? made.entry);
        else this.#toRead[layer].push(place);
      }
    }
    this.#requireNoProblems();
    this.#progress.entriesDone = tree.paths.length - this.#toRead.run.length - this.#toRead.extra.length;
    endPhase();
  }

  #xattrsOf(path: BytePath): ReadPart['xattrs'] {
    return this.#ifThere(path, () => readXattrs(this.#root.at(path))) ?? NO_XATTRS;
  }

  /** Looks at something; undefined, and noted, where it has vanished since the walk. */
  #ifThere<T>(path: BytePath, look: () => T): T | undefined {
    try {
      return look();
    } catch (error) {
      // EINVAL: what was a symbolic link is none any more.
      if (!isMissing(error) && errorCode(error) !== 'EINVAL') throw error;
      this.#problems.note(path, 'vanished');
      return undefined;
    }
  }

  /** What is known of a file that has to be read: made as it is needed, as there are many. */
  #fileAt(place: number): FileToRead {
    const made = entryOf(this.#root, this.#tree.at(place), this.#groups);
    if ('entry' in made) throw new Error(`${made.entry.path} is known already`);
    return { entry: made.unread, place };
  }

  /** For the threads that read it. */
  #seen({ entry: { path, size }, place }: FileToRead): SeenFile {
    return { path: this.#root.at(path), stamp: stampOf(this.#tree.at(place).stat), size };
  }

  /** Where the data of a file is, and the lengths of the parts that it is cut into. */
  async #scan(file: FileToRead, scanner: PackPool): Promise<Scan> {
    const result = await scanner.run({ kind: 'scan', file: this.#seen(file) });
    if (result.kind !== 'scanned') throw new Error(`a scan ended as ${result.kind}`);
    this.#problems.note(file.entry.path, result.problem);
    return { extents: result.extents, lengths: result.parts };
  }

  #complete(
    file: FileToRead,
    objects: readonly ObjectRef[],
    extents: readonly Extent[] | undefined,
    xattrs: ReadPart['xattrs'],
  ): void {
    this.#progress.entriesDone++;
    this.#options.onProgress?.(this.#progress);
    if (this.#problems.get(file.entry.path) === 'vanished') return;
    const values = Array.from(xattrs, ([name, value]): [string, Buffer] => [name, Buffer.from(value)]);
    // All fields by name, as where a manifest is read: what is put together by spreading takes twice the memory.
    const { path, layer, mode, uid, gid, mtime, type, size } = file.entry;
    const own = values.length === 0 ? file.entry.xattrs : new Map(values);
    // Not with the room that an array has that is added to, nor a map for nothing: there are many files.
    const kept = objects.slice();
    const entry: ManifestEntry = {
      path,
      layer,
      mode,
      uid,
      gid,
      mtime,
      xattrs: own,
      type,
      size,
      objects: kept,
      extents,
    };
    this.#put(file.place, this.#base?.sameAs(entry) ?? entry);
  }

  #put(place: number, entry: ManifestEntry): void {
    if (entry.type !== 'hardlink') entry.mtime = this.#times.share(entry.mtime);
    this.#entries[place] = entry;
    this.#tree.sharePath(place, entry.path);
  }

  async #breathe(): Promise<void> {
    await breathe();
    this.#options.signal?.throwIfAborted();
  }
}

function isToScan({ isSparse, size }: ThingStat): boolean {
  return isSparse || size > MAX_OBJECT_SIZE;
}

const NO_XATTRS: ReadPart['xattrs'] = new Map();

function lookAgain(root: TreeRoot, path: BytePath): ThingStat | undefined {
  try {
    return lookAt(root, path);
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}
