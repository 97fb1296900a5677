import { open, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { BladerootError, describeError, errorCode } from '../errors.ts';
import { begin, BEGUN, type GetOptions, type Source } from './source.ts';

/** Bytes read at once: as long as a piece, so that a piece that is read from its start need not be put together. */
const READ_SIZE = 1024 * 1024;

/** A store in a folder. */
export class DirectorySource implements Source {
  readonly name: string;

  constructor(directory: string) {
    this.name = directory;
  }

  async get(path: string, options: GetOptions = {}): Promise<AsyncIterable<Buffer>> {
    options.signal?.throwIfAborted();
    let file: FileHandle;
    try {
      file = await open(join(this.name, path));
    } catch (error) {
      if (errorCode(error) !== 'ENOENT') throw this.#failed(path, error);
      throw new BladerootError('SOURCE_MISSING', `${this.name} has no ${path}`, { cause: error });
    }
    return await begin(this.#read(file, path, options));
  }

  /** Each chunk is a buffer of its own, since readers keep them; the handle is closed in every case. */
  async *#read(
    file: FileHandle,
    path: string,
    { start = 0, end = Infinity, signal }: GetOptions,
  ): AsyncGenerator<Buffer, void, void> {
    try {
      const { size } = await file.stat();
      if (size < start) throw this.#tooShort(path, size);
      yield BEGUN;
      const stop = Math.min(end, size);
      for (let at = start; at < stop;) {
        signal?.throwIfAborted();
        const chunk = await this.#readChunk(file, path, at, Math.min(READ_SIZE, stop - at));
        if (chunk.length === 0) throw this.#tooShort(path, at);
        at += chunk.length;
        yield chunk;
      }
    } finally {
      await file.close();
    }
  }

  async #readChunk(file: FileHandle, path: string, position: number, length: number): Promise<Buffer> {
    try {
      const { buffer, bytesRead } = await file.read(Buffer.allocUnsafe(length), { position });
      return buffer.subarray(0, bytesRead);
    } catch (error) {
      throw this.#failed(path, error);
    }
  }

  #tooShort(path: string, size: number): BladerootError {
    return new BladerootError('SOURCE_FAILED', `${join(this.name, path)} is only ${size} bytes long`);
  }

  #failed(path: string, error: unknown): BladerootError {
    const message = `${join(this.name, path)} cannot be read: ${describeError(error)}`;
    return new BladerootError('SOURCE_FAILED', message, { cause: error });
  }
}
