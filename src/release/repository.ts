import { randomUUID, type KeyObject } from 'node:crypto';
import { link, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { BladerootError, errorCode } from '../errors.ts';
import { makeReadableDirectory, syncDirectory, writeFileAtomic } from '../system/write-file.ts';
import { openEnvelope } from './envelope.ts';
import { RELEASE_TYPE, releaseSchema, type ReleaseStatement } from './statement.ts';
import { namesIn } from '../system/read-file.ts';

/** A release with the exact bytes that were signed, as they go to blades. */
export interface SignedRelease {
  statement: ReleaseStatement;
  envelope: Buffer;
}

/** @throws BladerootError `SIGNATURE_INVALID` */
export function openRelease(envelope: Uint8Array, publicKey: KeyObject, what = 'the release'): SignedRelease {
  const expected = { payloadType: RELEASE_TYPE, schema: releaseSchema, what };
  return { statement: openEnvelope(envelope, expected, publicKey), envelope: Buffer.from(envelope) };
}

/** The releases of a fleet: one signed file each, `<sequence>.json`. */
export class ReleaseRepository {
  readonly directory: string;
  readonly #publicKey: KeyObject;

  constructor(stateDirectory: string, publicKey: KeyObject) {
    this.directory = join(stateDirectory, 'releases');
    this.#publicKey = publicKey;
  }

  /** The sequence numbers there are, lowest first. */
  async sequences(): Promise<number[]> {
    return (await namesIn(this.directory))
      .map((name) => /^([1-9]\d*)\.json$/.exec(name)?.[1])
      .filter((digits) => digits !== undefined)
      .map(Number)
      .sort((left, right) => left - right);
  }

  /** @throws BladerootError `NO_RELEASE`, `SIGNATURE_INVALID` */
  async read(sequence: number): Promise<SignedRelease> {
    const path = join(this.directory, `${sequence}.json`);
    const bytes = await readFile(path).catch((error: unknown) => {
      if (errorCode(error) !== 'ENOENT') throw error;
      throw new BladerootError('NO_RELEASE', `there is no release ${sequence}`, {
        hint: '`bladeroot release list` shows those that there are',
      });
    });
    const release = openRelease(bytes, this.#publicKey, `release ${sequence} (${path})`);
    if (release.statement.sequence === sequence) return release;
    throw new BladerootError(
      'SIGNATURE_INVALID',
      `${path} holds release ${release.statement.sequence} under another's name`,
      { hint: 'remove it, or give it back its own name' },
    );
  }

  /** What all releases say, the oldest first. @throws BladerootError `SIGNATURE_INVALID` */
  async all(): Promise<ReleaseStatement[]> {
    const statements: ReleaseStatement[] = [];
    for (const sequence of await this.sequences()) statements.push((await this.read(sequence)).statement);
    return statements;
  }

  /** The release with the highest number, if there is any. */
  async current(): Promise<SignedRelease | undefined> {
    const last = (await this.sequences()).at(-1);
    return last === undefined ? undefined : await this.read(last);
  }

  /**
   * Keeps a new release: a number means one statement, for good, also when two are published at once.
   * @throws BladerootError `RELEASE_TAKEN`
   */
  async add(release: SignedRelease): Promise<void> {
    const { sequence } = release.statement;
    await makeReadableDirectory(this.directory);
    const aside = join(this.directory, `${sequence}.${randomUUID()}.new`);
    await writeFileAtomic(aside, release.envelope);
    try {
      // Unlike rename(2), link(2) takes no other's place.
      await link(aside, join(this.directory, `${sequence}.json`));
    } catch (error) {
      if (errorCode(error) !== 'EEXIST') throw error;
      throw new BladerootError('RELEASE_TAKEN', `somebody else has published release ${sequence} meanwhile`, {
        hint: 'publish again, upon that one',
      });
    } finally {
      await rm(aside);
    }
    await syncDirectory(this.directory);
  }

  /** Forgets a release; what it names in a store stays. */
  async remove(sequence: number): Promise<void> {
    await rm(join(this.directory, `${sequence}.json`), { force: true });
    await syncDirectory(this.directory);
  }

  /** Keeps a release that has been opened with this fleet's key. */
  async put(release: SignedRelease): Promise<void> {
    await makeReadableDirectory(this.directory);
    await writeFileAtomic(join(this.directory, `${release.statement.sequence}.json`), release.envelope);
  }
}
