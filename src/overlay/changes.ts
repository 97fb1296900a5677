/** What a blade's overlay makes of the image: for people who want to see it before a boot. */
import { isUtf8 } from 'node:buffer';
import { createTwoFilesPatch, FILE_HEADERS_ONLY } from 'diff';
import { followLinks, type ImageFile, type ImageFiles } from '../image/files.ts';
import { isSecret, type OverlayEntry } from './entry.ts';

/** What is at a path; `content` of files that are no secrets. */
export interface Thing extends ImageFile {
  content?: Buffer;
  /** What is in it only the blade can tell; its size is not known either. */
  secret?: true;
}

/** One difference to the image. */
export interface OverlayChange {
  path: string;
  origin: string;
  /** Of the image; undefined for what is new, or what takes the place of something that is taken away. */
  before: Thing | undefined;
  /** On the blade; undefined for what is taken away. */
  after: Thing | undefined;
}

/** All that is not as in the image, in the order of the entries; an entry that changes nothing is left out. */
export async function overlayChanges(
  entries: readonly OverlayEntry[],
  image: ImageFiles,
): Promise<OverlayChange[]> {
  const changes: OverlayChange[] = [];
  const gone: string[] = [];
  for (const entry of entries) {
    const { path, origin } = entry;
    const isGone = gone.some((top) => path === top || path.startsWith(`${top}/`));
    const before = isGone ? undefined : await thingAt(image, path);
    const after = afterOf(entry);
    if (after === undefined) gone.push(path);
    if (!isSame(before, after)) changes.push({ path, origin, before, after });
  }
  return changes;
}

/** What an image has at a path, which is not followed; undefined where there is nothing. */
export async function thingAt(image: ImageFiles, path: string): Promise<Thing | undefined> {
  const parent = await followLinks(image, path.slice(0, Math.max(0, path.lastIndexOf('/'))));
  const real = parent === undefined ? undefined : `${parent}/${path.split('/').at(-1)}`.replace(/^\//, '');
  const stat = real === undefined ? undefined : await image.stat(real);
  if (real === undefined || stat?.type !== 'file') return stat;
  return { ...stat, content: await image.read(real) };
}

function afterOf(entry: OverlayEntry): Thing | undefined {
  if (entry.type === 'whiteout') return undefined;
  const { type, mode, uid, gid, xattrs = new Map<string, Buffer>() } = entry;
  if (isSecret(entry)) return { type, mode, uid, gid, xattrs, size: 0, secret: true };
  const size = type === 'file' ? entry.content.length : 0;
  const thing = { type, mode, uid, gid, xattrs, size };
  if (type === 'file') return { ...thing, content: entry.content };
  return type === 'symlink' ? { ...thing, target: entry.target } : thing;
}

function isSame(before: Thing | undefined, after: Thing | undefined): boolean {
  if (before === undefined || after === undefined) return before === after;
  const isAlike =
    after.secret !== true && before.type === after.type && contentOf(before).equals(contentOf(after));
  return isAlike && metadataChanges(before, after).length === 0;
}

function contentOf({ content, target }: Thing): Buffer {
  return content ?? Buffer.from(target ?? '');
}

/** Mode, owner and attributes as `mode 644 → 600`; a link has none of its own. */
export function metadataChanges(before: Thing, after: Thing): string[] {
  if (before.type === 'symlink' || after.type === 'symlink') return [];
  const facts: [string, string, string][] = [
    ['mode', octal(before.mode), octal(after.mode)],
    ['owner', `${before.uid}:${before.gid}`, `${after.uid}:${after.gid}`],
    ['xattrs', shownXattrs(before), shownXattrs(after)],
  ];
  return facts.filter(([, old, now]) => old !== now).map(([fact, old, now]) => `${fact} ${old} → ${now}`);
}

export function octal(mode: number): string {
  return mode.toString(8).padStart(3, '0');
}

function shownXattrs({ xattrs }: Thing): string {
  return xattrs.size === 0
    ? 'none'
    : [...xattrs].map(([name, value]) => `${name}=0x${value.toString('hex')}`).join(' ');
}

/** The text of a file or where a link points; undefined for what is no text. */
export function textOf(thing: Thing | undefined): string | undefined {
  if (thing?.type === 'symlink') return `→ ${thing.target ?? ''}\n`;
  if (thing?.content === undefined) return '';
  return isUtf8(thing.content) && !thing.content.includes(0) ? thing.content.toString() : undefined;
}

/** A unified diff of both contents; undefined where one of them is no text, '' where they are the same, or not to be shown. */
export function patchOf({ path, before, after }: OverlayChange): string | undefined {
  if (after?.secret === true) return '';
  const [old, now] = [textOf(before), textOf(after)];
  if (old === undefined || now === undefined) return undefined;
  if (old === now) return '';
  const names = [
    before === undefined ? '/dev/null' : `image/${path}`,
    after === undefined ? '/dev/null' : `blade/${path}`,
  ];
  const options = { context: 3, headerOptions: FILE_HEADERS_ONLY };
  return createTwoFilesPatch(names[0] ?? '', names[1] ?? '', old, now, undefined, undefined, options);
}
