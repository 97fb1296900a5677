/**
 * What the last packing of a tree saw, so that the next one reads only what has changed since: the manifest that came of
 * it, a digest of all that was seen and, for each entry, the stamp of the thing. A cache that is missing, old or damaged
 * costs time.
 */
import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, realpath, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { zstdCompress, zstdDecompress } from 'node:zlib';
import { z } from 'zod';
import { describeError, errorCode } from '../errors.ts';
import type { Digest } from '../store/digest.ts';
import { digestSchema } from '../store/digest-schema.ts';
import type { Store } from '../store/store.ts';
import { writeFileAtomic } from '../system/write-file.ts';
import type { BytePath } from './byte-path.ts';
import { EntryFinder } from './entry-finder.ts';
import { parseManifest, type ManifestEntry } from './manifest.ts';
import type { PackedBase } from './packed-base.ts';
import { StampList } from './thing-stat.ts';

/** The first line of the file; behind it come the stamps, one an entry, as a StampList has them. */
const headerSchema = z.strictObject({
  format: z.literal('bladeroot-pack-cache'),
  version: z.literal(3),
  manifest: digestSchema,
  /** Of a walk that would have seen every change since; see SeenTree. */
  seen: digestSchema.optional(),
});

const compress = promisify(zstdCompress);
const decompress = promisify(zstdDecompress);

interface Content {
  manifest: Digest;
  seen?: Digest | undefined;
  /** One an entry. */
  stamps: StampList;
}

const NOTHING: Content = { manifest: '', stamps: StampList.ofLength(0) };

export class PackCache {
  readonly #path: string;
  readonly #content: Content;
  readonly #onNote: (note: string) => void;
  /** None until the manifest has been read. */
  #entries: readonly ManifestEntry[] = [];
  #finder = new EntryFinder([]);

  private constructor(path: string, content: Content, onNote: (note: string) => void) {
    this.#path = path;
    this.#content = content;
    this.#onNote = onNote;
  }

  /** @param folder of caches */
  static async open(
    folder: string,
    directory: string,
    onNote: (note: string) => void = () => undefined,
  ): Promise<PackCache> {
    const path = await cachePath(folder, directory);
    try {
      const bytes = await decompress(await readFile(path), { maxOutputLength: MAX_BYTES });
      const end = bytes.indexOf('\n');
      const { manifest, seen } = headerSchema.parse(JSON.parse(bytes.toString('utf8', 0, end)));
      return new PackCache(path, { manifest, seen, stamps: StampList.from(bytes.subarray(end + 1)) }, onNote);
    } catch (error) {
      if (errorCode(error) !== 'ENOENT') onNote(unusable(path, error));
      return new PackCache(path, NOTHING, onNote);
    }
  }

  /** Whether the tree is what it was when a manifest was made of it. @param seen digest of a walk */
  isOf(manifest: Digest, seen: Digest | undefined): boolean {
    return seen !== undefined && manifest === this.#content.manifest && seen === this.#content.seen;
  }

  /** Reads the manifest, so that `unchanged` has what it looks for. */
  async readEntries(store: Store, base: PackedBase | undefined): Promise<void> {
    const { manifest, stamps } = this.#content;
    if (manifest === '') return;
    try {
      const isBase = base?.statement.id === manifest;
      const entries = isBase ? base.entries : parseManifest(await store.readManifest(manifest));
      if (stamps.length !== entries.length) throw new Error('it is not of its manifest');
      this.#entries = entries;
      this.#finder = new EntryFinder(entries);
    } catch (error) {
      if (errorCode(error) !== 'MANIFEST_MISSING') this.#onNote(unusable(this.#path, error));
    }
  }

  /**
   * The entry that was made of a thing, if it is the same as then. A hard link's is made anew: it depends on others.
   * @param stamp what the thing is like now
   */
  unchanged(path: BytePath, stamp: Uint32Array): ManifestEntry | undefined {
    const place = this.#finder.placeOf(path);
    if (place === undefined || !this.#content.stamps.isSame(place, stamp)) return undefined;
    const entry = this.#entries[place];
    return entry?.type === 'hardlink' ? undefined : entry;
  }

  /** What was seen of a tree as it was packed. */
  async write({ manifest, seen, stamps }: Content): Promise<void> {
    const folder = dirname(this.#path);
    await mkdir(folder, { recursive: true });
    // What a killed process left of this tree's: only one packs a tree at a time.
    for (const name of await readdir(folder)) {
      if (name.startsWith(`${basename(this.#path)}.`)) await rm(join(folder, name), { force: true });
    }
    // It may say this already.
    const before = this.#content;
    const isSame = manifest === before.manifest && seen === before.seen;
    if (isSame && Buffer.compare(stamps.bytes, before.stamps.bytes) === 0) return;
    const header: z.input<typeof headerSchema> = {
      format: 'bladeroot-pack-cache',
      version: 3,
      manifest,
      seen,
    };
    const bytes = Buffer.concat([Buffer.from(`${JSON.stringify(header)}\n`), stamps.bytes]);
    await writeFileAtomic(this.#path, await compress(bytes));
  }
}

function unusable(path: string, error: unknown): string {
  return `all is read, as ${path} cannot be used: ${describeError(error)}`;
}

const MAX_BYTES = 512 * 1024 * 1024;

/** A tree's cache, by the directory that it is really in. */
async function cachePath(folder: string, directory: string): Promise<string> {
  const real = createHash('sha256')
    .update(await realpath(directory))
    .digest('hex');
  return join(folder, `${real.slice(0, 32)}.zst`);
}
