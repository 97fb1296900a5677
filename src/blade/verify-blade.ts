/** How a running blade differs from what its release says it is: its image with its overlay. */
import { mkdir, readFile } from 'node:fs/promises';
import { join, posix } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { BladerootError } from '../errors.ts';
import { fromBytes, fromText, type BytePath } from '../image/byte-path.ts';
import type { TreeDifference } from '../image/diff.ts';
import { driftOf } from '../image/drift.ts';
import { patternMatcher } from '../image/layers.ts';
import { parseManifest, type ManifestEntry } from '../image/manifest.ts';
import { selectLayers } from '../image/select-layers.ts';
import { decodeTar } from '../image/tar-decoder.ts';
import type { TarHeader } from '../image/tar.ts';
import { WHITEOUT } from '../overlay/archive.ts';
import { namesBootCard } from '../overlay/network.ts';
import { readPublicKey } from '../release/keys.ts';
import { ReleaseRepository } from '../release/repository.ts';
import type { Blob } from '../release/statement.ts';
import { BLADE_LAYERS } from '../slot/fetch-image.ts';
import { unmountIfMounted } from '../slot/mounts.ts';
import { sha256 } from '../store/digest.ts';
import { Store } from '../store/store.ts';
import { run } from '../system/run.ts';
import { readBladeState, type Slot } from './state.ts';

/** What a blade is to change while it runs, in the syntax of .gitignore. */
export const MEANT_TO_CHANGE: readonly string[] = [
  // Written when the blade is deployed, and by whom it is known.
  '/etc/fstab',
  '/etc/machine-id',
  '/etc/ssh/ssh_host_*',
  // Where something is mounted.
  '/boot/efi/',
  '/dev/',
  '/persist/',
  '/proc/',
  '/run/',
  '/sys/',
  '/tmp/',
  '/lost+found/',
  // What services and people keep.
  '/home/',
  '/srv/',
  '/var/cache/',
  '/var/lib/',
  '/var/log/',
  '/var/mail/',
  '/var/spool/',
  '/var/tmp/',
  '/root/.bash_history',
  '/root/.cache/',
  '/root/.lesshst',
  '/root/.viminfo',
  // What the system notes of itself.
  '/etc/.pwd.lock',
  '/etc/.updated',
  '/var/.updated',
  '/etc/adjtime',
  '/etc/mtab',
  '/etc/resolv.conf',
];

export interface VerifyOptions {
  stateDirectory: string;
  /** The slot that is looked at. */
  slot: Slot;
  /** Where it is mounted, perhaps with other file systems mounted below. */
  directory: string;
  /** For the time of the look. */
  mountPoint: string;
  /** Further patterns of what is meant to change. */
  ignore: readonly string[];
  signal: AbortSignal;
}

export interface VerifiedBlade {
  blade: string;
  release: number;
  slot: Slot;
  difference: TreeDifference;
}

/** @throws BladerootError `NOT_A_BLADE`, `BLADE_STATE`, and what reading its store throws */
export async function verifyBlade(options: VerifyOptions): Promise<VerifiedBlade> {
  const { stateDirectory, slot, signal } = options;
  const state = await readBladeState(stateDirectory);
  const installed = state?.slots[slot];
  if (state === undefined || installed === undefined) {
    throw new BladerootError('NOT_A_BLADE', `${stateDirectory} says nothing of slot ${slot}`, {
      hint: 'this is for blades that bladeroot has deployed',
    });
  }
  const releases = new ReleaseRepository(stateDirectory, await readPublicKey(stateDirectory));
  const { statement } = await releases.read(installed.release);
  const blade = statement.blades.find(({ name }) => name === state.name);
  if (blade === undefined) {
    throw new BladerootError('BLADE_STATE', `release ${installed.release} has no blade ${state.name}`);
  }
  const store = await Store.openExisting(join(stateDirectory, 'store'));
  const expected = new Expected(parseManifest(await store.readManifest(statement.snapshot.id)));
  await expected.lay(await readBlob(store, blade.overlay));
  if (blade.secrets !== undefined) await expected.laySecrets(await readBlob(store, blade.secrets));
  const isIgnored = patternMatcher([...MEANT_TO_CHANGE, ...options.ignore]);
  const difference = await lookingInto(options, async (directory) =>
    driftOf(directory, expected.entries, { isIgnored, unknown: expected.unknown, signal }),
  );
  return { blade: state.name, release: installed.release, slot, difference };
}

/** Without what is mounted below, and read-only: `mount --bind` shows the one file system alone. */
async function lookingInto<T>(
  { directory, mountPoint }: VerifyOptions,
  look: (directory: string) => Promise<T>,
): Promise<T> {
  await unmountIfMounted(mountPoint);
  await mkdir(mountPoint, { recursive: true });
  await run('mount', ['--bind', '-o', 'ro', directory, mountPoint]);
  try {
    return await look(mountPoint);
  } finally {
    await run('umount', [mountPoint]);
  }
}

async function readBlob(store: Store, { digest }: Blob): Promise<Buffer> {
  const bytes = await readFile(store.blobPath(digest));
  if (sha256(bytes) === digest) return bytes;
  throw new BladerootError('BLOB_DAMAGED', `blob ${digest} in ${store.directory} is damaged`, {
    hint: 'mend it: `bladeroot snapshot verify --repair-from URL`',
  });
}

/** What is to be in a slot, by path: the image, and what is laid over it. */
class Expected {
  readonly entries: Map<BytePath, ManifestEntry>;
  /** Files of which only the blade knows the content. */
  readonly unknown = new Set<BytePath>();

  constructor(image: readonly ManifestEntry[]) {
    this.entries = new Map(selectLayers(image, BLADE_LAYERS).map((entry) => [entry.path, entry]));
  }

  async lay(overlay: Buffer): Promise<void> {
    for await (const { header, content } of decodeTar(chunks(overlay))) {
      const { dir, base } = posix.parse(header.path.toString());
      if (base.startsWith(WHITEOUT)) this.#remove(fromText(posix.join(dir, base.slice(WHITEOUT.length))));
      else this.#put(header, await buffer(content));
    }
  }

  /** Ciphertext: of each file there is its name, owner and mode. */
  async laySecrets(archive: Buffer): Promise<void> {
    for await (const { header, content } of decodeTar(chunks(archive))) {
      this.unknown.add(this.#put(header, await buffer(content)));
    }
  }

  #put({ path, type, mode, uid, gid, mtime, xattrs, target }: TarHeader, content: Buffer): BytePath {
    const at = fromBytes(path).replace(/\/$/, '');
    const common = { path: at, layer: 'run', mode, uid, gid, mtime, xattrs } as const;
    if (type === 'dir') this.entries.set(at, { ...common, type });
    if (type === 'symlink') this.entries.set(at, { ...common, type, target: fromBytes(target) });
    if (type !== 'file') return at;
    const objects = content.length === 0 ? [] : [{ digest: sha256(content), size: content.length }];
    this.entries.set(at, { ...common, type, size: content.length, objects, extents: undefined });
    if (namesBootCard(content.toString())) this.unknown.add(at);
    return at;
  }

  #remove(path: BytePath): void {
    for (const each of this.entries.keys()) {
      if (each === path || each.startsWith(`${path}/`)) this.entries.delete(each);
    }
  }
}

async function* chunks(archive: Buffer): AsyncGenerator<Buffer> {
  yield archive;
}
