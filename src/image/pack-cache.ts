/**
 * What the last packing of a tree saw, so that the next one reads only what has changed since: the manifest that came of
 * it and, for each of its entries, the stamp of the thing. A cache that is missing, old or damaged costs time.
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
  version: z.literal(2),
  manifest: digestSchema,
});

const compress = promisify(zstdCompress);
const decompress = promisify(zstdDecompress);

export class PackCache {
  readonly #path: string;

  readonly #manifest: Digest;
  readonly #entries: readonly ManifestEntry[];
  /** One an entry. */
  readonly #stamps: StampList;
  readonly #finder: EntryFinder;

  private constructor(path: string, manifest: Digest, entries: readonly ManifestEntry[], stamps: StampList) {
    this.#path = path;
    this.#manifest = manifest;
    this.#entries = entries;
    this.#stamps = stamps;
    this.#finder = new EntryFinder(entries);
  }

  /** @returns undefined where there is no folder for caches */
  static async open(
    directory: string,
    store: Store,
    options: { cacheFolder?: string | undefined; onNote?: ((note: string) => void) | undefined },
    base: PackedBase | undefined,
  ): Promise<PackCache | undefined> {
    if (options.cacheFolder === undefined) return undefined;
    const path = await cachePath(options.cacheFolder, directory);
    try {
      const bytes = await decompress(await readFile(path), { maxOutputLength: MAX_BYTES });
      const end = bytes.indexOf('\n');
      const { manifest } = headerSchema.parse(JSON.parse(bytes.toString('utf8', 0, end)));
      const stamps = StampList.from(bytes.subarray(end + 1));
      const isBase = base?.statement.id === manifest;
      const entries = isBase ? base.entries : parseManifest(await store.readManifest(manifest));
      if (stamps.length !== entries.length) throw new Error('it is not of its manifest');
      return new PackCache(path, manifest, entries, stamps);
    } catch (error) {
      if (errorCode(error) !== 'ENOENT' && errorCode(error) !== 'MANIFEST_MISSING') {
        options.onNote?.(`all is read, as ${path} cannot be used: ${describeError(error)}`);
      }
      return new PackCache(path, '', [], StampList.ofLength(0));
    }
  }

  /**
   * The entry that was made of a thing, if it is the same as then. A hard link's is made anew: it depends on others.
   * @param stamp what the thing is like now
   */
  unchanged(path: BytePath, stamp: Uint32Array): ManifestEntry | undefined {
    const place = this.#finder.placeOf(path);
    if (place === undefined || !this.#stamps.isSame(place, stamp)) return undefined;
    const entry = this.#entries[place];
    return entry?.type === 'hardlink' ? undefined : entry;
  }

  /** @param stamps one for each entry of the manifest */
  async write(manifest: Digest, stamps: StampList): Promise<void> {
    const folder = dirname(this.#path);
    await mkdir(folder, { recursive: true });
    // What a killed process left of this tree's: only one packs a tree at a time.
    for (const name of await readdir(folder)) {
      if (name.startsWith(`${basename(this.#path)}.`)) await rm(join(folder, name), { force: true });
    }
    // It may say this already.
    if (manifest === this.#manifest && Buffer.compare(stamps.bytes, this.#stamps.bytes) === 0) return;
    const header: z.input<typeof headerSchema> = { format: 'bladeroot-pack-cache', version: 2, manifest };
    const bytes = Buffer.concat([Buffer.from(`${JSON.stringify(header)}\n`), stamps.bytes]);
    await writeFileAtomic(this.#path, await compress(bytes));
  }
}

const MAX_BYTES = 512 * 1024 * 1024;

/** A tree's cache, by the directory that it is really in. */
async function cachePath(folder: string, directory: string): Promise<string> {
  const real = createHash('sha256')
    .update(await realpath(directory))
    .digest('hex');
  return join(folder, `${real.slice(0, 32)}.zst`);
}
