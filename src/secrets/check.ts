/** Whether what is about to be published can be read by whom it is for. Needs no key. */
import { BladerootError } from '../errors.ts';
import { nameList } from '../fleet/nearest.ts';
import type { Fleet } from '../fleet/schema.ts';
import { listOverlays } from '../fleet/load.ts';
import { readSecrets } from './folder.ts';
import { differenceOf, readersByOverlay } from './readers.ts';

/**
 * @returns what a person should know, in sentences: who can read more than he should, and which blades get nothing yet
 * @throws BladerootError `SECRET_IN_CLEAR`, `SECRETS_OUTDATED` when a blade could not read a secret of its overlays, or
 *   nobody could recover it
 */
export async function checkSecrets(fleetDirectory: string, fleet: Fleet): Promise<string[]> {
  const readersOf = readersByOverlay(fleet);
  const faults: string[] = [];
  const warnings: string[] = [];
  const waiting = new Set<string>();
  for (const overlay of (await listOverlays(fleetDirectory)).sort()) {
    const readers = readersOf(overlay);
    for (const { file, recipients } of await readSecrets(fleetDirectory, overlay)) {
      for (const name of readers.waiting) waiting.add(name);
      const { missing = [], surplus = [] } = differenceOf(recipients, readers) ?? {};
      if (missing.length > 0) faults.push(`${file} is not known to be encrypted to ${nameList(missing)}`);
      if (surplus.length > 0)
        warnings.push(`${file} can still be read by ${nameList(surplus)}: run \`bladeroot secret rekey\``);
    }
  }
  if (waiting.size > 0) {
    warnings.push(
      `no secrets for ${nameList(waiting)}, whose identity nobody has accepted yet: see \`bladeroot blade list --pending\`, then \`bladeroot blade approve NAME\``,
    );
  }
  if (faults.length === 0) return warnings;
  throw new BladerootError('SECRETS_OUTDATED', nameList(faults, 5), {
    hint: 'run `bladeroot secret rekey` with an identity that can read it (--identity FILE)',
  });
}
