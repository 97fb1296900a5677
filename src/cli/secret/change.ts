/** What commands that write secrets have in common. */
import { BladerootError } from '../../errors.ts';
import { lockFolder } from '../../fleet/edit-folder.ts';
import { listOverlays, loadFleet } from '../../fleet/load.ts';
import { didYouMean, nameList } from '../../fleet/nearest.ts';
import type { Fleet } from '../../fleet/schema.ts';
import { encryptTo } from '../../secrets/age.ts';
import { readSecrets, secretPath, writeSecret, type Secret } from '../../secrets/folder.ts';
import { readersByOverlay, recipientsOf, type Readers } from '../../secrets/readers.ts';
import type { Context } from '../command.ts';

/** Does something to a checked fleet folder that nobody else changes meanwhile. */
export async function changingSecrets<T>(
  { fleetDirectory, signal }: Context,
  work: (fleet: Fleet) => Promise<T>,
): Promise<T> {
  await loadFleet(fleetDirectory);
  const unlock = await lockFolder(fleetDirectory, signal);
  try {
    return await work(await loadFleet(fleetDirectory));
  } finally {
    await unlock();
  }
}

/** @throws BladerootError `UNKNOWN_OVERLAY` */
export async function requireOverlay(fleetDirectory: string, overlay: string): Promise<void> {
  const known = await listOverlays(fleetDirectory);
  if (known.includes(overlay)) return;
  throw new BladerootError('UNKNOWN_OVERLAY', `there is no overlay ${overlay}${didYouMean(overlay, known)}`, {
    hint: `overlays: ${nameList(known)}; a new one is a folder in ${fleetDirectory}/overlays`,
  });
}

/** @throws BladerootError `UNKNOWN_OVERLAY`, `UNKNOWN_SECRET`, `BAD_PATH` */
export async function findSecret(fleetDirectory: string, overlay: string, path: string): Promise<Secret> {
  await requireOverlay(fleetDirectory, overlay);
  const wanted = secretPath(path);
  const secrets = await readSecrets(fleetDirectory, overlay);
  const found = secrets.find((secret) => secret.path === wanted);
  if (found !== undefined) return found;
  const known = secrets.map((secret) => `/${secret.path}`);
  throw new BladerootError(
    'UNKNOWN_SECRET',
    `the overlay ${overlay} has no secret /${wanted}${didYouMean(`/${wanted}`, known)}`,
    { hint: `its secrets: ${nameList(known)}` },
  );
}

/**
 * Encrypts a secret to all who are to read it, and writes it.
 * @throws BladerootError `NO_RECOVERY` when nobody could read it any more once its blades are gone
 */
export async function putSecret(
  { fleetDirectory }: Context,
  fleet: Fleet,
  { overlay, path, clear }: { overlay: string; path: string; clear: Uint8Array },
): Promise<Readers> {
  const readers = readersByOverlay(fleet)(overlay);
  if (readers.recovery.length === 0) {
    throw new BladerootError(
      'NO_RECOVERY',
      'the fleet has no recovery recipient, so that nobody could give this secret to a new blade',
      {
        hint: '`bladeroot init --recovery FILE` makes one and writes its recipient into fleet.yaml; keep FILE away from all machines',
      },
    );
  }
  const recipients = recipientsOf(readers);
  const ciphertext = await encryptTo(clear, recipients);
  await writeSecret(fleetDirectory, { overlay, path, ciphertext, recipients });
  return readers;
}

/** Who can read it now, for people. */
export function describeReaders({ blades, waiting, recovery }: Readers): string {
  const can = [...blades.keys(), ...(recovery.length > 0 ? ['the recovery identity'] : [])];
  const cannot =
    waiting.length === 0 ? '' : `; not yet by ${nameList(waiting)}, whose identity is not accepted`;
  return `can be read by ${nameList(can)}${cannot}`;
}
