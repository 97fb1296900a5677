import { BladerootError } from '../../errors.ts';
import type { ReleaseRepository, SignedRelease } from '../../release/repository.ts';

/** The release that a person means: a number, `latest` or `previous`. @throws BladerootError `NO_RELEASE` */
export async function findRelease(releases: ReleaseRepository, text: string): Promise<SignedRelease> {
  const there = await releases.sequences();
  const fromEnd = { latest: -1, previous: -2 };
  const number = text === 'latest' || text === 'previous' ? there.at(fromEnd[text]) : wholeNumber(text);
  if (number !== undefined) return await releases.read(number);
  throw new BladerootError('NO_RELEASE', `there is no release ${there.length === 0 ? 'yet' : text}`, {
    hint: '`bladeroot release list` shows those that there are',
  });
}

function wholeNumber(text: string): number | undefined {
  return /^[1-9]\d{0,14}$/.test(text) ? Number(text) : undefined;
}
