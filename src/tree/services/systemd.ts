import { posix } from 'node:path';
import { BladerootError } from '../../errors.ts';
import { followLinks, type ImageFiles } from '../../image/files.ts';
import { BootUnits } from './boot-units.ts';
import { ETC, MASK, SystemdUnits, type Unit } from './systemd-units.ts';
import { listSysvScripts, startSysvScript, stopSysvScript } from './sysv-script.ts';
import { unknownService, type OverlayEdit, type ServiceManager } from './service-manager.ts';
import {
  expandSpecifiers,
  instanceOf,
  parseInstallSection,
  parseUnitName,
  type InstallSection,
  type UnitName,
} from './unit-file.ts';

const DEPENDENCY_DIR = /\.(wants|requires|upholds)$/;
/** What a person may want started; the other kinds of units are not services to anybody. */
const LISTED = /\.(service|socket|timer|path)$/;

/** systemd: starting is what `systemctl enable` does, stopping what `disable` does, and `mask` where that is not enough. */
export class Systemd implements ServiceManager {
  readonly name = 'systemd';
  readonly #files: ImageFiles;
  readonly #units: SystemdUnits;

  constructor(files: ImageFiles) {
    this.#files = files;
    this.#units = new SystemdUnits(files);
  }

  async list(): Promise<string[]> {
    const names = new Set<string>();
    for (const dir of await this.#units.directories()) {
      for (const name of await this.#files.list(dir)) {
        if (LISTED.test(name) && !(await this.#units.isMask(`${dir}/${name}`))) names.add(name);
      }
    }
    for (const script of (await listSysvScripts(this.#files)).keys()) {
      if (!(await this.#units.hasFile(`${script}.service`))) names.add(script);
    }
    return [...new Set([...names].map((name) => name.replace(/\.service$/, '')))].sort();
  }

  async start(service: string): Promise<OverlayEdit[]> {
    const unit = await this.#units.find(service);
    if (unit === undefined) return await startSysvScript(this.#files, await this.#sysvScript(service));
    const edits: OverlayEdit[] = [];
    for (const edit of await this.#enable(unit, new Set())) if (!(await this.#isDone(edit))) edits.push(edit);
    return edits;
  }

  async stop(service: string): Promise<OverlayEdit[]> {
    const unit = await this.#units.find(service);
    if (unit === undefined) return await stopSysvScript(this.#files, await this.#sysvScript(service));
    const gone = await this.#enabledBy(unit, new Set());
    const edits: OverlayEdit[] = [...gone].sort().map((path) => ({ type: 'whiteout', path }));
    if (!(await this.#isStatic(unit))) return edits;
    return [...edits, { type: 'symlink', path: `${ETC}/${unit.name.name}`, target: MASK }];
  }

  async startedBy(service: string): Promise<string[]> {
    return await new BootUnits(this.#files, this.#units).startersOf(service);
  }

  /** The links of [Install], with those of the units that are to be enabled along (Also=). */
  async #enable(unit: Unit, done: Set<string>): Promise<OverlayEdit[]> {
    if (done.has(unit.name.name)) return [];
    done.add(unit.name.name);
    const install = await this.#install(unit);
    // A template by itself cannot run: its default instance does.
    const name =
      unit.name.instance === '' && install.defaultInstance !== undefined
        ? instanceOf(unit.name, install.defaultInstance)
        : unit.name;
    const wantedBy = [...install.wantedBy];
    // As `systemctl add-wants`: a unit without [Install] is one that another starts, and who names it here wants it at boot.
    if (hasNothing(install) && !(await this.#isStatic(unit))) wantedBy.push('multi-user.target');
    const others = [...wantedBy, ...install.requiredBy, ...install.upheldBy];
    if (
      name.instance === '' &&
      !others.every((other) => parseUnitName(expandSpecifiers(other, name)).instance === '')
    ) {
      throw noInstance(name);
    }
    const edits = await this.#unmask(name);
    const link = (path: string): OverlayEdit => ({
      type: 'symlink',
      path: `${ETC}/${expandSpecifiers(path, name)}`,
      target: unit.linkTarget,
    });
    edits.push(
      ...install.alias.map(link),
      ...wantedBy.map((by) => link(`${by}.wants/${name.name}`)),
      ...install.requiredBy.map((by) => link(`${by}.requires/${name.name}`)),
      ...install.upheldBy.map((by) => link(`${by}.upholds/${name.name}`)),
    );
    for (const also of install.also) {
      const other = await this.#units.find(expandSpecifiers(also, name));
      if (other !== undefined) edits.push(...(await this.#enable(other, done)));
    }
    return edits;
  }

  /** Whether the image has a link already; the path in it may be written in another way. */
  async #isDone(edit: OverlayEdit): Promise<boolean> {
    if (edit.type !== 'symlink') return false;
    const there = await followLinks(this.#files, edit.path);
    return there !== undefined && there === (await followLinks(this.#files, edit.target));
  }

  async #unmask({ name, template }: UnitName): Promise<OverlayEdit[]> {
    const edits: OverlayEdit[] = [];
    for (const masked of template === undefined ? [name] : [name, template]) {
      const path = `${ETC}/${masked}`;
      if (await this.#units.isMask(path)) edits.push({ type: 'whiteout', path });
    }
    return edits;
  }

  /** The links that enable a unit, and those that it is to be disabled along with (Also=). */
  async #enabledBy(unit: Unit, done: Set<string>): Promise<Set<string>> {
    const links = new Set<string>();
    if (done.has(unit.name.name)) return links;
    done.add(unit.name.name);
    for (const entry of await this.#files.list(ETC)) {
      const path = `${ETC}/${entry}`;
      if (DEPENDENCY_DIR.test(entry)) {
        for (const link of await this.#files.list(path)) {
          if (await this.#enables(`${path}/${link}`, unit)) links.add(`${path}/${link}`);
        }
      } else if (isAliasOf(entry, (await this.#files.stat(path))?.target, unit.name)) links.add(path);
    }
    for (const also of (await this.#install(unit)).also) {
      const other = await this.#units.find(expandSpecifiers(also, unit.name));
      if (other !== undefined) for (const link of await this.#enabledBy(other, done)) links.add(link);
    }
    return links;
  }

  /** Whether something in a .wants directory is this unit, by its own name or by the name of what it links to. */
  async #enables(path: string, { name }: Unit): Promise<boolean> {
    const link = parseUnitName(posix.basename(path));
    // To stop a template is to stop all instances of it.
    if (link.name === name.name || (name.instance === '' && link.template === name.name)) return true;
    const target = (await this.#files.stat(path))?.target;
    return target !== undefined && link.instance === undefined && posix.basename(target) === name.name;
  }

  /** Whether a unit is wanted by links that packages bring: those are not for `disable` to take away. */
  async #isStatic(unit: Unit): Promise<boolean> {
    for (const dir of (await this.#units.directories()).filter((dir) => dir !== ETC)) {
      for (const wants of (await this.#files.list(dir)).filter((entry) => DEPENDENCY_DIR.test(entry))) {
        for (const link of await this.#files.list(`${dir}/${wants}`)) {
          if (await this.#enables(`${dir}/${wants}/${link}`, unit)) return true;
        }
      }
    }
    return false;
  }

  async #install(unit: Unit): Promise<InstallSection> {
    return parseInstallSection(await this.#units.text(unit));
  }

  /** The init script that stands for a service which has no unit. @throws BladerootError `UNKNOWN_SERVICE` */
  async #sysvScript(service: string): Promise<string> {
    const script = (await listSysvScripts(this.#files)).get(service.replace(/\.service$/, ''));
    if (script === undefined) throw await unknownService(this, service);
    return script;
  }
}

function noInstance({ name, prefix }: UnitName): BladerootError {
  return new BladerootError('SERVICE_TEMPLATE', `${name} is a template, and nothing that starts by itself`, {
    hint: `name one of its instances, such as ${prefix}@NAME`,
  });
}

function hasNothing({ wantedBy, requiredBy, upheldBy, alias, also }: InstallSection): boolean {
  return [wantedBy, requiredBy, upheldBy, alias, also].every((list) => list.length === 0);
}

function isAliasOf(entry: string, target: string | undefined, { name }: UnitName): boolean {
  return target !== undefined && entry !== name && posix.basename(target) === name;
}
