/** What unpacking asks of its threads, and what they answer. */
import type { Digest } from '../store/digest.ts';
import type { BytePath } from './byte-path.ts';
import type { SeenFile } from './content.ts';
import type { Looked } from './looked-around.ts';
import type { Extent } from './manifest.ts';

/** What a thing is to be like, but for its content. */
export interface Attributes {
  mode: number;
  uid: number;
  gid: number;
  /** Nanoseconds since 1970. */
  mtime: bigint;
  /** Not there for the many things that have none: it has to be copied from thread to thread. */
  xattrs: ReadonlyMap<string, Uint8Array> | undefined;
}

/** A file on its way; paths are for system calls, one character a byte. */
export interface FileTarget {
  /** Where it is written. */
  path: string;
  /** What it is called in the end, where that is another path: something is there that it takes the place of. */
  finalPath: string | undefined;
  /** Bytes, with holes. */
  size: number;
  extents: readonly Extent[] | undefined;
  attributes: Attributes;
}

/** Bytes of a frame that go to a file. */
export interface FramePart {
  /** In the frame's content, and in the file's data. */
  from: number;
  length: number;
  at: number;
  file: FileTarget;
  /** Whether they are all the data of the file, which is then complete. */
  isWhole: boolean;
}

export type SmallThing =
  | { type: 'symlink'; path: string; target: string; attributes: Attributes }
  | { type: 'char' | 'block' | 'fifo'; path: string; major: number; minor: number; attributes: Attributes }
  | { type: 'empty'; file: FileTarget }
  | { type: 'hardlink'; path: string; target: string }
  | { type: 'attributes'; path: string; isLink: boolean; attributes: Attributes };

export type UnpackTask =
  | {
      kind: 'frame';
      bytes: Uint8Array;
      size: number;
      bases: Uint8Array | undefined;
      parts: readonly FramePart[];
    }
  /** All the data of these is written: they are given what else they have. */
  | { kind: 'finish'; files: readonly FileTarget[] }
  | { kind: 'make'; things: readonly SmallThing[] }
  /** What is in a directory, by its path as Node has it. */
  | { kind: 'look'; directory: string; mounts: ReadonlySet<BytePath> }
  /** Whether the data of files that are there is what it is to be: digests of parts, of these lengths. */
  | { kind: 'compare'; files: readonly ComparedFile[] }
  /** As a comparison, of files elsewhere: those whose data is what it is to be are copied. */
  | { kind: 'copy'; files: readonly CopiedFile[] };

export interface ComparedFile {
  file: SeenFile;
  extents: readonly Extent[] | undefined;
  objects: readonly { digest: Digest; size: number }[];
}

export interface CopiedFile {
  /** For system calls, one character a byte. */
  from: string;
  file: FileTarget;
  objects: readonly { digest: Digest; size: number }[];
}

export type UnpackResult =
  | { kind: 'done'; written: number }
  | { kind: 'looked'; looked: Looked }
  | { kind: 'compared'; same: boolean[] };
