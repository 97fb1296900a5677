/** A manifest and its objects as the two tar archives that make the tree. */
import { createReadStream } from 'node:fs';
import { BladerootError } from '../errors.ts';
import { collect } from '../store/byte-reader.ts';
import { hashing, sha256, type Digest } from '../store/digest.ts';
import type { FetchedPack } from '../store/fetch-pack.ts';
import { FRAME_SIZE } from '../store/frame.ts';
import { readObjects, type PackObject } from '../store/object-stream.ts';
import { display, toBytes, type BytePath } from './byte-path.ts';
import type { FileEntry, ManifestEntry } from './manifest.ts';
import { encodeTarHeader, TAR_END, tarPadding, type TarHeader } from './tar.ts';

export class TreeWriter {
  readonly #directory: string;
  readonly #entries: readonly ManifestEntry[];
  /** The files that still wait for their object. */
  readonly #waiting = new Map<Digest, FileEntry[]>();
  /** Files whose object was too large to be kept in memory when it was written to another path. */
  readonly #copies: { file: FileEntry; of: BytePath }[] = [];
  readonly #onContent: (bytes: number) => void;

  /** @param onContent called with the number of bytes as content is handed on */
  constructor(
    directory: string,
    entries: readonly ManifestEntry[],
    onContent: (bytes: number) => void = () => undefined,
  ) {
    this.#directory = directory;
    this.#entries = entries;
    this.#onContent = onContent;
    for (const file of entries) {
      if (file.type !== 'file' || file.object === undefined) continue;
      const files = this.#waiting.get(file.object);
      if (files === undefined) this.#waiting.set(file.object, [file]);
      else files.push(file);
    }
  }

  /** @throws BladerootError `SNAPSHOT_INCOMPLETE` unless the packs hold every object, as long as it should be */
  requireObjectsIn(packs: readonly FetchedPack[], from: string): void {
    const objects = packs.flatMap((pack) => pack.index.objects);
    const sizes = new Map(objects.map(({ digest, size }) => [digest, size]));
    for (const [digest, files] of this.#waiting) {
      const bad = files.find((file) => file.size !== sizes.get(digest));
      if (bad === undefined) continue;
      throw new BladerootError(
        'SNAPSHOT_INCOMPLETE',
        `the packs from ${from} do not hold object ${digest} of ${display(bad.path)}`,
      );
    }
  }

  /**
   * Directories, still without what would be inherited by what comes into them (default ACLs), and regular files in
   * the order in which the packs bring their content.
   */
  async *files(packs: readonly FetchedPack[]): AsyncGenerator<Buffer> {
    for (const entry of this.#entries) {
      if (entry.type === 'dir') yield memberHeader({ ...entry, xattrs: new Map() });
      if (entry.type === 'file' && entry.object === undefined) yield memberHeader(entry);
    }
    for (const { index, pieces } of packs) {
      for await (const object of readObjects(index, pieces)) {
        const files = this.#waiting.get(object.digest) ?? [];
        this.#waiting.delete(object.digest);
        yield* object.size <= FRAME_SIZE ? this.#small(object, files) : this.#large(object, files);
      }
    }
    yield TAR_END;
  }

  /** What must come after the files: copies, devices, symbolic links, hard links, and the directories as they shall be. */
  async *rest(): AsyncGenerator<Buffer> {
    for (const entry of this.#entries) if (entry.type === 'dir') yield memberHeader(entry);
    for (const { file, of } of this.#copies) {
      const source = Buffer.concat([Buffer.from(`${this.#directory}/`), toBytes(of)]);
      yield* this.#member(file, createReadStream(source));
    }
    const later = this.#entries.filter(({ type }) => type !== 'dir' && type !== 'file');
    for (const entry of later) if (entry.type !== 'hardlink') yield memberHeader(entry);
    for (const entry of later) if (entry.type === 'hardlink') yield memberHeader(entry);
    yield TAR_END;
  }

  async *#small({ digest, content }: PackObject, files: readonly FileEntry[]): AsyncGenerator<Buffer> {
    const [first] = files;
    if (first === undefined) return;
    const bytes = await collect(content);
    if (sha256(bytes) !== digest) throw damaged(first);
    for (const file of files) {
      this.#onContent(bytes.length);
      yield memberHeader(file);
      yield bytes;
      yield tarPadding(bytes.length);
    }
  }

  async *#large({ content }: PackObject, files: readonly FileEntry[]): AsyncGenerator<Buffer> {
    const [first, ...others] = files;
    if (first === undefined) return;
    yield* this.#member(first, content);
    this.#copies.push(...others.map((file) => ({ file, of: first.path })));
  }

  /** A file whose content is checked while it is written: what is wrong ends the whole, before tar has all of it. */
  async *#member(file: FileEntry, content: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    yield memberHeader(file);
    const check = (digest: Digest): void => {
      if (digest !== file.object) throw damaged(file);
    };
    for await (const chunk of hashing(content, check)) {
      this.#onContent(chunk.length);
      yield chunk;
    }
    yield tarPadding(file.size);
  }
}

function memberHeader(entry: ManifestEntry): Buffer {
  return encodeTarHeader({ ...entry, path: memberName(entry.path), target: linkTarget(entry) });
}

function linkTarget(entry: ManifestEntry): TarHeader['target'] {
  if (entry.type === 'hardlink') return memberName(entry.target);
  return entry.type === 'symlink' ? toBytes(entry.target) : Buffer.alloc(0);
}

/** `./etc/passwd`: never taken for an absolute path, nor for an option. */
function memberName(path: BytePath): Buffer {
  return toBytes(`./${path}`);
}

function damaged(file: FileEntry): BladerootError {
  return new BladerootError('OBJECT_DAMAGED', `the content of ${display(file.path)} is not what was signed`, {
    hint: 'fetch the snapshot from another root or pack the tree again',
  });
}
