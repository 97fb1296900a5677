import { followLinks, type ImageFiles } from '../image/files.ts';

/** Distributions whose package names we know. */
export type Distribution = (typeof DISTRIBUTIONS)[number];

const DISTRIBUTIONS = ['debian', 'gentoo'] as const;

/** The package that holds something, on each distribution. */
export type PackageNames = Record<Distribution, string>;

/** Which distribution an image is, or is like, by its os-release(5); undefined when it is one that we do not know. */
export async function readDistribution(image: ImageFiles): Promise<Distribution | undefined> {
  const path =
    (await followLinks(image, 'etc/os-release')) ?? (await followLinks(image, 'usr/lib/os-release'));
  if (path === undefined) return undefined;
  const release = (await image.read(path)).toString();
  const ids = new Set(
    release.split('\n').flatMap((line) => /^(?:ID|ID_LIKE)=["']?([^"']*)/.exec(line)?.[1]?.split(' ') ?? []),
  );
  return DISTRIBUTIONS.find((known) => ids.has(known));
}

/** The package's name for a person: this distribution's, or all that we know. */
export function packageFor(names: PackageNames, distribution: Distribution | undefined): string {
  if (distribution !== undefined) return names[distribution];
  return DISTRIBUTIONS.map((known) => `${names[known]} (${known})`).join(' or ');
}
