/** A snapshot into a directory: fetching, checking, decompressing and writing go on at once, in pack order. */
import { mkdirSync } from 'node:fs';
import { mkdir, readdir } from 'node:fs/promises';
import { setImmediate as breathe } from 'node:timers/promises';
import { BladerootError } from '../errors.ts';
import { DirectorySource } from '../store/directory-source.ts';
import { ObjectReader } from '../store/object-reader.ts';
import { LAYERS, type Layer } from '../store/pack-index.ts';
import type { PackReader } from '../store/pack-reader.ts';
import type { Source } from '../store/source.ts';
import type { Store } from '../store/store.ts';
import { mountPointsBelow } from '../system/mounts.ts';
import { endPhase } from '../system/collect-garbage.ts';
import { readXattrs, removeXattr } from '../system/posix.ts';
import { parentOf, type BytePath } from './byte-path.ts';
import { basesAtHand } from './bases-at-hand.ts';
import { copyFrom } from './copy-from.ts';
import { FramePlan } from './frame-plan.ts';
import { fetchSnapshotManifest } from './manifest-files.ts';
import { parseManifest, type FileEntry, type ManifestEntry } from './manifest.ts';
import { openWay } from './packed-base.ts';
import { packParts } from './packed-parts.ts';
import { reconcile, type Differences } from './reconcile.ts';
import { selectLayers } from './select-layers.ts';
import { layersFor, type SnapshotStatement } from './statement.ts';
import { TaskQueue } from './task-queue.ts';
import { attributeThings, fileTarget, hardlinks, smallThings } from './targets.ts';
import { TreeRoot } from './tree-root.ts';
import { naming } from './unpack-failed.ts';
import type { FileTarget } from './unpack-task.ts';
import { UnpackThreads } from './unpack-threads.ts';

export interface UnpackProgress {
  phase: 'manifest' | 'compare' | 'files' | 'links' | 'done';
  /** Of files' content, of what has to be written. */
  bytesDone: number;
  bytesTotal: number;
  /** That came from the source; what the mirror had is not among them. */
  fetchedBytes: number;
}

export interface UnpackOptions {
  /** As signed; the caller has checked the signature. */
  statement: SnapshotStatement;
  source: Source;
  /** Keeps manifest and packs too, so that this machine can hand them out, and an interrupted fetch resumes. */
  mirror?: Store | undefined;
  /** The mirror gets just the pieces of packs that have to be fetched: who wants the packs calls `mirrorAll` of each. */
  partly?: boolean | undefined;
  /**
   * A directory with something like the snapshot in it: files that have to be written are copied from there, where the
   * mirror has not all packs, and what is there hashes to what it is to be.
   */
  beside?: string | undefined;
  /** Made where it is not there; one with something in it is brought to what the snapshot is. */
  directory: string;
  /** All, where it is not given. */
  layers?: readonly Layer[] | undefined;
  /** Patterns (gitignore) of what stays although it is not in the snapshot. */
  keep?: readonly string[] | undefined;
  /** Reads what is there already, instead of trusting sizes and times. */
  checksum?: boolean | undefined;
  onProgress?: ((progress: UnpackProgress) => void) | undefined;
  signal?: AbortSignal | undefined;
}

/** What had to be done. */
export interface Unpacked {
  /** Things that were made, files that were written anew among them. */
  made: number;
  /** Things that got other attributes than they had. */
  changed: number;
  /** Directories from which something was removed. */
  removedFrom: number;
}

/**
 * Unpacks a snapshot. What it wrote is not synced: that is for the caller, who knows the file system.
 * @throws BladerootError `MANIFEST_DAMAGED`, `MANIFEST_INVALID`, `PACK_INDEX_DAMAGED`, `PIECE_DAMAGED`, `PACK_DAMAGED`,
 * `OBJECT_DAMAGED`, `SNAPSHOT_INCOMPLETE` when what came is not what was signed; `UNPACK_FAILED` when it cannot be
 * written; and what the source throws. The directory is not the snapshot then; unpacking again finishes it.
 */
export async function unpackSnapshot(options: UnpackOptions): Promise<Unpacked> {
  const threads = new UnpackThreads();
  const abort = (): void => void threads.close();
  options.signal?.addEventListener('abort', abort, { once: true });
  try {
    options.signal?.throwIfAborted();
    await mkdir(options.directory, { recursive: true });
    // There will be something to write.
    if (await isEmpty(options.directory)) threads.pool.start();
    return await new Unpacking(options, threads).run();
  } catch (error) {
    // Threads that were ended on request have not failed.
    options.signal?.throwIfAborted();
    throw error;
  } finally {
    options.signal?.removeEventListener('abort', abort);
    await threads.close();
  }
}

async function isEmpty(directory: string): Promise<boolean> {
  return (await readdir(directory)).length === 0;
}

class Unpacking {
  readonly #options: UnpackOptions;
  readonly #threads: UnpackThreads;
  readonly #root: TreeRoot;
  readonly #beside: TreeRoot | undefined;
  readonly #progress: UnpackProgress = { phase: 'manifest', bytesDone: 0, bytesTotal: 0, fetchedBytes: 0 };

  constructor(options: UnpackOptions, threads: UnpackThreads) {
    this.#options = options;
    this.#threads = threads;
    this.#root = new TreeRoot(options.directory);
    this.#beside = options.beside === undefined ? undefined : new TreeRoot(options.beside);
  }

  async run(): Promise<Unpacked> {
    try {
      const { layers = LAYERS, directory } = this.#options;
      const mounts = await mountPointsBelow(directory);
      const looking = this.#threads.look(directory, mounts);
      looking.catch(() => undefined);
      const entries = selectLayers(await this.#manifest(), layers);
      // The manifest's bytes and lines, of which the promises that brought them know until the next turn.
      await breathe();
      endPhase();
      const packs = await this.#openPacks(layers);
      endPhase();
      this.#advance({ phase: 'compare' });
      const differences = await reconcile(this.#root, await looking, entries, {
        ...this.#options,
        mounts,
        compare: async (files) => await this.#threads.compare(files),
      });
      await this.#write(entries, differences, packs);
      this.#advance({ phase: 'done' });
      const { missing, attributes, removedFrom } = differences;
      return { made: missing.length, changed: attributes.length, removedFrom: removedFrom.size };
    } finally {
      this.#root.close();
      this.#beside?.close();
    }
  }

  async #manifest(): Promise<ManifestEntry[]> {
    const { statement, source, mirror, signal } = this.#options;
    const options = { mirror, signal, onBytes: this.#onBytes };
    const entries = parseManifest(await fetchSnapshotManifest(source, statement, options));
    requireDeclared(entries, statement);
    return entries;
  }

  async #openPacks(layers: readonly Layer[]): Promise<PackReader[]> {
    const { statement, source, mirror, partly, signal } = this.#options;
    const options = { mirror, partly, signal, onBytes: this.#onBytes };
    const packs: PackReader[] = [];
    for (const layer of layersFor(layers)) packs.push(...(await openWay(source, statement, layer, options)));
    return packs;
  }

  async #write(
    entries: readonly ManifestEntry[],
    { missing, replaced, attributes, removedFrom }: Differences,
    packs: readonly PackReader[],
  ): Promise<void> {
    const touched = new Set([...removedFrom, ...missing.map(({ path }) => parentOf(path))]);
    const made = new Set(missing.filter(({ type }) => type === 'dir').map(({ path }) => path));
    for (const { type, path } of entries) {
      if (type === 'dir' && touched.has(path) && !made.has(path)) this.#inheritNothing(path);
    }
    for (const path of made) {
      naming(path, () => mkdirSync(this.#root.bytesAt(path), { mode: 0o700 }));
    }

    this.#advance({ phase: 'files' });
    await this.#writeFiles(missing, replaced, packs);
    this.#advance({ phase: 'links' });
    await this.#threads.make(missing.flatMap((entry) => smallThings(this.#root, entry)));
    // What a hard link is another name of is there by now.
    await this.#threads.make(missing.flatMap((entry) => hardlinks(this.#root, entry)));
    const others = attributes.filter(({ type }) => type !== 'dir');
    const wrong = new Set(attributes.map(({ path }) => path));
    const directories = entries.filter(
      ({ type, path }) => type === 'dir' && (made.has(path) || touched.has(path) || wrong.has(path)),
    );
    await this.#threads.make(
      [...others, ...directories].flatMap((entry) => attributeThings(this.#root, entry)),
    );
  }

  async #writeFiles(
    missing: readonly ManifestEntry[],
    replaced: ReadonlySet<BytePath>,
    packs: readonly PackReader[],
  ): Promise<void> {
    const numbers = new Map([...replaced].map((path, i) => [path, i]));
    const targetOf = (file: FileEntry): FileTarget => {
      const number = numbers.get(file.path);
      return fileTarget(this.#root, file, number === undefined ? undefined : `.bladeroot-new-${number}`);
    };
    const plan = new FramePlan(this.#options.source.name);
    const files = missing.flatMap((entry) =>
      entry.type === 'file' && entry.objects.length > 0 ? entry : [],
    );
    for (const file of await this.#notBeside(files, packs, targetOf)) plan.add(file);
    this.#advance({ bytesTotal: plan.bytes });
    const queue = new TaskQueue(this.#threads.pool, (written) =>
      this.#advance({ bytesDone: this.#progress.bytesDone + written }),
    );
    let bases: ObjectReader | undefined;
    const roots = this.#beside === undefined ? [this.#root] : [this.#root, this.#beside];
    const frames = plan.lay(packs);
    endPhase();
    for (const pack of packs) {
      const wanted = frames.get(pack) ?? new Map<number, never>();
      if (wanted.size === 0 && this.#options.mirror === undefined) continue;
      for await (const { number: frame, bytes } of pack.frames(new Set(wanted.keys()))) {
        const { size, bases: on } = pack.index.frames[frame] ?? { size: 0 };
        if (on !== undefined) bases ??= this.#baseReader(packs);
        const planned = wanted.get(frame) ?? [];
        const paths = planned.map(({ file }) => file.path);
        const dictionary = on && (await bases?.readBases(on, basesAtHand(roots, on, paths)));
        const parts = planned.map((part) => ({ ...part, file: targetOf(part.file) }));
        await queue.add({ kind: 'frame', bytes, size, bases: dictionary, parts: packParts(parts) });
      }
    }
    await queue.drain();
    await this.#threads.finish(plan.inParts.map(targetOf));
  }

  /** Copies what can be had beside. @returns the files that are still to be written */
  async #notBeside(
    files: readonly FileEntry[],
    packs: readonly PackReader[],
    targetOf: (file: FileEntry) => FileTarget,
  ): Promise<readonly FileEntry[]> {
    const { mirror } = this.#options;
    const held = await Promise.all(packs.map(async ({ id }) => await mirror?.hasPack(id)));
    if (this.#beside === undefined || !held.includes(false)) return files;
    return await copyFrom(this.#beside, files, targetOf, this.#threads);
  }

  /** Where patches find what they are based on: packs before theirs, which a mirror holds by then. */
  #baseReader(packs: readonly PackReader[]): ObjectReader {
    const { mirror, partly } = this.#options;
    // A mirror that has but parts of the packs gets what it lacks of them.
    if (mirror === undefined || partly === true) return new ObjectReader(packs);
    return new ObjectReader(packs.map((pack) => pack.from(new DirectorySource(mirror.directory))));
  }

  /** A default ACL would be given to all that is made in a directory; it gets it back at the end. */
  #inheritNothing(directory: BytePath): void {
    const path = this.#root.at(directory);
    if (readXattrs(path).has(DEFAULT_ACL)) removeXattr(path, DEFAULT_ACL);
  }

  readonly #onBytes = (bytes: number): void =>
    this.#advance({ fetchedBytes: this.#progress.fetchedBytes + bytes });

  #advance(change: Partial<UnpackProgress>): void {
    this.#options.onProgress?.({ ...Object.assign(this.#progress, change) });
  }
}

const DEFAULT_ACL = 'system.posix_acl_default';

/** What is unpacked is never more than what was signed says. */
function requireDeclared(entries: readonly ManifestEntry[], statement: SnapshotStatement): void {
  for (const { name, bytes } of statement.layers) {
    let found = 0;
    for (const entry of entries) {
      if (entry.type !== 'file' || entry.layer !== name) continue;
      for (const { size } of entry.objects) found += size;
    }
    if (found !== bytes) {
      throw new BladerootError(
        'SNAPSHOT_INCOMPLETE',
        `the layer ${name} has ${found} bytes instead of ${bytes}`,
      );
    }
  }
}
