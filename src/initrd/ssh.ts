/** The image's own SSH server, for the rescue system. */
import type { ImageFiles } from '../image/files.ts';
import { followLinks } from '../image/files.ts';

const SERVER = 'usr/sbin/sshd';

/** What the server starts: from OpenSSH 9.8 on it is several programs (Debian's places, and upstream's). */
const PARTS = [
  'usr/bin/ssh-keygen',
  ...['usr/lib/openssh', 'usr/lib/misc', 'usr/lib64/misc', 'usr/libexec', 'usr/libexec/openssh'].flatMap(
    (folder) => [`${folder}/sshd-session`, `${folder}/sshd-auth`],
  ),
];

/** Its programs, by their paths in the image; none where the image has no SSH server. */
export async function findSshServer(image: ImageFiles): Promise<string[]> {
  const found: string[] = [];
  for (const path of [SERVER, ...PARTS]) {
    const real = await followLinks(image, path);
    if (real !== undefined && (await image.stat(real))?.type === 'file') found.push(path);
  }
  return found.includes(SERVER) ? found : [];
}
