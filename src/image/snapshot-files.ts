import { BladerootError } from '../errors.ts';
import { DirectorySource } from '../store/directory-source.ts';
import type { ObjectReader } from '../store/object-reader.ts';
import { LAYERS } from '../store/pack-index.ts';
import type { Store } from '../store/store.ts';
import { fromText, parentOf, toText, type BytePath } from './byte-path.ts';
import type { ImageFile, ImageFiles } from './files.ts';
import { parseManifest, type Extent, type ManifestEntry } from './manifest.ts';
import { openObjects } from './packed-base.ts';
import type { SnapshotStatement } from './statement.ts';

/** Reads single files of a snapshot in a store without unpacking it; each is verified by its digest. */
export class SnapshotFiles implements ImageFiles {
  readonly #entries: ReadonlyMap<BytePath, ManifestEntry>;
  readonly #objects: ObjectReader;
  readonly #names = new Map<BytePath, string[]>();

  private constructor(entries: readonly ManifestEntry[], objects: ObjectReader) {
    this.#entries = new Map(entries.map((entry) => [entry.path, entry]));
    this.#objects = objects;
    for (const { path } of entries) {
      if (path === '') continue;
      const parent = parentOf(path);
      const names = this.#names.get(parent) ?? [];
      this.#names.set(parent, names);
      const name = path.slice(parent === '' ? 0 : parent.length + 1);
      names.push(toText(name) ?? Buffer.from(name, 'latin1').toString());
    }
  }

  /** @param statement as signed; the caller has checked the signature */
  static async open(store: Store, statement: SnapshotStatement): Promise<SnapshotFiles> {
    const entries = parseManifest(await store.readManifest(statement.id));
    const source = new DirectorySource(store.directory);
    return new SnapshotFiles(entries, await openObjects(source, statement, LAYERS));
  }

  async stat(path: string): Promise<ImageFile | undefined> {
    const entry = this.#find(path);
    if (entry === undefined || entry.type === 'hardlink') return undefined;
    const { type, mode, uid, gid, xattrs } = entry;
    const common = { mode, uid, gid, size: 0, xattrs };
    switch (type) {
      case 'file':
        return { ...common, type, size: entry.size };
      case 'dir':
        return { ...common, type };
      case 'symlink':
        return { ...common, type, target: toText(entry.target) ?? entry.target };
      default:
        return { ...common, type: 'other' };
    }
  }

  async list(path: string): Promise<string[]> {
    return (this.#names.get(fromText(path)) ?? []).toSorted();
  }

  /** @throws BladerootError `NOT_A_FILE`, and what reading an object throws */
  async read(path: string): Promise<Buffer> {
    const entry = this.#find(path);
    if (entry?.type !== 'file') throw new BladerootError('NOT_A_FILE', `the snapshot has no file ${path}`);
    const { size, objects, extents } = entry;
    const data: Buffer[] = [];
    for (const { digest } of objects) data.push(await this.#objects.read(digest));
    return extents === undefined ? Buffer.concat(data, size) : withHoles(Buffer.concat(data), extents, size);
  }

  /** What is at a path; for a hard link, what it is another name of. */
  #find(path: string): ManifestEntry | undefined {
    const entry = this.#entries.get(fromText(path));
    return entry?.type === 'hardlink' ? this.#entries.get(entry.target) : entry;
  }
}

/** The content of a sparse file: its data where it belongs, and zeros for holes. */
function withHoles(data: Buffer, extents: readonly Extent[], size: number): Buffer {
  const content = Buffer.alloc(size);
  let from = 0;
  for (const [offset, length] of extents) {
    data.copy(content, offset, from, from + length);
    from += length;
  }
  return content;
}
