import { posix } from 'node:path';
import { followLinks } from '../image/files.ts';
import { metadataOf, type FileEntry } from './entry.ts';
import { conflict, type LaidOver } from './laid-over.ts';

/**
 * Adds lines to what a file has, in the image or by a lower layer; the file keeps its owner and mode. It is made where
 * there is none. A link is followed: what has the lines afterwards is the file that it leads to.
 * @returns the path that the file really has
 * @throws BladerootError `OVERLAY_CONFLICT` where something that is no file is in the way
 */
export async function appendLines(root: LaidOver, lines: FileEntry): Promise<string> {
  const real = await followLinks(root, lines.path);
  if (real === undefined) {
    const parent = await followLinks(root, posix.dirname(lines.path));
    const link =
      parent === undefined ? undefined : await root.stat(posix.join(parent, posix.basename(lines.path)));
    if (link !== undefined) throw conflict(lines, `/${lines.path} is a link to nowhere`);
    return await root.put(lines);
  }
  const there = await root.stat(real);
  if (there?.type !== 'file') throw conflict(lines, `/${real} is no file that lines could be added to`);
  if (root.isSecret(real))
    throw conflict(lines, `/${real} is a secret, to which only the blade could add lines`);
  const origin = `${root.originOf(real) ?? 'the image'}, ${lines.origin}`;
  const content = await root.joinLines(real, lines.content);
  return await root.put({ ...lines, ...metadataOf(there), path: real, origin, content });
}
