import type { Dirent } from 'node:fs';
import { lstat, readdir, readFile, readlink } from 'node:fs/promises';
import { join, posix } from 'node:path';
import { BladerootError } from '../errors.ts';
import { SECRETS } from '../secrets/folder.ts';
import { dirEntry, editEntry, fileEntry, type OverlayEntry } from './entry.ts';
import { renderTemplate, type TemplateData } from './template.ts';

const TEMPLATE = '.liquid';

/**
 * What a folder of `overlays/` lays over the image, directories before what is in them. Templates are rendered and lose
 * their suffix; secrets are left out (secrets.ts); symbolic links are taken as links and never followed; all belongs to root, with the mode that it has here.
 * @throws BladerootError `TEMPLATE_INVALID`, `OVERLAY_FILE` for what is neither file, directory nor link
 */
export async function readOverlayFolder(
  fleetDir: string,
  name: string,
  data: TemplateData,
): Promise<OverlayEntry[]> {
  const top = posix.join('overlays', name);
  const entries: OverlayEntry[] = [];
  const walk = async (dir: string): Promise<void> => {
    const children = await readdir(join(fleetDir, top, dir), { withFileTypes: true });
    for (const child of children.sort((a, b) => (a.name < b.name ? -1 : 1))) {
      if (dir === '' && child.name === SECRETS) continue;
      const path = posix.join(dir, child.name);
      entries.push(await readEntry(fleetDir, posix.join(top, path), path, child, data));
      if (child.isDirectory()) await walk(path);
    }
  };
  await walk('');
  refuseTwins(entries);
  return entries;
}

async function readEntry(
  fleetDir: string,
  origin: string,
  path: string,
  child: Dirent,
  data: TemplateData,
): Promise<OverlayEntry> {
  const full = join(fleetDir, origin);
  if (child.isSymbolicLink())
    return editEntry({ type: 'symlink', path, target: await readlink(full) }, origin);
  const mode = (await lstat(full)).mode & 0o7777;
  if (child.isDirectory()) return dirEntry(path, origin, mode);
  if (!child.isFile()) {
    throw new BladerootError(
      'OVERLAY_FILE',
      `${origin} is neither a file nor a directory nor a link; remove it`,
    );
  }
  const content = await readFile(full);
  if (!path.endsWith(TEMPLATE)) return fileEntry(path, content, origin, mode);
  const rendered = await renderTemplate(content.toString(), data, origin);
  return fileEntry(path.slice(0, -TEMPLATE.length), rendered, origin, mode);
}

/** `motd` and `motd.liquid` in one folder: neither is nearer than the other. */
function refuseTwins(entries: readonly OverlayEntry[]): void {
  const origins = new Map<string, string>();
  for (const { path, origin } of entries) {
    const other = origins.get(path);
    if (other !== undefined) {
      throw new BladerootError(
        'OVERLAY_FILE',
        `${other} and ${origin} are for the same file; remove one of them`,
      );
    }
    origins.set(path, origin);
  }
}
