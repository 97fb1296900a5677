/** Init scripts that systemd makes units of, where a package brings none of its own (systemd-sysv-generator(8)). */
import { followLinks, type ImageFiles } from '../../image/files.ts';
import { parseLsbHeader } from './lsb-header.ts';
import type { OverlayEdit } from './service-manager.ts';

const SCRIPTS = 'etc/init.d';
/** The runlevels of a boot that goes well: the generator makes multi-user.target or graphical.target of them. */
const BOOT_LEVELS = ['2', '3', '4', '5'];
const START_LINK = /^S\d\d(.+)$/;

/** The scripts that there are, by the names that their units get: `hwclock.sh` becomes hwclock. */
export async function listSysvScripts(files: ImageFiles): Promise<Map<string, string>> {
  const scripts = new Map<string, string>();
  for (const name of await files.list(SCRIPTS)) {
    const real = await followLinks(files, `${SCRIPTS}/${name}`);
    const stat = real === undefined ? undefined : await files.stat(real);
    if (stat?.type === 'file' && (stat.mode & 0o111) !== 0) scripts.set(name.replace(/\.sh$/, ''), name);
  }
  return scripts;
}

/** As `update-rc.d SCRIPT enable`, in the levels that the script asks for. */
export async function startSysvScript(files: ImageFiles, script: string): Promise<OverlayEdit[]> {
  if ((await linksOf(files, script)).length > 0) return [];
  const header = parseLsbHeader((await files.read(`${SCRIPTS}/${script}`)).toString());
  const wanted = BOOT_LEVELS.filter((level) => header?.defaultStart.includes(level));
  return (wanted.length > 0 ? wanted : BOOT_LEVELS).map((level) => ({
    type: 'symlink',
    path: `etc/rc${level}.d/S01${script}`,
    target: `../init.d/${script}`,
  }));
}

/** What starts it is taken away. The link of `update-rc.d SCRIPT disable`, which starts nothing, is for packages on the blade. */
export async function stopSysvScript(files: ImageFiles, script: string): Promise<OverlayEdit[]> {
  const edits: OverlayEdit[] = [];
  for (const { level, link } of await linksOf(files, script)) {
    const directory = `etc/rc${level}.d`;
    edits.push({ type: 'whiteout', path: `${directory}/${link}` });
    edits.push({ type: 'symlink', path: `${directory}/K01${script}`, target: `../init.d/${script}` });
  }
  return edits;
}

async function linksOf(files: ImageFiles, script: string): Promise<{ level: string; link: string }[]> {
  const found: { level: string; link: string }[] = [];
  for (const level of BOOT_LEVELS) {
    for (const link of await files.list(`etc/rc${level}.d`)) {
      if (START_LINK.exec(link)?.[1] === script) found.push({ level, link });
    }
  }
  return found;
}
