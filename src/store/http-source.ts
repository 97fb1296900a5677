import { Agent, request, type IncomingMessage } from 'node:http';
import { BladerootError, describeError, errorCode } from '../errors.ts';
import { ByteReader } from './byte-reader.ts';
import type { GetOptions, Source } from './source.ts';

/** A store behind any HTTP server, by plain GET and Range; connections are kept. */
export class HttpSource implements Source {
  readonly name: string;
  readonly #base: URL;
  readonly #agent = new Agent({ keepAlive: true });
  readonly #patience: number;

  /**
   * @param base the store's URL, such as `http://10.0.0.1/store/`
   * @param options `patience`: milliseconds without a single byte until the server counts as dead
   * @throws BladerootError `SOURCE_URL`
   */
  constructor(base: string, options: { patience?: number } = {}) {
    const url = URL.parse(base.endsWith('/') ? base : `${base}/`);
    if (url?.protocol !== 'http:') {
      throw new BladerootError('SOURCE_URL', `a store is read from http://HOST/PATH, not from ${base}`);
    }
    this.#base = url;
    this.#patience = options.patience ?? 30_000;
    this.name = `${url.origin}${url.pathname}`;
  }

  async get(path: string, { start = 0, signal }: GetOptions = {}): Promise<AsyncIterable<Buffer>> {
    const url = new URL(path, this.#base);
    const response = await this.#request(url, start, signal);
    const { statusCode = 0 } = response;
    if (statusCode === 200 || (statusCode === 206 && start > 0)) {
      const body = this.#body(url, response, signal);
      // A server that knows no ranges sends everything.
      return statusCode === 200 && start > 0 ? skip(body, start, url) : body;
    }
    response.resume();
    const code = statusCode === 404 ? 'SOURCE_MISSING' : 'SOURCE_FAILED';
    throw new BladerootError(code, `${url.href} answered with status ${statusCode}`);
  }

  /** Closes the kept connections. */
  close(): void {
    this.#agent.destroy();
  }

  /** A kept connection may have been closed by the server since; then, and only then, the request is made again. */
  async #request(url: URL, start: number, signal: AbortSignal | undefined): Promise<IncomingMessage> {
    return await new Promise((resolve, reject) => {
      const headers = start > 0 ? { range: `bytes=${start}-` } : {};
      const asked = request(url, { agent: this.#agent, headers, signal });
      const timer = setTimeout(() => asked.destroy(this.#silence(url)), this.#patience);
      asked.once('response', (response) => {
        clearTimeout(timer);
        resolve(response);
      });
      asked.once('error', (error) => {
        clearTimeout(timer);
        if (asked.reusedSocket && errorCode(error) === 'ECONNRESET')
          resolve(this.#request(url, start, signal));
        else reject(failure(url, error, signal));
      });
      asked.end();
    });
  }

  /** The time in which the reader is busy does not count as the server's silence. */
  async *#body(url: URL, response: IncomingMessage, signal: AbortSignal | undefined): AsyncGenerator<Buffer> {
    const watch = (): NodeJS.Timeout =>
      setTimeout(() => response.destroy(this.#silence(url)), this.#patience);
    let timer = watch();
    try {
      for await (const chunk of response) {
        clearTimeout(timer);
        yield chunk;
        timer = watch();
      }
    } catch (error) {
      throw failure(url, error, signal);
    } finally {
      clearTimeout(timer);
    }
  }

  #silence(url: URL): BladerootError {
    const seconds = this.#patience / 1000;
    return new BladerootError('SOURCE_FAILED', `${url.href}: nothing came for ${seconds} seconds`);
  }
}

async function* skip(chunks: AsyncIterable<Buffer>, bytes: number, url: URL): AsyncGenerator<Buffer> {
  const reader = new ByteReader(
    chunks,
    (missing) => new BladerootError('SOURCE_FAILED', `${url.href} is ${missing} bytes too short`),
  );
  try {
    await reader.skip(bytes);
    yield* reader.remaining();
  } finally {
    await reader.close();
  }
}

function failure(url: URL, error: unknown, signal: AbortSignal | undefined): unknown {
  if (signal?.aborted === true) return signal.reason;
  if (error instanceof BladerootError) return error;
  return new BladerootError('SOURCE_FAILED', `${url.href} failed: ${describeError(error)}`, {
    cause: error,
    ...(errorCode(error) === 'ECONNREFUSED' && { hint: 'is the root running, and reachable from here?' }),
  });
}
