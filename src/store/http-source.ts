import {
  Agent as HttpAgent,
  request as requestHttp,
  type IncomingMessage,
  type RequestOptions,
} from 'node:http';
import { Agent as HttpsAgent, request as requestHttps } from 'node:https';
import { BladerootError, describeError, errorCode } from '../errors.ts';
import { partOf, rangeHeader, requireAtEnd, takePart, type BodyPart, type ByteRange } from './byte-range.ts';
import { parseStoreUrl } from './store-url.ts';
import { begin, BEGUN, type GetOptions, type Source } from './source.ts';

export interface HttpSourceOptions {
  /** Milliseconds without a single byte until the server counts as dead; 30 s where it is not given. */
  patience?: number | undefined;
  /** Certificates (PEM) that vouch for an `https:` server, instead of the authorities that Node knows. */
  ca?: string | Buffer | undefined;
}

interface Answer {
  url: URL;
  response: IncomingMessage;
}

/**
 * A store behind any HTTP server, by plain GET and Range: a root, another blade, a web server, a bucket. Connections
 * are kept until `close`.
 *
 * The URL's path is where the store lies, its query (as of a presigned URL) goes with every request, its user and
 * password go to its own origin only. None of the three but the path is ever in a message.
 */
export class HttpSource implements Source {
  readonly name: string;
  readonly #base: URL;
  readonly #authorization: string | undefined;
  readonly #patience: number;
  readonly #http: HttpAgent;
  readonly #https: HttpsAgent;

  /**
   * @param base the store's URL, such as `http://10.0.0.1/store/`
   * @throws BladerootError `SOURCE_URL`
   */
  constructor(base: string, { patience = 30_000, ca }: HttpSourceOptions = {}) {
    const { url, authorization } = parseStoreUrl(base);
    this.#base = url;
    this.#authorization = authorization;
    this.#patience = patience;
    this.#http = new HttpAgent({ keepAlive: true });
    this.#https = new HttpsAgent({ keepAlive: true, ...(ca !== undefined && { ca }) });
    this.name = nameOf(url);
  }

  async get(path: string, { start = 0, end, signal }: GetOptions = {}): Promise<AsyncIterable<Buffer>> {
    if (end !== undefined && end <= start) return await begin(nothing());
    const wanted = { start, end };
    const url = new URL(path, this.#base);
    url.search = this.#base.search;
    const answer = await this.#ask(url, wanted, signal);
    const { statusCode = 0, headers } = answer.response;
    if (statusCode === 200 || statusCode === 206) {
      return await begin(
        this.#part(answer, () => partOf(statusCode, headers, wanted, nameOf(answer.url)), signal),
      );
    }
    await this.#discard(answer, signal);
    if (statusCode !== 416) throw refusal(answer);
    requireAtEnd(headers, wanted, nameOf(answer.url));
    return await begin(nothing());
  }

  close(): void {
    this.#http.destroy();
    this.#https.destroy();
  }

  /** Asks, and asks where the answer sends it. */
  async #ask(url: URL, range: ByteRange, signal: AbortSignal | undefined): Promise<Answer> {
    let answer = await this.#request(url, range, signal);
    for (let hops = 0; REDIRECTS.has(answer.response.statusCode ?? 0); hops++) {
      await this.#discard(answer, signal);
      if (hops === MAX_REDIRECTS) throw failed(url, `it was redirected more than ${MAX_REDIRECTS} times`);
      answer = await this.#request(redirectTarget(answer), range, signal);
    }
    return answer;
  }

  /** A kept connection may have been closed by the server since; then, and only then, the request is made again. */
  async #request(url: URL, range: ByteRange, signal: AbortSignal | undefined): Promise<Answer> {
    return await new Promise((resolve, reject) => {
      const options: RequestOptions = { headers: this.#headers(url, range), ...(signal && { signal }) };
      const asked =
        url.protocol === 'https:'
          ? requestHttps(url, { ...options, agent: this.#https })
          : requestHttp(url, { ...options, agent: this.#http });
      const timer = setTimeout(() => asked.destroy(this.#silence(url)), this.#patience);
      let answered = false;
      asked.once('response', (response) => {
        clearTimeout(timer);
        answered = true;
        resolve({ url, response });
      });
      // Once there is an answer, what goes wrong is thrown to whoever reads it.
      asked.on('error', (error) => {
        clearTimeout(timer);
        if (answered) return;
        if (asked.reusedSocket && isCutOff(error)) resolve(this.#request(url, range, signal));
        else reject(failure(url, error, signal));
      });
      asked.end();
    });
  }

  #headers(url: URL, wanted: ByteRange): Record<string, string> {
    const range = rangeHeader(wanted);
    const own = url.origin === this.#base.origin;
    return {
      'accept-encoding': 'identity',
      ...(range !== undefined && { range }),
      ...(own && this.#authorization !== undefined && { authorization: this.#authorization }),
    };
  }

  /** @param find throws where the answer is not what was asked for; its connection is then let go of */
  async *#part(
    answer: Answer,
    find: () => BodyPart,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<Buffer, void, void> {
    try {
      const part = find();
      yield BEGUN;
      yield* takePart(this.#body(answer, signal), part, nameOf(answer.url));
    } finally {
      // Nothing happens to a connection whose answer has come to its end: it is kept.
      answer.response.destroy();
    }
  }

  /** The time in which the reader is busy does not count as the server's silence. */
  async *#body(
    { url, response }: Answer,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<Buffer, void, void> {
    const watch = (): NodeJS.Timeout =>
      setTimeout(() => response.destroy(this.#silence(url)), this.#patience);
    let timer = watch();
    try {
      for await (const chunk of response) {
        clearTimeout(timer);
        signal?.throwIfAborted();
        yield chunk;
        timer = watch();
      }
    } catch (error) {
      throw failure(url, error, signal);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Reads what an answer says that is not a file, so that its connection is kept; one that says much is cut off. */
  async #discard(answer: Answer, signal: AbortSignal | undefined): Promise<void> {
    let bytes = 0;
    for await (const chunk of this.#body(answer, signal)) {
      bytes += chunk.length;
      if (bytes > MAX_DISCARDED) break;
    }
  }

  #silence(url: URL): BladerootError {
    return failed(url, `nothing came for ${this.#patience / 1000} seconds`);
  }
}

const REDIRECTS = new Set([301, 302, 307, 308]);
const MAX_REDIRECTS = 5;
const MAX_DISCARDED = 64 * 1024;

async function* nothing(): AsyncGenerator<Buffer, void, void> {
  yield BEGUN;
}

/** Where it lies: without its query, which may be a signature. */
function nameOf(url: URL): string {
  return `${url.origin}${url.pathname}`;
}

/** A user and a password that a server's `Location` names are left out. */
function redirectTarget({ url, response }: Answer): URL {
  const { location } = response.headers;
  const target = location === undefined ? null : URL.parse(location, url.href);
  if (target === null || !/^https?:$/.test(target.protocol)) {
    throw failed(url, 'it was redirected to nowhere that can be asked');
  }
  target.username = '';
  target.password = '';
  return target;
}

/** S3 answers 403 for what it does not have where listing is not allowed. */
function refusal({ url, response: { statusCode = 0 } }: Answer): BladerootError {
  const message = `${nameOf(url)} answered with status ${statusCode}`;
  if (statusCode === 404) return new BladerootError('SOURCE_MISSING', message);
  if (statusCode !== 403) return new BladerootError('SOURCE_FAILED', message);
  const hint = 'it is not there, or not to be read by everyone: a bucket does not tell these apart';
  return new BladerootError('SOURCE_MISSING', message, { hint });
}

function failed(url: URL, why: string): BladerootError {
  return new BladerootError('SOURCE_FAILED', `${nameOf(url)}: ${why}`);
}

function isCutOff(error: unknown): boolean {
  return ['ECONNRESET', 'EPIPE'].includes(errorCode(error) ?? '');
}

function failure(url: URL, error: unknown, signal: AbortSignal | undefined): unknown {
  if (signal?.aborted === true) return signal.reason;
  if (error instanceof BladerootError) return error;
  const why = isCutOff(error) ? 'the connection was cut off' : describeError(error);
  const hint = HINTS[errorCode(error) ?? ''];
  return new BladerootError('SOURCE_FAILED', `${nameOf(url)} failed: ${why}`, {
    cause: error,
    ...(hint !== undefined && { hint }),
  });
}

const UNKNOWN_AUTHORITY = 'no authority that is known here vouches for its certificate';
const HINTS: Record<string, string> = {
  ECONNREFUSED: 'is the root running, and reachable from here?',
  DEPTH_ZERO_SELF_SIGNED_CERT: UNKNOWN_AUTHORITY,
  SELF_SIGNED_CERT_IN_CHAIN: UNKNOWN_AUTHORITY,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: UNKNOWN_AUTHORITY,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: UNKNOWN_AUTHORITY,
};
