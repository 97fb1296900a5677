/** What a systemd boot starts, and by what: from default.target on, as far as files tell it (generators run on the blade). */
import { errorCode } from '../../errors.ts';
import type { ImageFiles } from '../../image/files.ts';
import { ETC, type SystemdUnits, type Unit } from './systemd-units.ts';
import { expandSpecifiers, parseStartedUnits, parseUnitName } from './unit-file.ts';

/** Units that start the service of their name when something happens. */
const TRIGGER = /\.(socket|timer|path)$/;

export class BootUnits {
  readonly #files: ImageFiles;
  readonly #units: SystemdUnits;

  constructor(files: ImageFiles, units: SystemdUnits) {
    this.#files = files;
    this.#units = units;
  }

  /** Those that start a unit at boot, or later when something happens; sorted. */
  async startersOf(service: string): Promise<string[]> {
    const name = (await this.#running(service))?.name.name;
    const starters = name === undefined ? undefined : (await this.#started()).get(name);
    return [...(starters ?? [])].sort();
  }

  /** All units that a boot starts, each with those that start it. */
  async #started(): Promise<Map<string, Set<string>>> {
    const target = (await this.#running('default.target'))?.name.name;
    const found = new Map<string, Set<string>>(target === undefined ? [] : [[target, new Set()]]);
    // A map can be walked while it grows.
    for (const by of found.keys()) {
      for (const name of await this.#startedWith(by)) {
        const starters = found.get(name);
        if (starters === undefined) found.set(name, new Set([by]));
        else starters.add(by);
      }
    }
    return found;
  }

  /** The units that a unit starts with it, or when something happens, as a socket does. */
  async #startedWith(name: string): Promise<string[]> {
    const unit = await this.#running(name);
    if (unit === undefined) return [];
    const said = parseStartedUnits(await this.#units.text(unit));
    const wanted = said.map((other) => expandSpecifiers(other, unit.name));
    if (TRIGGER.test(name)) wanted.push(name.replace(TRIGGER, '.service'));
    for (const dir of await this.#units.directories()) {
      for (const kind of ['wants', 'requires', 'upholds']) {
        wanted.push(...(await this.#files.list(`${dir}/${name}.${kind}`)));
      }
    }
    const found = await Promise.all(wanted.map((other) => this.#running(other)));
    return found.flatMap((other) => (other === undefined ? [] : [other.name.name]));
  }

  /** The unit of a name, unless it is masked and cannot run. */
  async #running(name: string): Promise<Unit | undefined> {
    if (await this.#units.isMask(`${ETC}/${parseUnitName(name).name}`)) return undefined;
    try {
      return await this.#units.find(name);
    } catch (error) {
      if (errorCode(error) === 'SERVICE_MASKED') return undefined;
      throw error;
    }
  }
}
