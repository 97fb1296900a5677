/** Builds a blade's initrd out of the image that the blade will run: nothing of this machine gets into it. */
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { followLinks, type ImageFiles } from '../image/files.ts';
import { startPiped } from '../system/run.ts';
import { InitrdContents, type InitrdPart } from './contents.ts';
import { writeCpio, type InitrdFile } from './cpio.ts';
import { findLibraries, LINKER_CACHE } from './libraries.ts';
import { findModules } from './modules.ts';
import { APPLETS, findTools } from './tools.ts';

export interface InitrdRequest {
  image: ImageFiles;
  kernel: { version: string };
  /** Files that are not the image's own, such as /init. The libraries of ELF programs among them come along. */
  extra: InitrdFile[];
  /** Further programs of the image, by path. */
  programs?: string[];
  /** zstd's, 1 to 19, whose window is at most 8 MiB; the kernel takes up to 128 (lib/decompress_unzstd.c). */
  level?: number;
  signal?: AbortSignal | undefined;
  /** Called as the archive is compressed, which takes nearly all of the time. */
  onProgress?: (progress: InitrdProgress) => void;
}

export interface InitrdProgress {
  /** Bytes before compression. */
  doneBytes: number;
  totalBytes: number;
}

export interface Initrd {
  /** A zstd-compressed newc cpio archive; the same bytes for the same request and version of zstd. */
  bytes: Buffer;
  parts: InitrdPart[];
}

/**
 * @throws BladerootError `TOOL_MISSING`, `LIBRARY_MISSING`, `NO_MODULES`, `FILE_MISSING`, `ELF`, `INITRD_PATH`,
 * `PROGRAM_MISSING` (zstd); the signal's reason.
 */
export async function buildInitrd(request: InitrdRequest): Promise<Initrd> {
  const { image, signal } = request;
  const contents = new InitrdContents(image);
  const copyAll = async (part: string, paths: string[]): Promise<void> => {
    for (const path of paths) {
      signal?.throwIfAborted();
      await contents.copy(part, path);
    }
  };

  const tools = await findTools(image);
  await copyAll('programs', [...tools.programs.values(), ...(request.programs ?? []), ...tools.files]);
  await addSkeleton(contents, await followLinks(image, tools.programs.get('busybox') ?? ''));
  for (const file of request.extra) await contents.add('bladeroot', file);
  await copyAll('libraries', await findLibraries(image, contents.executables()));
  if ((await image.stat(LINKER_CACHE)) !== undefined) await copyAll('libraries', [LINKER_CACHE]);
  await copyAll('modules', await findModules(image, request.kernel.version));

  const archive = [...writeCpio(contents.files())];
  return { bytes: await compress(archive, request), parts: contents.parts() };
}

/** What must be there before `/init` can do anything: mount points, a console, and busybox under its commands' names. */
async function addSkeleton(contents: InitrdContents, busybox: string | undefined): Promise<void> {
  const skeleton: InitrdFile[] = [
    ...MOUNT_POINTS.map((path) => ({ path, mode: 0o755, directory: true as const })),
    { path: 'tmp', mode: 0o1777, directory: true },
    { path: 'dev/console', mode: 0o600, device: { major: 5, minor: 1 } },
    { path: 'dev/null', mode: 0o666, device: { major: 1, minor: 3 } },
    ...APPLETS.map((applet) => ({ path: `bin/${applet}`, target: `/${busybox}` })),
  ];
  for (const file of skeleton) await contents.add('skeleton', file);
}

const MOUNT_POINTS = ['dev', 'proc', 'run', 'sys', 'sysroot'];

/** 65 MB in 8 s on two cores, for a Debian kernel and Node; 15 saves 1 MB more and takes 40 s, 19 takes 8 MB off in 127 s. */
const DEFAULT_LEVEL = 9;

/** The bytes do not depend on how many cores zstd finds: it cuts the input into the same jobs for any number of them. */
async function compress(archive: Buffer[], request: InitrdRequest): Promise<Buffer> {
  const { level = DEFAULT_LEVEL, signal } = request;
  const zstd = startPiped('zstd', ['-q', '-c', '-T0', `-${level}`], { signal });
  const [packed, fed] = await Promise.allSettled([
    buffer(zstd.stdout),
    pipeline(Readable.from(pieces(archive, request.onProgress)), zstd.stdin),
  ]);
  // Why zstd ended says more than that its pipe broke.
  await zstd.done;
  if (packed.status === 'rejected') throw packed.reason;
  if (fed.status === 'rejected') throw fed.reason;
  return packed.value;
}

/** Pieces small enough for progress to be seen to move. */
const PIECE = 2 ** 20;

function* pieces(archive: Buffer[], onProgress: InitrdRequest['onProgress']): Generator<Buffer> {
  const totalBytes = archive.reduce((sum, part) => sum + part.length, 0);
  let doneBytes = 0;
  for (const part of archive) {
    for (let at = 0; at < part.length; at += PIECE) {
      const piece = part.subarray(at, at + PIECE);
      yield piece;
      doneBytes += piece.length;
      onProgress?.({ doneBytes, totalBytes });
    }
  }
}
