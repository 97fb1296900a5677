/** A blade's secrets, from the release to their files: the only place where they are decrypted for use. */
import { open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { decodeTar } from '../image/tar-decoder.ts';
import type { TarHeader } from '../image/tar.ts';
import { acceptanceOf } from '../release/identify.ts';
import type { ReleaseBlade } from '../release/statement.ts';
import { decryptWith } from '../secrets/age.ts';
import type { Identity } from '../secrets/identity-file.ts';
import { fetchBlob } from '../store/fetch.ts';
import type { Source } from '../store/source.ts';
import { setXattr } from '../system/posix.ts';
import { syncDirectory } from '../system/write-file.ts';

/** The archive of a blade's secrets; undefined where it has none, and for a machine whose identity is not the accepted one. */
export async function fetchSecrets(
  source: Source,
  blade: ReleaseBlade,
  { recipient }: Pick<Identity, 'recipient'>,
): Promise<Buffer | undefined> {
  if (blade.secrets === undefined || acceptanceOf(blade, recipient) !== 'accepted') return undefined;
  return await fetchBlob(source, blade.secrets.digest, blade.secrets.bytes);
}

/**
 * Decrypts the files of an archive into an unpacked image. Like an overlay's, its paths lead through no links.
 * @param identity the blade's own, `AGE-SECRET-KEY-1…`
 * @returns how many there were
 * @throws BladerootError `SECRET_UNREADABLE`
 */
export async function laySecrets(archive: Uint8Array, directory: string, identity: string): Promise<number> {
  let count = 0;
  for await (const { header, content } of decodeTar(chunks(archive))) {
    const path = header.path.toString();
    const clear = await decryptWith(await buffer(content), [identity], `/${path}`);
    await writeSecretFile(join(directory, path), clear, header);
    count++;
  }
  return count;
}

/** Nobody but root can open it before it has its owner and mode, and by its name it is there whole or not at all. */
async function writeSecretFile(
  path: string,
  clear: Uint8Array,
  { mode, uid, gid, xattrs }: Pick<TarHeader, 'mode' | 'uid' | 'gid' | 'xattrs'>,
): Promise<void> {
  const aside = join(dirname(path), `.${basename(path)}.bladeroot`);
  // Of a try that was cut off.
  await rm(aside, { force: true });
  try {
    const file = await open(aside, 'wx', 0o600);
    try {
      await file.chown(uid, gid);
      await file.chmod(mode);
      for (const [name, value] of xattrs) setXattr(Buffer.from(aside).toString('latin1'), name, value);
      await file.writeFile(clear);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(aside, path);
  } catch (error) {
    await rm(aside, { force: true });
    throw error;
  }
  await syncDirectory(dirname(path));
}

async function* chunks(archive: Uint8Array): AsyncGenerator<Buffer> {
  yield Buffer.from(archive);
}
