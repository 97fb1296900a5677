import { followLinks, type ImageFiles } from '../../image/files.ts';
import { unknownService, type OverlayEdit, type ServiceManager } from './service-manager.ts';

const SCRIPTS = 'etc/init.d';
const RUNLEVELS = 'etc/runlevels';
/** The runlevels that a boot goes through (openrc-init(8)): a service in one of them starts. */
const BOOT_RUNLEVELS = new Set(['sysinit', 'boot', 'default']);

/** OpenRC: a service is a script in /etc/init.d, and starts in the runlevels that link to it (rc-update(8)). */
export class OpenRc implements ServiceManager {
  readonly name = 'openrc';
  readonly #files: ImageFiles;

  constructor(files: ImageFiles) {
    this.#files = files;
  }

  async list(): Promise<string[]> {
    const scripts = await this.#files.list(SCRIPTS);
    const services = await Promise.all(scripts.map((script) => this.#has(script)));
    return scripts.filter((_, index) => services[index]);
  }

  async start(service: string): Promise<OverlayEdit[]> {
    if (!(await this.#has(service))) throw await unknownService(this, service);
    const runlevels = await this.#runlevelsOf(service);
    if (runlevels.some((runlevel) => BOOT_RUNLEVELS.has(runlevel))) return [];
    return [{ type: 'symlink', path: `${RUNLEVELS}/default/${service}`, target: `/${SCRIPTS}/${service}` }];
  }

  async stop(service: string): Promise<OverlayEdit[]> {
    if (!(await this.#has(service))) throw await unknownService(this, service);
    const runlevels = await this.#runlevelsOf(service);
    return runlevels.map((runlevel) => ({ type: 'whiteout', path: `${RUNLEVELS}/${runlevel}/${service}` }));
  }

  /** A script is executable and is not one of the `.sh` files that scripts share. */
  async #has(service: string): Promise<boolean> {
    if (service.includes('/') || service.endsWith('.sh')) return false;
    const path = await followLinks(this.#files, `${SCRIPTS}/${service}`);
    const stat = path === undefined ? undefined : await this.#files.stat(path);
    return stat?.type === 'file' && (stat.mode & 0o111) !== 0;
  }

  async #runlevelsOf(service: string): Promise<string[]> {
    const found: string[] = [];
    for (const runlevel of await this.#files.list(RUNLEVELS)) {
      if ((await this.#files.stat(`${RUNLEVELS}/${runlevel}/${service}`)) !== undefined) found.push(runlevel);
    }
    return found;
  }
}
