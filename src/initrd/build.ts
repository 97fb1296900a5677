/** Builds a blade's initrd out of the image that the blade will run: nothing of this machine gets into it. */
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { followLinks, type ImageFiles } from '../image/files.ts';
import { sha256, type Digest } from '../store/digest.ts';
import { startPiped } from '../system/run.ts';
import { InitrdContents } from './contents.ts';
import { writeCpio, type InitrdFile } from './cpio.ts';
import { groupOf, GROUPS } from './groups.ts';
import { findLibraries, LINKER_CACHE } from './libraries.ts';
import { findModules } from './modules.ts';
import { APPLETS, findTools } from './tools.ts';

export interface InitrdRequest {
  image: ImageFiles;
  kernel: { version: string };
  /** Files that are not the image's own, such as /init. The libraries of ELF programs among them come along. */
  extra: InitrdFile[];
  /** zstd's, 1 to 19, whose window is at most 8 MiB; the kernel takes up to 128 (lib/decompress_unzstd.c). */
  level?: number;
  /** What was compressed for another initrd, by the digest of the archive: it is not compressed again. */
  compressed?: ReadonlyMap<Digest, Buffer>;
  signal?: AbortSignal | undefined;
  /** Called as archives are compressed, which takes nearly all of the time. */
  onProgress?: (progress: InitrdProgress) => void;
}

export interface InitrdProgress {
  /** Bytes before compression. */
  doneBytes: number;
  totalBytes: number;
}

export interface Initrd {
  /**
   * zstd-compressed newc cpio archives, one behind the other, which the kernel unpacks in this order (Linux,
   * Documentation/driver-api/early-userspace/buffer-format.rst). The same bytes for the same request and version of zstd.
   */
  bytes: Buffer;
  parts: InitrdPart[];
}

/** One of its archives, of one group of files. */
export interface InitrdPart {
  /** Of the archive before compression. */
  content: Digest;
  /** Compressed. */
  bytes: number;
}

/**
 * @throws BladerootError `TOOL_MISSING`, `LIBRARY_MISSING`, `NO_MODULES`, `FILE_MISSING`, `ELF`, `INITRD_PATH`,
 * `PROGRAM_MISSING` (zstd); the signal's reason.
 */
export async function buildInitrd(request: InitrdRequest): Promise<Initrd> {
  const files = await collectFiles(request);
  const archives = GROUPS.map((group) => files.filter(({ path }) => groupOf(path) === group))
    .filter((of) => of.length > 0)
    .map((of) => archiveOf(of));
  const fresh = archives.filter(({ content }) => request.compressed?.has(content) !== true);
  const totalBytes = fresh.reduce((sum, { bytes }) => sum + bytes.length, 0);
  let doneBytes = 0;
  const compressed: Buffer[] = [];
  for (const { content, bytes } of archives) {
    const onPiece = (length: number): void => {
      doneBytes += length;
      request.onProgress?.({ doneBytes, totalBytes });
    };
    compressed.push(request.compressed?.get(content) ?? (await compress(bytes, request, onPiece)));
  }
  return {
    bytes: Buffer.concat(compressed),
    parts: archives.map(({ content }, index) => ({ content, bytes: compressed[index]?.length ?? 0 })),
  };
}

function archiveOf(files: InitrdFile[]): { content: Digest; bytes: Buffer } {
  const bytes = Buffer.concat([...writeCpio(files)]);
  return { content: sha256(bytes), bytes };
}

async function collectFiles({ image, kernel, extra, signal }: InitrdRequest): Promise<InitrdFile[]> {
  const contents = new InitrdContents(image);
  const copyAll = async (paths: string[]): Promise<void> => {
    for (const path of paths) {
      signal?.throwIfAborted();
      await contents.copy(path);
    }
  };
  const tools = await findTools(image);
  await copyAll([...tools.programs.values(), ...tools.files]);
  await addSkeleton(contents, await followLinks(image, tools.programs.get('busybox') ?? ''));
  for (const file of extra) await contents.add(file);
  await copyAll(await findLibraries(image, contents.executables()));
  if ((await image.stat(LINKER_CACHE)) !== undefined) await copyAll([LINKER_CACHE]);
  await copyAll(await findModules(image, kernel.version));
  return contents.files();
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
  for (const file of skeleton) await contents.add(file);
}

const MOUNT_POINTS = ['dev', 'proc', 'run', 'sys', 'sysroot'];

/** The 92 MB of modules of a Debian kernel become 19.8 MB in 7 s, with 19 17.5 MB in 169 s. */
const DEFAULT_LEVEL = 9;

/** The bytes do not depend on how many cores zstd finds: it cuts the input into the same jobs for any number of them. */
async function compress(
  archive: Buffer,
  { level = DEFAULT_LEVEL, signal }: InitrdRequest,
  onPiece: (bytes: number) => void,
): Promise<Buffer> {
  const zstd = startPiped('zstd', ['-q', '-c', '-T0', `-${level}`], { signal });
  const [packed, fed] = await Promise.allSettled([
    buffer(zstd.stdout),
    pipeline(Readable.from(pieces(archive, onPiece)), zstd.stdin),
  ]);
  // Why zstd ended says more than that its pipe broke.
  await zstd.done;
  if (packed.status === 'rejected') throw packed.reason;
  if (fed.status === 'rejected') throw fed.reason;
  return packed.value;
}

/** Pieces small enough for progress to be seen to move. */
const PIECE = 2 ** 20;

function* pieces(archive: Buffer, onPiece: (bytes: number) => void): Generator<Buffer> {
  for (let at = 0; at < archive.length; at += PIECE) {
    const piece = archive.subarray(at, at + PIECE);
    yield piece;
    onPiece(piece.length);
  }
}
