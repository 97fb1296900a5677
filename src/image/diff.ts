/** What differs between two snapshots, going by their manifests. */
import type { BytePath } from './byte-path.ts';
import type { ManifestEntry } from './manifest.ts';

/** What of a thing can differ; `content` is data, where a link points, a device's number, or what kind of thing it is. */
export const ASPECTS = ['content', 'mode', 'owner', 'mtime', 'xattrs', 'layer', 'links'] as const;
export type Aspect = (typeof ASPECTS)[number];

/** A thing in a tree; a hard link is what it is another name of. */
export interface Thing {
  path: BytePath;
  type: Exclude<ManifestEntry['type'], 'hardlink'>;
  /** Bytes of a file's content; 0 for all else. */
  size: number;
}

export interface Change {
  before: Thing;
  after: Thing;
  /** In the order of ASPECTS; at least one. */
  aspects: Aspect[];
}

export interface TreeDifference {
  /** All in the order of the paths' bytes. */
  added: Thing[];
  removed: Thing[];
  changed: Change[];
}

export function diffManifests(
  before: readonly ManifestEntry[],
  after: readonly ManifestEntry[],
): TreeDifference {
  const [old, now] = [resolveLinks(before), resolveLinks(after)];
  const changed: Change[] = [];
  for (const [path, next] of now) {
    const last = old.get(path);
    if (last === undefined) continue;
    const aspects = ASPECTS.filter((aspect) => valueOf(aspect, last) !== valueOf(aspect, next));
    if (aspects.length > 0) changed.push({ before: thing(path, last), after: thing(path, next), aspects });
  }
  return { added: only(now, old), removed: only(old, now), changed };
}

type Inode = Exclude<ManifestEntry, { type: 'hardlink' }>;

interface Named {
  inode: Inode;
  layer: ManifestEntry['layer'];
  /** The first path of its link group; '' where it has one name. */
  group: BytePath;
}

function resolveLinks(entries: readonly ManifestEntry[]): Map<BytePath, Named> {
  const named = new Map<BytePath, Named>();
  for (const entry of entries) {
    if (entry.type !== 'hardlink') {
      named.set(entry.path, { inode: entry, layer: entry.layer, group: '' });
      continue;
    }
    const first = named.get(entry.target);
    // A manifest has the first name of a group before the others.
    if (first === undefined) throw new Error(`${entry.path} is a link to nothing`);
    first.group = entry.target;
    named.set(entry.path, { inode: first.inode, layer: entry.layer, group: entry.target });
  }
  return named;
}

function only(here: ReadonlyMap<BytePath, Named>, there: ReadonlyMap<BytePath, Named>): Thing[] {
  return [...here].filter(([path]) => !there.has(path)).map(([path, named]) => thing(path, named));
}

function thing(path: BytePath, { inode }: Named): Thing {
  return { path, type: inode.type, size: inode.type === 'file' ? inode.size : 0 };
}

/** What two things have in common if they do not differ in an aspect. */
function valueOf(aspect: Aspect, { inode, layer, group }: Named): string {
  switch (aspect) {
    case 'content':
      return `${inode.type} ${contentOf(inode)}`;
    case 'mode':
      return String(inode.mode);
    case 'owner':
      return `${inode.uid}:${inode.gid}`;
    case 'mtime':
      return inode.mtime;
    case 'xattrs':
      return JSON.stringify([...inode.xattrs].map(([name, value]) => [name, value.toString('hex')]));
    case 'layer':
      return layer;
    case 'links':
      return group;
  }
}

function contentOf(inode: Inode): string {
  switch (inode.type) {
    case 'file':
      return JSON.stringify([inode.size, inode.objects.map(({ digest }) => digest), inode.extents]);
    case 'symlink':
      return inode.target;
    case 'char':
    case 'block':
      return `${inode.major}:${inode.minor}`;
    default:
      return '';
  }
}
