import { rm } from 'node:fs/promises';
import { join, posix } from 'node:path';
import { decodeTar } from '../image/tar-decoder.ts';
import { run } from '../system/run.ts';
import { WHITEOUT } from './archive.ts';

/**
 * Lays an overlay archive over an unpacked image. The archive is to be trusted (its digest stands in a signed release):
 * its paths lead through no links, since it was made for this very image.
 * @throws BladerootError `PROGRAM_FAILED` with what tar says
 */
export async function applyOverlay(archive: Uint8Array, directory: string): Promise<void> {
  for await (const { header } of decodeTar(chunks(archive))) {
    const { dir, base } = posix.parse(header.path.toString());
    if (base.startsWith(WHITEOUT)) {
      await rm(join(directory, dir, base.slice(WHITEOUT.length)), { recursive: true, force: true });
    }
  }
  const exact = [
    '--numeric-owner',
    '--same-owner',
    '--same-permissions',
    '--xattrs',
    '--xattrs-include=*',
    '--keep-directory-symlink',
  ];
  // As tar does it when it is told nothing else, links are replaced, not written through (an overlay's /etc/resolv.conf
  // is a file where the image has a link), and directories that are there are kept: with --unlink-first, a second try
  // would fail on those that are no longer empty.
  const args = ['--extract', '--file=-', `--directory=${directory}`, `--exclude=${WHITEOUT}*`, ...exact];
  await run('tar', args, { input: archive });
}

async function* chunks(archive: Uint8Array): AsyncGenerator<Buffer> {
  yield Buffer.from(archive);
}
