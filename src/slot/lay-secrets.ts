/** A blade's secrets, from the release to their files: the only place where they are decrypted for use. */
import { basename, dirname, join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { decodeTar } from '../image/tar-decoder.ts';
import { acceptanceOf } from '../release/identify.ts';
import type { ReleaseBlade } from '../release/statement.ts';
import { decryptWith } from '../secrets/age.ts';
import type { Identity } from '../secrets/identity-file.ts';
import { fetchBlob } from '../store/fetch.ts';
import type { Source } from '../store/source.ts';
import { writeFileAtomic } from '../system/write-file.ts';

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
    const file = join(directory, path);
    const { mode, uid, gid, xattrs } = header;
    // The same at the next try, so that what one that was cut off has left does not stay.
    const aside = join(dirname(file), `.${basename(file)}.bladeroot`);
    await writeFileAtomic(file, clear, { mode, owner: { uid, gid }, xattrs, aside });
    count++;
  }
  return count;
}

async function* chunks(archive: Uint8Array): AsyncGenerator<Buffer> {
  yield Buffer.from(archive);
}
