import { followLinks, type ImageFiles } from '../../image/files.ts';
import { parseLsbHeader } from './lsb-header.ts';
import { unknownService, type OverlayEdit, type ServiceManager } from './service-manager.ts';

/** Where scripts are, the first that has one wins (librc, rc_service_resolve). */
const SCRIPT_DIRS = ['usr/local/etc/init.d', 'etc/init.d'];
const RUNLEVELS = 'etc/runlevels';
/** The runlevels that a boot goes through (openrc(8)): a service in one of them starts. */
const BOOT_RUNLEVELS = ['sysinit', 'boot', 'default'];

/** OpenRC: a service is a script, and starts in the runlevels that have a link of its name (rc-update(8)). */
export class OpenRc implements ServiceManager {
  readonly name = 'openrc';
  readonly #files: ImageFiles;

  constructor(files: ImageFiles) {
    this.#files = files;
  }

  async list(): Promise<string[]> {
    const names = new Set<string>();
    for (const dir of SCRIPT_DIRS) for (const name of await this.#files.list(dir)) names.add(name);
    const scripts = [...names].sort();
    const found = await Promise.all(scripts.map((name) => this.#find(name)));
    return scripts.filter((_, index) => found[index] !== undefined);
  }

  /** Into the runlevels that update-rc.d(8) takes for a script with an LSB header; `default` for all others. */
  async start(service: string): Promise<OverlayEdit[]> {
    const script = await this.#find(service);
    if (script === undefined) throw await unknownService(this, service);
    const there = await this.#runlevelsOf(service);
    const boot = await this.#bootRunlevels();
    if (there.some((runlevel) => boot.has(runlevel))) return [];
    return startRunlevels((await this.#files.read(script.real)).toString()).map((runlevel) => ({
      type: 'symlink',
      path: `${RUNLEVELS}/${runlevel}/${service}`,
      target: `/${script.path}`,
    }));
  }

  /** As `rc-update --all del`. */
  async stop(service: string): Promise<OverlayEdit[]> {
    if ((await this.#find(service)) === undefined) throw await unknownService(this, service);
    const runlevels = await this.#runlevelsOf(service);
    return runlevels.map((runlevel) => ({ type: 'whiteout', path: `${RUNLEVELS}/${runlevel}/${service}` }));
  }

  /** By what scripts say in depend(); services that stand for another (`provide`) are not looked for. */
  async startedBy(service: string): Promise<string[]> {
    const started = new Set<string>();
    for (const runlevel of await this.#bootRunlevels()) {
      for (const name of await this.#files.list(`${RUNLEVELS}/${runlevel}`)) started.add(name);
    }
    const starters: string[] = [];
    // A set can be walked while it grows.
    for (const name of started) {
      const script = await this.#find(name);
      if (script === undefined) continue;
      const needed = neededServices((await this.#files.read(script.real)).toString());
      if (needed.includes(service)) starters.push(name);
      for (const other of needed) started.add(other);
    }
    return starters.sort();
  }

  /** The script of a service; `real` is followed through links. */
  async #find(service: string): Promise<{ path: string; real: string } | undefined> {
    if (service.includes('/')) return undefined;
    for (const path of SCRIPT_DIRS.map((dir) => `${dir}/${service}`)) {
      const real = await followLinks(this.#files, path);
      if (real === undefined) continue;
      return (await this.#isScript(real)) ? { path, real } : undefined;
    }
    return undefined;
  }

  /** Executable. A `.sh` file is what scripts share (functions.sh), unless it says itself when it starts, as Debian's do. */
  async #isScript(path: string): Promise<boolean> {
    const stat = await this.#files.stat(path);
    if (stat?.type !== 'file' || (stat.mode & 0o111) === 0) return false;
    return !path.endsWith('.sh') || parseLsbHeader((await this.#files.read(path)).toString()) !== undefined;
  }

  async #runlevelsOf(service: string): Promise<string[]> {
    const found: string[] = [];
    for (const runlevel of await this.#files.list(RUNLEVELS)) {
      if ((await this.#files.stat(`${RUNLEVELS}/${runlevel}/${service}`)) !== undefined) found.push(runlevel);
    }
    return found;
  }

  /** With those that are stacked on them: directories in a runlevel, named after a runlevel (rc-update(8), `--stack`). */
  async #bootRunlevels(): Promise<Set<string>> {
    const all = await this.#files.list(RUNLEVELS);
    const found = new Set<string>();
    const add = async (runlevel: string): Promise<void> => {
      if (found.has(runlevel)) return;
      found.add(runlevel);
      for (const name of await this.#files.list(`${RUNLEVELS}/${runlevel}`)) {
        if (all.includes(name) && (await this.#isDirectory(`${RUNLEVELS}/${runlevel}/${name}`)))
          await add(name);
      }
    };
    for (const runlevel of BOOT_RUNLEVELS) await add(runlevel);
    return found;
  }

  async #isDirectory(path: string): Promise<boolean> {
    const real = await followLinks(this.#files, path);
    return real !== undefined && (await this.#files.stat(real))?.type === 'dir';
  }
}

/** What a script starts before itself: `need` and `want` in its depend() (openrc-run(8)). */
function neededServices(script: string): string[] {
  const depend = /^depend\s*\(\)\s*\{([\s\S]*?)^\}/m.exec(script)?.[1] ?? '';
  return [...depend.matchAll(/^\s*(?:need|want)\s+(.*)$/gm)].flatMap(([, words = '']) =>
    words.split(/\s+/).filter((word) => /^[\w.-]+$/.test(word)),
  );
}

function startRunlevels(script: string): string[] {
  const levels = parseLsbHeader(script)?.defaultStart ?? [];
  const sysinit = levels.includes('S') ? ['sysinit'] : [];
  return sysinit.length === 0 || levels.some((level) => /^[2-5]$/.test(level))
    ? [...sysinit, 'default']
    : sysinit;
}
