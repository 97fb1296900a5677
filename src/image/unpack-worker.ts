/** A thread of unpacking: decompresses frames and writes what is in them to files, with blocking calls. */
import { closeSync, unlinkSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import { BladerootError, describeError } from '../errors.ts';
import { sha256 } from '../store/digest.ts';
import { FrameDecompressor } from '../store/frame.ts';
import { endPhase, giveBack, letGo } from '../system/collect-garbage.ts';
import { dataExtents } from '../system/posix.ts';
import { isStopping, serveTasks } from '../system/workers.ts';
import type { BytePath } from './byte-path.ts';
import { OpenedFile, openIfFile } from './content.ts';
import { lookBelow } from './looked-around.ts';
import { partsIn } from './packed-parts.ts';
import { makeThing } from './small-things.ts';
import { TreeRoot } from './tree-root.ts';
import { naming } from './unpack-failed.ts';
import type { ComparedFile, CopiedFile, UnpackResult, UnpackTask } from './unpack-task.ts';
import {
  bytesOf,
  describe,
  finish,
  openExisting,
  openForPart,
  openNew,
  rename,
  writeData,
} from './written-file.ts';

const decompressor = new FrameDecompressor();
process.once('exit', () => decompressor.close());

serveTasks<UnpackTask, UnpackResult>((task) => {
  switch (task.kind) {
    case 'frame':
      return { result: { kind: 'done', written: writeFrame(task) } };
    case 'finish':
      for (const file of task.files) naming(file.path, () => finish(file, openExisting(file.path)));
      return { result: { kind: 'done', written: 0 } };
    case 'make':
      for (const thing of task.things) makeThing(thing);
      return { result: { kind: 'done', written: 0 } };
    case 'look':
      return look(task.directory, task.mounts);
    case 'compare':
      return { result: { kind: 'compared', same: task.files.map(isSame) } };
    case 'copy':
      return { result: { kind: 'compared', same: task.files.map(copy) } };
  }
});

function look(
  directory: string,
  mounts: ReadonlySet<BytePath>,
): { result: UnpackResult; transfer: ArrayBuffer[] } {
  const root = new TreeRoot(directory);
  try {
    const looked = lookBelow(root, mounts, isStopping);
    const parts = [...looked.paths, looked.attributed, ...looked.stats.parts];
    endPhase();
    return { result: { kind: 'looked', looked }, transfer: parts.map(({ buffer }) => buffer) };
  } finally {
    root.close();
  }
}

function writeFrame({ bytes, size, bases, parts }: UnpackTask & { kind: 'frame' }): number {
  let content: Uint8Array;
  try {
    content = decompressor.decompress(bytes, size, bases);
  } catch (error) {
    throw new BladerootError('PACK_DAMAGED', `a frame cannot be decompressed: ${describeError(error)}`);
  }
  giveBack(bytes);
  if (bases !== undefined) giveBack(bases);
  let written = 0;
  for (const { from, length, at, file, isWhole } of partsIn(parts)) {
    naming(file.path, () => {
      const fd = isWhole ? openNew(file.path) : openForPart(file.path);
      try {
        writeData(fd, content.subarray(from, from + length), file.extents, at);
        if (isWhole) describe(file, fd);
      } finally {
        closeSync(fd);
      }
      if (isWhole) rename(file);
    });
    written += length;
  }
  return written;
}

function isSame({ file, extents, objects }: ComparedFile): boolean {
  const opened = new OpenedFile(file);
  let from = 0;
  // What ought to be a hole is not looked at: so there must be one.
  let same =
    extents === undefined || isDeepStrictEqual(dataExtents(opened.fd, file.size, file.path), extents);
  for (const { digest, size } of objects) {
    if (!same) break;
    const content = Buffer.allocUnsafe(size);
    opened.read(content, extents, from);
    from += size;
    same = sha256(content) === digest;
  }
  return opened.close() && same;
}

/** Returns whether there was what is wanted; nothing is left behind where there was not. */
function copy({ from, file, objects }: CopiedFile): boolean {
  // What is read of it is hashed: that it may be another file by now does not matter.
  const source = openIfFile(from);
  if (source === undefined) return false;
  try {
    return naming(file.path, () => {
      const fd = openNew(file.path);
      let at = 0;
      try {
        for (const { digest, size } of objects) {
          const content = Buffer.allocUnsafe(size);
          source.read(content, file.extents, at);
          if (sha256(content) !== digest) {
            unlinkSync(bytesOf(file.path));
            return false;
          }
          writeData(fd, content, file.extents, at);
          at += size;
          letGo(size);
        }
        describe(file, fd);
      } finally {
        closeSync(fd);
      }
      rename(file);
      return true;
    });
  } finally {
    source.close();
  }
}
