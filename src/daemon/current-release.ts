import { watch, type FSWatcher } from 'node:fs';
import { BladerootError } from '../errors.ts';
import type { ReleaseRepository, SignedRelease } from '../release/repository.ts';

/** The newest release, kept up to date: what `release publish` puts there is what the next boot gets. */
export class CurrentRelease {
  readonly #releases: ReleaseRepository;
  readonly #onError: (error: unknown) => void;
  #onNew: () => void = () => undefined;
  #current: SignedRelease | undefined;
  #watcher: FSWatcher | undefined;
  #reading: Promise<void> = Promise.resolve();

  constructor(releases: ReleaseRepository, onError: (error: unknown) => void) {
    this.#releases = releases;
    this.#onError = onError;
  }

  /** @throws BladerootError `NO_RELEASE`, `SIGNATURE_INVALID` */
  async start(): Promise<void> {
    this.#current = await this.#releases.current();
    if (this.#current === undefined) {
      throw new BladerootError('NO_RELEASE', `there is no release in ${this.#releases.directory}`, {
        hint: 'make one with `bladeroot release publish`',
      });
    }
    // Releases appear by rename, one event each; reading again at any event costs one small file.
    this.#watcher = watch(this.#releases.directory, () => this.#readAgain());
    // What came between the first look and the watch.
    await this.#read();
  }

  /** Calls back whenever there is another release than before. */
  onNew(listener: () => void): void {
    this.#onNew = listener;
  }

  async stop(): Promise<void> {
    this.#watcher?.close();
    await this.#reading;
  }

  /** To be called after start. */
  get(): SignedRelease {
    if (this.#current === undefined) throw new Error('CurrentRelease.get() before start()');
    return this.#current;
  }

  #readAgain(): void {
    // One reading after the other, so that an older release never replaces a newer one.
    const before = this.#reading;
    this.#reading = (async () => {
      await before;
      await this.#read();
    })();
  }

  /** A bad newcomer is reported, and the good one stays. */
  async #read(): Promise<void> {
    try {
      const newest = await this.#releases.current();
      if (newest === undefined || newest.statement.sequence < this.get().statement.sequence) return;
      const isNew = newest.statement.sequence > this.get().statement.sequence;
      this.#current = newest;
      if (isNew) this.#onNew();
    } catch (error) {
      this.#onError(error);
    }
  }
}
