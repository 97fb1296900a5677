/** Where the things of a store are read from: a folder, a root's HTTP server, another blade. */
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { BladerootError, describeError, errorCode } from '../errors.ts';

export interface GetOptions {
  /** The first byte wanted; 0 where it is not given. */
  start?: number;
  signal?: AbortSignal | undefined;
}

export interface Source {
  /** For messages. */
  readonly name: string;
  /**
   * Reads what lies at a path of the store's layout, as it is: the caller checks it.
   * @throws BladerootError `SOURCE_MISSING` when it has no such thing, `SOURCE_FAILED` when it does not answer
   */
  get(path: string, options?: GetOptions): Promise<AsyncIterable<Buffer>>;
}

/** A store in a folder. */
export class DirectorySource implements Source {
  readonly name: string;

  constructor(directory: string) {
    this.name = directory;
  }

  async get(path: string, { start = 0, signal }: GetOptions = {}): Promise<AsyncIterable<Buffer>> {
    try {
      const file = await open(join(this.name, path));
      return file.createReadStream({ start, signal, highWaterMark: READ_SIZE });
    } catch (error) {
      const code = errorCode(error) === 'ENOENT' ? 'SOURCE_MISSING' : 'SOURCE_FAILED';
      throw new BladerootError(code, `${this.name} has no ${path}: ${describeError(error)}`, {
        cause: error,
      });
    }
  }
}

const READ_SIZE = 256 * 1024;
