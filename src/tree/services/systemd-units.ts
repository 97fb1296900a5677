/** The units of an image, as systemd finds them. */
import { posix } from 'node:path';
import { BladerootError } from '../../errors.ts';
import { followLinks, type ImageFiles } from '../../image/files.ts';
import { instanceOf, parseUnitName, type UnitName } from './unit-file.ts';

/** Where an administrator's units and all links that enable units are. */
export const ETC = 'etc/systemd/system';
/** Where units are looked for, the first that has one wins (systemd.unit(5), "Unit File Load Path"). */
const UNIT_DIRS = [ETC, 'usr/local/lib/systemd/system', 'usr/lib/systemd/system', 'lib/systemd/system'];
/** What a mask is a link to. */
export const MASK = '/dev/null';

/** A unit that the image has. */
export interface Unit {
  name: UnitName;
  /** The file that defines it, or its template; followed through links. */
  file: string;
  /** That file as a link to it names it. */
  linkTarget: string;
}

export class SystemdUnits {
  readonly #files: ImageFiles;

  constructor(files: ImageFiles) {
    this.#files = files;
  }

  /** The unit of a name or of an alias; masks by the administrator are looked through. */
  async find(service: string): Promise<Unit | undefined> {
    const name = parseUnitName(service);
    if (name.name.includes('/')) return undefined;
    for (const fileName of name.template === undefined ? [name.name] : [name.name, name.template]) {
      for (const dir of await this.directories()) {
        const path = `${dir}/${fileName}`;
        const stat = await this.#files.stat(path);
        if (stat === undefined) continue;
        if (await this.isMask(path)) {
          if (dir === ETC) continue;
          throw new BladerootError(
            'SERVICE_MASKED',
            `the service ${service} is masked by the image (${path})`,
          );
        }
        const real = await followLinks(this.#files, path);
        if (real === undefined) continue;
        const realName = posix.basename(real);
        // A link to another name is an alias: what is enabled and disabled is the unit that it stands for.
        if (stat.type === 'symlink' && realName !== fileName) return await this.find(aliased(realName, name));
        return { name, file: real, linkTarget: `/${path}` };
      }
    }
    return undefined;
  }

  /** The unit's file, with what its drop-ins add (systemd.unit(5), "Overriding vendor settings"). */
  async text(unit: Unit): Promise<string> {
    const texts = [await this.#files.read(unit.file)];
    for (const path of await this.#dropIns(unit.name)) texts.push(await this.#files.read(path));
    return texts.join('\n');
  }

  async hasFile(name: string): Promise<boolean> {
    for (const dir of await this.directories()) {
      if ((await this.#files.stat(`${dir}/${name}`)) !== undefined) return true;
    }
    return false;
  }

  /** A link to /dev/null, or an empty file (systemd.unit(5)). */
  async isMask(path: string): Promise<boolean> {
    const stat = await this.#files.stat(path);
    return stat?.target === MASK || (stat?.type === 'file' && stat.size === 0);
  }

  /** The unit directories that the image has, each once though /lib may be a link to /usr/lib. */
  async directories(): Promise<string[]> {
    const real = await Promise.all(UNIT_DIRS.map((dir) => followLinks(this.#files, dir)));
    return [...new Set(real.filter((dir) => dir !== undefined))];
  }

  /** Files of NAME.d and TEMPLATE.d, by name; of two with one name, that of the first directory counts. */
  async #dropIns({ name, template }: UnitName): Promise<string[]> {
    const found = new Map<string, string>();
    for (const unit of template === undefined || template === name ? [name] : [name, template]) {
      for (const dir of await this.directories()) {
        for (const file of await this.#files.list(`${dir}/${unit}.d`)) {
          if (!file.endsWith('.conf') || found.has(file)) continue;
          const real = await followLinks(this.#files, `${dir}/${unit}.d/${file}`);
          if (real !== undefined) found.set(file, real);
        }
      }
    }
    return [...found].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, path]) => path);
  }
}

/** `autovt@tty1` is, with autovt@.service a link to getty@.service, `getty@tty1.service`. */
function aliased(realName: string, { instance }: UnitName): string {
  const real = parseUnitName(realName);
  return instance !== undefined && real.instance === '' ? instanceOf(real, instance).name : realName;
}
