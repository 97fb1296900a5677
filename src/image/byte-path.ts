/**
 * Names on Linux are bytes, and need not be UTF-8. A BytePath holds one as a string whose characters are its bytes
 * (U+0000 to U+00FF, "latin1"): it compares as the bytes do, works as the key of a map, and is plain ASCII for nearly
 * every name. Paths are relative to the root of the tree, without a leading slash; '' is the root itself.
 */
import { isUtf8 } from 'node:buffer';

export type BytePath = string;

export function fromBytes(bytes: Uint8Array): BytePath {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');
}

export function toBytes(path: BytePath): Buffer {
  return Buffer.from(path, 'latin1');
}

/** The bytes of a text as UTF-8. */
export function fromText(text: string): BytePath {
  return ASCII.test(text) ? text : Buffer.from(text).toString('latin1');
}

/** The text that the bytes are in UTF-8; undefined when they are not UTF-8. */
export function toText(path: BytePath): string | undefined {
  if (ASCII.test(path)) return path;
  const bytes = toBytes(path);
  return isUtf8(bytes) ? bytes.toString() : undefined;
}

/** For messages: never unreadable, not always exact. */
export function display(path: BytePath): string {
  return JSON.stringify(toText(path) ?? path);
}

/** The directory that a path lies in: '' for what lies in the root, and for the root. */
export function parentOf(path: BytePath): BytePath {
  return path.slice(0, Math.max(0, path.lastIndexOf('/')));
}

const ASCII = /^[\0-\x7f]*$/;
