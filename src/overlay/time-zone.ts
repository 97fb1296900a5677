import { posix } from 'node:path';
import { BladerootError } from '../errors.ts';
import { didYouMean } from '../fleet/nearest.ts';
import type { ResolvedBlade } from '../fleet/resolve.ts';
import { followLinks, type ImageFiles } from '../image/files.ts';
import { editEntry, fileEntry, type OverlayEntry } from './entry.ts';

const ORIGIN = 'built in: time zone';
const ZONES = 'usr/share/zoneinfo';

/**
 * The link that libc reads (localtime(5)), and the name that Debian and Gentoo keep beside it.
 * @throws BladerootError `UNKNOWN_TIME_ZONE` for one that the image does not have
 */
export async function timeZone({ timezone }: ResolvedBlade, image: ImageFiles): Promise<OverlayEntry[]> {
  if (timezone === undefined) return [];
  const real = await followLinks(image, `${ZONES}/${timezone}`);
  if (real === undefined || (await image.stat(real))?.type !== 'file') throw await unknown(timezone, image);
  return [
    editEntry({ type: 'symlink', path: 'etc/localtime', target: `/${ZONES}/${timezone}` }, ORIGIN),
    fileEntry('etc/timezone', `${timezone}\n`, ORIGIN),
  ];
}

async function unknown(timezone: string, image: ImageFiles): Promise<BladerootError> {
  const region = posix.dirname(timezone) === '.' ? '' : `${posix.dirname(timezone)}/`;
  const near = await image.list(posix.join(ZONES, region));
  const known = near.map((name) => `${region}${name}`);
  return new BladerootError(
    'UNKNOWN_TIME_ZONE',
    `the image has no time zone ${timezone}${didYouMean(timezone, known)}`,
    { hint: `write one of its /${ZONES}; the package that has them is tzdata on Debian` },
  );
}
