/** For tests: edits laid over a folder, and the links by which systemd starts units there. */
import { mkdir, readdir, readlink, rm, symlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { OverlayEdit } from './service-manager.ts';

export async function apply(root: string, edits: OverlayEdit[]): Promise<void> {
  for (const edit of edits) {
    const path = join(root, edit.path);
    await rm(path, { force: true });
    if (edit.type === 'whiteout') continue;
    await mkdir(dirname(path), { recursive: true });
    await symlink(edit.target, path);
  }
}

/** All links below etc/systemd/system, as `path -> target`, sorted. Debian's systemctl says /lib for /usr/lib. */
export async function enabledLinks(root: string): Promise<string[]> {
  const entries = await readdir(join(root, 'etc/systemd/system'), { recursive: true, withFileTypes: true });
  const links = entries
    .filter((entry) => entry.isSymbolicLink())
    .map(({ parentPath, name }) => join(parentPath, name));
  const shown = links.map(
    async (path) =>
      `${path.slice(root.length)} -> ${(await readlink(path)).replace(/^\/lib\//, '/usr/lib/')}`,
  );
  return (await Promise.all(shown)).sort();
}
