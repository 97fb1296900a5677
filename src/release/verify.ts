/** Checks everything in a store that a snapshot or a release names, to the last byte, and mends it from other stores. */
import type { KeyObject } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { BladerootError } from '../errors.ts';
import { packsOf, type SnapshotStatement } from '../image/statement.ts';
import { sha256, type Digest } from '../store/digest.ts';
import { fetchBlob } from '../store/fetch.ts';
import { blobPath, snapshotPath, tagPath } from '../store/layout.ts';
import { fromAny } from '../store/mend.ts';
import type { Source } from '../store/source.ts';
import type { Store } from '../store/store.ts';
import { Findings, type Problem } from './findings.ts';
import type { ReleaseRepository } from './repository.ts';
import { fetchSnapshot, readSnapshot } from './snapshots.ts';
import { releaseBlobs, releaseSnapshots, type Blob, type ReleaseStatement } from './statement.ts';
import { SnapshotVerifier } from './verify-snapshot.ts';

export interface VerifyProgress {
  /** Of packs: each is read once for its pieces, and once for its objects. */
  bytesDone: number;
  bytesTotal: number;
}

export interface VerifyOptions {
  store: Store;
  publicKey: KeyObject;
  releases: ReleaseRepository;
  /** The only snapshot to check; without it all are, and what releases name. */
  id?: Digest | undefined;
  /** Other stores, to mend this one from, in order of preference. */
  sources?: readonly Source[] | undefined;
  signal?: AbortSignal | undefined;
  onProgress?: ((progress: VerifyProgress) => void) | undefined;
}

export interface Verified {
  snapshots: number;
  packs: number;
  blobs: number;
  problems: Problem[];
  /** What is no fault: ways of a snapshot that are not here, while another is. */
  notes: string[];
}

export async function verifyStore(options: VerifyOptions): Promise<Verified> {
  return await new Verification(options).run();
}

class Verification {
  readonly #options: VerifyOptions;
  readonly #findings = new Findings();

  constructor(options: VerifyOptions) {
    this.#options = options;
  }

  async run(): Promise<Verified> {
    const { id } = this.#options;
    const releases = id === undefined ? await this.#releases() : [];
    const statements = await this.#statements(id === undefined ? await this.#allIds(releases) : [id]);
    const packs = new Map(statements.flatMap(packsOf).map((pack) => [pack.id, pack]));
    const verifier = new SnapshotVerifier({ ...this.#options, findings: this.#findings, packs });
    for (const statement of statements) await verifier.verify(statement);
    const blobs = new Map(releases.flatMap(releaseBlobs).map((blob) => [blob.digest, blob]));
    for (const blob of blobs.values()) await this.#blob(blob);
    if (id === undefined) await this.#tags();
    return {
      snapshots: statements.length,
      packs: verifier.packsChecked,
      blobs: blobs.size,
      problems: this.#findings.problems,
      notes: verifier.notes,
    };
  }

  async #releases(): Promise<ReleaseStatement[]> {
    const { releases } = this.#options;
    const sound: ReleaseStatement[] = [];
    for (const sequence of await releases.sequences()) {
      await this.#findings.look(`releases/${sequence}.json`, async () => {
        sound.push((await releases.read(sequence)).statement);
        return [];
      });
    }
    return sound;
  }

  /** Those that are listed, and those that should be. */
  async #allIds(releases: readonly ReleaseStatement[]): Promise<Digest[]> {
    const listed = await this.#options.store.listSnapshots();
    return [...new Set([...listed, ...releases.flatMap(releaseSnapshots).map(({ id }) => id)])];
  }

  async #statements(ids: readonly Digest[]): Promise<SnapshotStatement[]> {
    const { store, publicKey, sources = [] } = this.#options;
    const sound: SnapshotStatement[] = [];
    for (const id of ids) {
      const mend = async (): Promise<void> => {
        const { envelope } = await fromAny(sources, (source) => fetchSnapshot(source, id, publicKey));
        await store.putSnapshot(id, envelope);
      };
      const check = async (): Promise<string[]> => {
        sound.push(await readSnapshot(store, id, publicKey));
        return [];
      };
      await this.#findings.lookAndMend(snapshotPath(id), check, sources.length > 0 ? mend : undefined);
    }
    return sound;
  }

  async #blob({ digest, bytes }: Blob): Promise<void> {
    const { store, sources = [], signal } = this.#options;
    signal?.throwIfAborted();
    const check = async (): Promise<string[]> => {
      if (!(await store.hasBlob(digest))) return ['the blob is missing'];
      const blob = await readFile(store.blobPath(digest));
      return blob.length === bytes && sha256(blob) === digest ? [] : ['the blob is damaged'];
    };
    const mend = async (): Promise<void> => {
      const blob = await fromAny(sources, (source) => fetchBlob(source, digest, bytes, { signal }));
      await store.putBlob(blob);
    };
    await this.#findings.lookAndMend(blobPath(digest), check, sources.length > 0 ? mend : undefined);
  }

  async #tags(): Promise<void> {
    const { store } = this.#options;
    const listed = new Set(await store.listSnapshots());
    for (const [tag, id] of await store.readTags()) {
      if (listed.has(id)) continue;
      await this.#findings.look(tagPath(tag), async () => ['the tag stands for a snapshot that is not here']);
    }
  }
}

/** @throws BladerootError `STORE_DAMAGED` when anything is left that is not as it should be */
export function requireSound({ problems }: Pick<Verified, 'problems'>): void {
  const left = problems.filter(({ mended }) => !mended).length;
  if (left === 0) return;
  throw new BladerootError('STORE_DAMAGED', `${left} ${left === 1 ? 'problem is' : 'problems are'} left`, {
    hint: '`bladeroot snapshot verify --repair-from URL` mends a store from another',
  });
}
