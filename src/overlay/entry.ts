import type { ImageFile } from '../image/files.ts';
import type { OverlayEdit } from '../tree/services/service-manager.ts';

export interface Metadata {
  /** Permission bits such as 0o4755; of no meaning for symbolic links and whiteouts. */
  mode: number;
  uid: number;
  gid: number;
  /** Raw values by name, sorted by name; a name's characters are its bytes. */
  xattrs?: ReadonlyMap<string, Buffer>;
}

interface Place extends Metadata {
  /** As in ImageFiles; it leads through no symbolic link. */
  path: string;
  /** Where it comes from, for people: `overlays/web/etc/motd.liquid`, `built in: host name`. */
  origin: string;
}

export type FileEntry = Place & {
  type: 'file';
  content: Buffer;
  /** The content is an age file, which the blade decrypts; it does not go into the overlay's own archive. */
  secret?: boolean;
};
export type DirEntry = Place & { type: 'dir' };
export type SymlinkEntry = Place & { type: 'symlink'; target: string };
/** Takes away what the image has at its path, with all that is in it. */
export type WhiteoutEntry = Place & { type: 'whiteout' };

/** One change to the image. It does not change itself: blades share entries. */
export type OverlayEntry = FileEntry | DirEntry | SymlinkEntry | WhiteoutEntry;

/** What bladeroot itself gives every blade. */
export interface BuiltIn {
  entries: OverlayEntry[];
  /** Services that these entries need; what the blade itself says about them wins. */
  start: string[];
}

const OWNER = { uid: 0, gid: 0 };

/** What a file has beside its content, for one that takes its place. */
export function metadataOf({ mode, uid, gid, xattrs }: ImageFile): Metadata {
  return { mode, uid, gid, ...(xattrs.size === 0 ? {} : { xattrs }) };
}

/** A file of root's. */
export function fileEntry(path: string, content: string | Buffer, origin: string, mode = 0o644): FileEntry {
  const bytes = typeof content === 'string' ? Buffer.from(content) : content;
  return { type: 'file', path, mode, ...OWNER, origin, content: bytes };
}

/** A directory of root's. */
export function dirEntry(path: string, origin: string, mode = 0o755): DirEntry {
  return { type: 'dir', path, mode, ...OWNER, origin };
}

/** A symbolic link, or a whiteout: something that the image has and the blade has not. */
export function editEntry(edit: OverlayEdit, origin: string): SymlinkEntry | WhiteoutEntry {
  return { ...edit, mode: edit.type === 'symlink' ? 0o777 : 0, ...OWNER, origin };
}

/** A secret as it lies in the fleet folder and travels: encrypted. */
export function isSecret(entry: OverlayEntry): boolean {
  return entry.type === 'file' && entry.secret === true;
}
