/** Blades that run an older release than the one that is published: `pin: 17` in the fleet folder. */
import type { KeyObject } from 'node:crypto';
import { BladerootError } from '../errors.ts';
import type { ResolvedBlade } from '../fleet/resolve.ts';
import { nameList } from '../fleet/nearest.ts';
import { fetchBlob } from '../store/fetch.ts';
import { DirectorySource } from '../store/directory-source.ts';
import type { Source } from '../store/source.ts';
import type { Store } from '../store/store.ts';
import { openRelease, type ReleaseRepository, type SignedRelease } from './repository.ts';
import { publicHalf, type SigningKey } from './signing-key.ts';
import type { Pin, ReleaseBlade, ReleaseStatement } from './statement.ts';

/**
 * The release of that number: in the repository, or, as on a promoted blade, what the release before has carried of it.
 * @throws BladerootError `PIN_INVALID` when there is none
 */
export async function pinnedRelease(
  number: number,
  { releases, store, key }: { releases: ReleaseRepository; store: Store; key: SigningKey },
  before: ReleaseStatement | undefined,
): Promise<SignedRelease> {
  const there = await releases.sequences();
  if (there.includes(number)) return await releases.read(number);
  const carried = before?.blades.find(({ pin }) => pin?.release === number)?.pin;
  if (carried !== undefined) {
    return await fetchPinned(new DirectorySource(store.directory), carried, publicHalf(key));
  }
  const hint = there.length === 0 ? 'there is none yet' : `there are ${nameList(there.map(String), 10)}`;
  throw refused(`there is no release ${number}`, hint);
}

/**
 * What a new release says of a pinned blade: all that the pinned release says of it, but for the machine that it is.
 * @throws BladerootError `PIN_INVALID` when that release has no such blade, or has it elsewhere, or is not all here
 */
export async function pinBlade(
  blade: ResolvedBlade,
  number: number,
  { statement, envelope }: SignedRelease,
  store: Store,
): Promise<ReleaseBlade> {
  const { name, mac, serial, guid, recipient } = blade;
  const then = statement.blades.find((candidate) => candidate.name === name);
  if (then === undefined) {
    throw refused(`release ${number} has no blade ${name}`, 'pin it to one in which it was already');
  }
  if (then.pin !== undefined) {
    const hint = `write pin: ${then.pin.release}`;
    throw refused(`in release ${number} it was pinned itself, to release ${then.pin.release}`, hint);
  }
  if (then.address !== blade.address) {
    const why = `in release ${number} its address is ${then.address}, and in the fleet folder ${blade.address}`;
    throw refused(why, 'give it that address for as long as it is pinned');
  }
  if (then.secrets !== undefined && then.recipient !== recipient) {
    const hint = 'pin it to a release that was published since, or take the pin away';
    throw refused(`its secrets in release ${number} are for another machine than it is now`, hint);
  }
  const { snapshot, kernel, initrd } = statement;
  const missing = [kernel, initrd, then.overlay, ...(then.secrets === undefined ? [] : [then.secrets])].map(
    async ({ digest }) => !(await store.hasBlob(digest)),
  );
  if ((await Promise.all(missing)).includes(true) || !(await store.listSnapshots()).includes(snapshot.id)) {
    const hint = 'mend the store with `bladeroot snapshot verify --repair-from URL`, or pin it to another';
    throw refused(`not all that release ${number} needs is in the store`, hint);
  }
  // Who lets a disk be wiped means the blade as it is now, whatever it runs.
  const disks = { use: {}, partitions: {}, ...then.disks, wipe: blade.disks.wipe };
  const { mac: _mac, serial: _serial, guid: _guid, recipient: _recipient, ...same } = then;
  return {
    ...same,
    ...(then.disks?.wipe === blade.disks.wipe ? {} : { disks }),
    ...(mac === undefined ? {} : { mac }),
    ...(serial === undefined ? {} : { serial }),
    ...(guid === undefined ? {} : { guid }),
    ...(recipient === undefined ? {} : { recipient }),
    pin: {
      release: number,
      statement: { digest: await store.putBlob(envelope), bytes: envelope.length },
      snapshot,
      kernel,
      initrd,
    },
  };
}

/** The release that a pin means, as it was signed. @throws BladerootError `SIGNATURE_INVALID`, and what fetching throws */
export async function fetchPinned(source: Source, pin: Pin, publicKey: KeyObject): Promise<SignedRelease> {
  const { digest, bytes } = pin.statement;
  const what = `release ${pin.release}, to which this blade is pinned,`;
  const release = openRelease(await fetchBlob(source, digest, bytes), publicKey, what);
  if (release.statement.sequence === pin.release) return release;
  throw new BladerootError('SIGNATURE_INVALID', `${what} is release ${release.statement.sequence}`, {
    hint: 'publish again',
  });
}

function refused(why: string, hint: string): BladerootError {
  return new BladerootError('PIN_INVALID', why, { hint });
}
