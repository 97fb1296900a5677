import { watch } from 'node:fs';
import { open } from 'node:fs/promises';

/**
 * What stands in a file from a byte offset on, and then what is appended to it, as it comes. Ends when `until` is
 * aborted, after reading what was there by then. The file must exist.
 */
export async function* follow(path: string, from: number, until: AbortSignal): AsyncGenerator<Buffer> {
  let news = Promise.withResolvers<void>();
  const wake = (): void => news.resolve();
  // The watch begins before the first read, so that nothing can be appended unseen in between.
  const watcher = watch(path, wake);
  until.addEventListener('abort', wake);
  const file = await open(path, 'r');
  try {
    const buffer = Buffer.alloc(CHUNK_BYTES);
    let offset = from;
    while (true) {
      const last = until.aborted;
      news = Promise.withResolvers();
      for (;;) {
        const { bytesRead } = await file.read(buffer, 0, buffer.length, offset);
        if (bytesRead === 0) break;
        offset += bytesRead;
        yield Buffer.from(buffer.subarray(0, bytesRead));
      }
      if (last) return;
      if (!until.aborted) await news.promise;
    }
  } finally {
    watcher.close();
    until.removeEventListener('abort', wake);
    await file.close();
  }
}

const CHUNK_BYTES = 65536;
