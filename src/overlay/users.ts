/** Users and groups of an image by name: its own passwd and group, as the layers leave them, and no others. */
import { BladerootError } from '../errors.ts';
import { didYouMean } from '../fleet/nearest.ts';
import { followLinks, type ImageFiles } from '../image/files.ts';

/** The highest id: the one above it means "nobody is meant" to system calls. */
const MAX_ID = 0xffff_fffe;

/** passwd(5). @throws BladerootError `UNKNOWN_USER` */
export async function findUser(image: ImageFiles, nameOrNumber: string, place: string): Promise<number> {
  return await find(image, 'etc/passwd', 'user', nameOrNumber, place);
}

/** group(5). @throws BladerootError `UNKNOWN_USER` */
export async function findGroup(image: ImageFiles, nameOrNumber: string, place: string): Promise<number> {
  return await find(image, 'etc/group', 'group', nameOrNumber, place);
}

async function find(
  image: ImageFiles,
  file: string,
  kind: string,
  nameOrNumber: string,
  place: string,
): Promise<number> {
  if (/^\d+$/.test(nameOrNumber)) {
    const id = Number(nameOrNumber);
    if (id <= MAX_ID) return id;
    throw new BladerootError('UNKNOWN_USER', `${place}: ${nameOrNumber} is more than a ${kind} id can be`);
  }
  const real = await followLinks(image, file);
  const text = real === undefined ? '' : (await image.read(real)).toString();
  const ids = new Map(
    text
      .split('\n')
      .map((line) => line.split(':'))
      .map(([name = '', , id]) => [name, Number(id)]),
  );
  const id = ids.get(nameOrNumber);
  if (id !== undefined && Number.isInteger(id)) return id;
  throw new BladerootError(
    'UNKNOWN_USER',
    `${place}: the image has no ${kind} ${nameOrNumber}${didYouMean(nameOrNumber, ids.keys())}`,
    { hint: `write one of its /${file}, or a number` },
  );
}
