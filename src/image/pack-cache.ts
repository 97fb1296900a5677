/**
 * What the last packing of a tree saw, so that the next one reads only what has changed since: the manifest that came of
 * it and, for each of its entries, what `stampOf` said of the thing. A cache that is missing, old or damaged costs time.
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
import { endPhase } from '../system/collect-garbage.ts';
import { writeFileAtomic } from '../system/write-file.ts';
import type { BytePath } from './byte-path.ts';
import { parseManifest, type ManifestEntry } from './manifest.ts';
import type { PackedBase } from './packed-base.ts';
import type { WalkedThing } from './walk.ts';

const cacheSchema = z.strictObject({
  format: z.literal('bladeroot-pack-cache'),
  version: z.literal(1),
  manifest: digestSchema,
  /** One an entry; empty for what may have changed without the times having moved. */
  stamps: z.array(z.string()),
});

const compress = promisify(zstdCompress);
const decompress = promisify(zstdDecompress);

export class PackCache {
  readonly #path: string;

  readonly #manifest: Digest;
  readonly #entries: readonly ManifestEntry[];
  /** One an entry. */
  readonly #stamps: readonly string[];
  readonly #places: ReadonlyMap<BytePath, number>;

  private constructor(
    path: string,
    manifest: Digest,
    entries: readonly ManifestEntry[],
    stamps: readonly string[],
  ) {
    this.#path = path;
    this.#manifest = manifest;
    this.#stamps = stamps;
    this.#entries = entries;
    const places = new Map<BytePath, number>();
    for (const [place, { path: each }] of entries.entries()) places.set(each, place);
    this.#places = places;
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
      const text = await decompress(await readFile(path), { maxOutputLength: MAX_BYTES });
      const { manifest, stamps } = cacheSchema.parse(JSON.parse(text.toString()));
      const isBase = base?.statement.id === manifest;
      const entries = isBase ? base.entries : parseManifest(await store.readManifest(manifest));
      return new PackCache(path, manifest, entries, stamps.length === entries.length ? stamps : []);
    } catch (error) {
      if (errorCode(error) !== 'ENOENT' && errorCode(error) !== 'MANIFEST_MISSING') {
        options.onNote?.(`all is read, as ${path} cannot be used: ${describeError(error)}`);
      }
      return new PackCache(path, '', [], []);
    }
  }

  /** The entry that was made of a thing, if it is the same as then. A hard link's is made anew: it depends on others. */
  unchanged({ path, stat }: WalkedThing): ManifestEntry | undefined {
    const place = this.#places.get(path);
    if (place === undefined || this.#stamps[place] !== stat.stamp) return undefined;
    const entry = this.#entries[place];
    return entry?.type === 'hardlink' ? undefined : entry;
  }

  /** @param stampsOf gives one for each entry of the manifest */
  async write(manifest: Digest, stampsOf: () => Iterable<string>): Promise<void> {
    const folder = dirname(this.#path);
    await mkdir(folder, { recursive: true });
    // What a killed process left of this tree's: only one packs a tree at a time.
    for (const name of await readdir(folder)) {
      if (name.startsWith(`${basename(this.#path)}.`)) await rm(join(folder, name), { force: true });
    }
    if (this.#isOf(manifest, stampsOf())) return;
    endPhase();
    const text = JSON.stringify({
      format: 'bladeroot-pack-cache',
      version: 1,
      manifest,
      stamps: [...stampsOf()],
    });
    await writeFileAtomic(this.#path, await compress(text));
  }

  /** Whether it says this already. */
  #isOf(manifest: Digest, stamps: Iterable<string>): boolean {
    if (manifest !== this.#manifest) return false;
    let place = 0;
    for (const stamp of stamps) if (stamp !== this.#stamps[place++]) return false;
    return place === this.#stamps.length;
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
