import { BladerootError, describeError, errorCode } from '../errors.ts';
import { Blames } from './blames.ts';
import { begin, BEGUN, type GetOptions, type Source } from './source.ts';

export interface FailoverOptions {
  /** Milliseconds for which a source that failed is asked last; a minute where it is not given. */
  rest?: number | undefined;
  /** Milliseconds of a clock that is never set back. */
  now?: (() => number) | undefined;
}

/**
 * Several sources of one store, in order of preference. When one fails, before or in the middle, the next goes on at
 * the very byte where it stopped, and the reader notices nothing. Each `get` asks each of them at most once.
 */
export class FailoverSource implements Source {
  readonly name: string;
  readonly #sources: readonly Source[];
  readonly #rest: number;
  readonly #now: () => number;
  /** Until when a source that failed is asked last. */
  readonly #restsUntil = new Map<Source, number>();
  readonly #blames: Blames;

  constructor(sources: readonly Source[], options: FailoverOptions = {}) {
    this.#sources = sources;
    this.#rest = options.rest ?? 60_000;
    this.#now = options.now ?? (() => performance.now());
    this.#blames = new Blames(sources);
    this.name = sources.map(({ name }) => name).join(' or ');
  }

  /**
   * @throws BladerootError that says of each source what was wrong: `SOURCE_MISSING` when none has such a thing,
   * `SOURCE_FAILED` when one of them might
   */
  async get(path: string, options: GetOptions = {}): Promise<AsyncIterable<Buffer>> {
    this.#blames.askedFor(path, options.start ?? 0);
    return await begin(this.#read(path, options));
  }

  damaged(path: string): boolean {
    return this.#blames.blame(path);
  }

  close(): void {
    for (const source of this.#sources) source.close?.();
  }

  async *#read(path: string, options: GetOptions): AsyncGenerator<Buffer, void, void> {
    const { start = 0, end, signal } = options;
    const failures: unknown[] = [];
    let at = start;
    let begun = false;
    let ended = false;
    for (const source of this.#order(path)) {
      signal?.throwIfAborted();
      let chunks: AsyncIterator<Buffer> | undefined;
      try {
        chunks = (await source.get(path, { ...options, start: at }))[Symbol.asyncIterator]();
        if (!begun) yield BEGUN;
        begun = true;
        for (let next = await chunks.next(); next.done !== true; next = await chunks.next()) {
          at += next.value.length;
          this.#blames.given(path, source, at - start);
          yield next.value;
        }
        this.#restsUntil.delete(source);
        ended = true;
      } catch (error) {
        signal?.throwIfAborted();
        this.#note(source, error);
        failures.push(error);
      } finally {
        await chunks?.return?.();
      }
      if (end === undefined ? ended : begun && at >= end) return;
    }
    // Where it ended before `end` for one, and the others have no more, that is all of it.
    if (!ended) throw allFailed(path, failures);
  }

  /** A source that lacks one thing may have the next: only one that does not answer is asked last. */
  #note(source: Source, error: unknown): void {
    const code = errorCode(error);
    if (code === 'SOURCE_FAILED') this.#restsUntil.set(source, this.#now() + this.#rest);
    else if (code !== 'SOURCE_MISSING') throw error;
  }

  /** As preferred; then those that failed, first the one that did so longest ago; then those blamed for this path. */
  #order(path: string): Source[] {
    const now = this.#now();
    const rests = (source: Source): number => {
      const until = this.#restsUntil.get(source) ?? now;
      return until > now ? until : now;
    };
    const blamed = (source: Source): number => (this.#blames.has(path, source) ? 1 : 0);
    return this.#sources.toSorted((a, b) => blamed(a) - blamed(b) || rests(a) - rests(b));
  }
}

function allFailed(path: string, failures: unknown[]): BladerootError {
  const missing = failures.every((error) => errorCode(error) === 'SOURCE_MISSING');
  return new BladerootError(
    missing ? 'SOURCE_MISSING' : 'SOURCE_FAILED',
    `no source gives ${path}: ${failures.map((error) => describeError(error)).join('; ')}`,
    { cause: new AggregateError(failures) },
  );
}
