/** Where the things of a store are read from: a folder, an HTTP server, a bucket, another blade, several of them. */

export interface GetOptions {
  /** The first byte wanted; 0 where it is not given. */
  start?: number | undefined;
  /** Where to end: the first byte that is not wanted; the end of the file where it is not given. */
  end?: number | undefined;
  signal?: AbortSignal | undefined;
}

export interface Source {
  /** For messages; holds no secrets. */
  readonly name: string;
  /**
   * Reads what lies at a path of the store's layout, as it is: the caller checks it. The chunks are the caller's to
   * keep. Whoever leaves them early, even before the first, calls their `return`, as `for await` does.
   *
   * A file that ends before `end` gives what there is; one that ends before `start` has failed.
   * @throws BladerootError `SOURCE_MISSING` when it has no such thing, `SOURCE_FAILED` when it does not answer, here or
   * between chunks; the reason of `signal` when that is aborted
   */
  get(path: string, options?: GetOptions): Promise<AsyncIterable<Buffer>>;
  /**
   * What came from a path was damaged. Whether asking again may give something else: true where there is another
   * source to ask, which is then asked first for that path.
   */
  damaged?(path: string): boolean;
  /** Lets go of what is kept between one `get` and the next, such as connections; needed where there is any. */
  close?(): void;
}

/** What a generator that goes through `begin` yields first, within its `try`. */
export const BEGUN = Buffer.alloc(0);

/**
 * Makes the chunks of a `get` out of a generator that holds a file or a connection: it runs up to its first `yield`
 * here. One that has not begun would not run its `finally` when it is left, and what it holds would stay open.
 */
export async function begin(chunks: AsyncGenerator<Buffer, void, void>): Promise<AsyncIterable<Buffer>> {
  await chunks.next();
  return chunks;
}
