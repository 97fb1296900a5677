/**
 * What patches are based on, where it can be had without the packs: the old content of a file whose new one is a patch. To
 * take it out of a pack, a whole frame has to be decompressed for each of many small files.
 */
import { sha256, type Digest } from '../store/digest.ts';
import { FRAME_SIZE } from '../store/frame.ts';
import type { ObjectRef } from '../store/pack-index.ts';
import type { BytePath } from './byte-path.ts';
import { openIfFile } from './content.ts';
import type { TreeRoot } from './tree-root.ts';

/**
 * Looks for bases in trees; each is what it is to be, whatever else has become of the trees meanwhile.
 * @param roots where old contents may be, such as the directory that is unpacked to
 * @param paths of files whose new contents are patches on these bases
 */
export function basesAtHand(
  roots: readonly TreeRoot[],
  bases: readonly ObjectRef[],
  paths: Iterable<BytePath>,
): ReadonlyMap<Digest, Buffer> {
  const found = new Map<Digest, Buffer>();
  // What is longer fills frames of its own.
  const wanted = new Map(
    bases.filter(({ size }) => size < FRAME_SIZE).map(({ digest, size }) => [digest, size]),
  );
  const sizes = new Set(wanted.values());
  for (const path of paths) {
    for (const root of roots) {
      const content = contentAt(root.at(path), sizes);
      const digest = content === undefined ? '' : sha256(content);
      if (content !== undefined && wanted.get(digest) === content.length) found.set(digest, content);
    }
    if (found.size === wanted.size) break;
  }
  return found;
}

/** The content of a file that has one of these sizes. */
function contentAt(path: string, sizes: ReadonlySet<number>): Buffer | undefined {
  const file = openIfFile(path);
  if (file === undefined) return undefined;
  try {
    if (!sizes.has(file.size)) return undefined;
    const content = Buffer.allocUnsafe(file.size);
    file.read(content, undefined, 0);
    return content;
  } finally {
    file.close();
  }
}
