import type { OverlayEdit } from '../tree/services/service-manager.ts';

type Content =
  | { type: 'file'; content: Buffer }
  | { type: 'dir' }
  | { type: 'symlink'; target: string }
  | { type: 'whiteout' };

/** One change to the image. Paths are as in ImageFiles, and lead through no symbolic link. */
export type OverlayEntry = Content & {
  path: string;
  /** Permission bits such as 0o4755; of no meaning for symbolic links and whiteouts. */
  mode: number;
  uid: number;
  gid: number;
  /** Where it comes from, for people: `overlays/web/etc/motd.liquid`, `built in: host name`. */
  origin: string;
  /** The content is an age file, which the blade decrypts; it does not go into the overlay's own archive. */
  secret?: boolean;
};

/** What bladeroot itself gives every blade. */
export interface BuiltIn {
  entries: OverlayEntry[];
  /** Services that these entries need; what the blade itself says about them wins. */
  start: string[];
}

const OWNER = { uid: 0, gid: 0 };

/** A file of root's. */
export function fileEntry(
  path: string,
  content: string | Buffer,
  origin: string,
  mode = 0o644,
): OverlayEntry {
  return { type: 'file', path, mode, ...OWNER, origin, content: Buffer.from(content) };
}

/** A directory of root's. */
export function dirEntry(path: string, origin: string, mode = 0o755): OverlayEntry {
  return { type: 'dir', path, mode, ...OWNER, origin };
}

/** A symbolic link, or a whiteout: something that the image has and the blade has not. */
export function editEntry(edit: OverlayEdit, origin: string): OverlayEntry {
  return { ...edit, mode: edit.type === 'symlink' ? 0o777 : 0, ...OWNER, origin };
}
