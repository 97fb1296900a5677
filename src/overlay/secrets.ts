import { readSecrets } from '../secrets/folder.ts';
import { fileEntry, type FileEntry } from './entry.ts';

/** What nothing else is said about is for root alone. */
const MODE = 0o600;

/** The secrets of an overlay as they lie in the fleet folder, encrypted. @throws BladerootError `SECRET_IN_CLEAR` */
export async function secretEntries(fleetDir: string, overlay: string): Promise<FileEntry[]> {
  const secrets = await readSecrets(fleetDir, overlay);
  return secrets.map(({ path, ciphertext, file }) => ({
    ...fileEntry(path, ciphertext, file, MODE),
    secret: true,
  }));
}
