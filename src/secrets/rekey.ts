/** Encrypts secrets for those who are to read them. */
import { errorCode } from '../errors.ts';
import { listOverlays } from '../fleet/load.ts';
import type { Fleet } from '../fleet/schema.ts';
import { decryptWith, encryptTo } from './age.ts';
import { readSecrets, writeSecret, type Secret } from './folder.ts';
import type { Identity } from './identity-file.ts';
import { differenceOf, readersByOverlay, recipientsOf } from './readers.ts';

export interface RekeyRequest {
  fleetDirectory: string;
  fleet: Fleet;
  identities: readonly Identity[];
  /** Also those that are as they should be. */
  all?: boolean;
}

/** Every secret of the fleet folder, of overlays that no blade has as well, sorted by overlay and path. */
export async function allSecrets(fleetDirectory: string): Promise<Secret[]> {
  const overlays = (await listOverlays(fleetDirectory)).sort();
  return (await Promise.all(overlays.map((overlay) => readSecrets(fleetDirectory, overlay)))).flat();
}

/** The secrets whose readers are other than they should be. */
export async function outdatedSecrets(fleetDirectory: string, fleet: Fleet): Promise<Secret[]> {
  const readersOf = readersByOverlay(fleet);
  return (await allSecrets(fleetDirectory)).filter(
    ({ overlay, recipients }) => differenceOf(recipients, readersOf(overlay)) !== undefined,
  );
}

/** Those of them that somebody could not read who is to: a release needs them encrypted anew. */
export async function unreadSecrets(fleetDirectory: string, fleet: Fleet): Promise<Secret[]> {
  const readersOf = readersByOverlay(fleet);
  return (await outdatedSecrets(fleetDirectory, fleet)).filter(
    ({ overlay, recipients }) => (differenceOf(recipients, readersOf(overlay))?.missing.length ?? 0) > 0,
  );
}

export interface Rekeyed {
  /** The files that were written. */
  written: string[];
  /** Those that none of the identities can read: they are as they were. */
  unreadable: string[];
}

/** Encrypts what has other readers than it should have anew. Needs the folder's lock. */
export async function rekey({
  fleetDirectory,
  fleet,
  identities,
  all = false,
}: RekeyRequest): Promise<Rekeyed> {
  const wanted = all ? await allSecrets(fleetDirectory) : await outdatedSecrets(fleetDirectory, fleet);
  const keys = identities.map(({ secret }) => secret);
  const readersOf = readersByOverlay(fleet);
  const done: Rekeyed = { written: [], unreadable: [] };
  for (const { ciphertext, file, overlay, path } of wanted) {
    const clear = await decryptWith(ciphertext, keys, file).catch((error: unknown) => {
      if (errorCode(error) !== 'SECRET_UNREADABLE') throw error;
    });
    if (clear === undefined) {
      done.unreadable.push(file);
      continue;
    }
    const recipients = recipientsOf(readersOf(overlay));
    const fresh = await encryptTo(clear, recipients);
    await writeSecret(fleetDirectory, { overlay, path, ciphertext: fresh, recipients });
    done.written.push(file);
  }
  return done;
}
