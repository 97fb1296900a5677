/** Encrypts secrets for those who are to read them. */
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

/**
 * Encrypts what has other readers than it should have anew. All is decrypted before anything is written. Needs the
 * folder's lock.
 * @returns the files that were written
 * @throws BladerootError `SECRET_UNREADABLE`
 */
export async function rekey({
  fleetDirectory,
  fleet,
  identities,
  all = false,
}: RekeyRequest): Promise<string[]> {
  const wanted = all ? await allSecrets(fleetDirectory) : await outdatedSecrets(fleetDirectory, fleet);
  const keys = identities.map(({ secret }) => secret);
  const clear = await Promise.all(wanted.map(({ ciphertext, file }) => decryptWith(ciphertext, keys, file)));
  const readersOf = readersByOverlay(fleet);
  for (const [index, { overlay, path }] of wanted.entries()) {
    const recipients = recipientsOf(readersOf(overlay));
    const ciphertext = await encryptTo(clear[index] ?? Buffer.alloc(0), recipients);
    await writeSecret(fleetDirectory, { overlay, path, ciphertext, recipients });
  }
  return wanted.map(({ file }) => file);
}
