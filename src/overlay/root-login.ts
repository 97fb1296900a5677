/** Who can log in as root: by the keys and the password that the fleet says. */
import { BladerootError } from '../errors.ts';
import type { ResolvedBlade } from '../fleet/resolve.ts';
import { followLinks, type ImageFiles } from '../image/files.ts';
import { dirEntry, fileEntry, metadataOf, type OverlayEntry } from './entry.ts';

const SHADOW = 'etc/shadow';

/** All of authorized_keys(5): keys that the image has are no longer good. */
export function authorizedKeys({ ssh }: ResolvedBlade): OverlayEntry[] {
  if (ssh.authorizedKeys.length === 0) return [];
  const origin = 'built in: ssh.authorizedKeys';
  const lines = ssh.authorizedKeys.map((key) => `${key}\n`);
  return [
    dirEntry('root/.ssh', origin, 0o700),
    fileEntry('root/.ssh/authorized_keys', lines.join(''), origin, 0o600),
  ];
}

/**
 * The hash in root's line of the image's shadow(5); all else in the file stays, and so do its owner and mode.
 * @throws BladerootError `NO_SHADOW`
 */
export async function rootPassword(
  { rootPassword: hash }: ResolvedBlade,
  image: ImageFiles,
): Promise<OverlayEntry[]> {
  if (hash === undefined) return [];
  const real = await followLinks(image, SHADOW);
  const stat = real === undefined ? undefined : await image.stat(real);
  const text = real === undefined || stat?.type !== 'file' ? '' : (await image.read(real)).toString();
  if (real === undefined || stat === undefined || !/^root:/m.test(text)) {
    throw new BladerootError('NO_SHADOW', `the image has no line of root in /${SHADOW}`, {
      hint: 'leave rootPassword out, or mend the tree (`pwconv`) and pack it again',
    });
  }
  const changed = text.replace(/^root:[^:\n]*/m, () => `root:${hash}`);
  return [{ ...fileEntry(real, changed, 'built in: rootPassword'), ...metadataOf(stat) }];
}
