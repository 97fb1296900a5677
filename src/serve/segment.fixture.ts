/** For tests: two network namespaces with a wire between them, servers in one of them, real clients in the other. */
import { createInterface } from 'node:readline';
import { run, startPiped, type PipedChild, type RunResult } from '../system/run.ts';
import type { FixtureSettings } from './server.fixture.ts';

/** Why tests on a segment cannot run here; false when they can. */
export const cannotMakeSegment = process.geteuid?.() === 0 ? false : 'network namespaces need root rights';

export const SERVER = { interface: 'wire0', address: '10.99.0.1' };
export const CLIENT = { interface: 'wire1', mac: '52:54:00:00:00:0b' };

export class Segment {
  readonly #server: string;
  readonly #client: string;

  constructor(name: string) {
    this.#server = `bladeroot-${name}-${process.pid}-s`;
    this.#client = `bladeroot-${name}-${process.pid}-c`;
  }

  async create(): Promise<void> {
    await run('ip', ['netns', 'add', this.#server]);
    await run('ip', ['netns', 'add', this.#client]);
    const near = ['link', 'add', SERVER.interface, 'netns', this.#server];
    const far = ['peer', 'name', CLIENT.interface, 'address', CLIENT.mac, 'netns', this.#client];
    await run('ip', [...near, 'type', 'veth', ...far]);
    await run('ip', ['-n', this.#server, 'address', 'add', `${SERVER.address}/24`, 'dev', SERVER.interface]);
    await run('ip', ['-n', this.#server, 'link', 'set', SERVER.interface, 'up']);
    await run('ip', ['-n', this.#client, 'link', 'set', CLIENT.interface, 'up']);
  }

  async remove(): Promise<void> {
    await run('ip', ['netns', 'delete', this.#server]);
    await run('ip', ['netns', 'delete', this.#client]);
  }

  /** Gives the client's end an address by hand. */
  async addClientAddress(address: string): Promise<void> {
    await run('ip', ['-n', this.#client, 'address', 'add', address, 'dev', CLIENT.interface]);
  }

  async setClientMac(mac: string): Promise<void> {
    await run('ip', ['-n', this.#client, 'link', 'set', CLIENT.interface, 'address', mac]);
  }

  async runClient(program: string, args: string[], cwd?: string): Promise<RunResult> {
    const options = cwd === undefined ? {} : { cwd };
    return await run('ip', ['netns', 'exec', this.#client, program, ...args], options);
  }

  /** Starts any other program where the servers are; its owner ends it and awaits `done`. */
  startOther(program: string, args: string[], env: Record<string, string> = {}): PipedChild {
    return startPiped('ip', ['netns', 'exec', this.#server, program, ...args], { env });
  }

  async startServers(settings: Pick<FixtureSettings, 'offers' | 'files'>): Promise<Servers> {
    const argument = JSON.stringify({ ...SERVER, ...settings });
    const program = new URL('server.fixture.ts', import.meta.url).pathname;
    const args = ['netns', 'exec', this.#server, process.execPath, program, argument];
    const servers = new Servers(startPiped('ip', args));
    await servers.until('ready');
    return servers;
  }
}

/** The events of the servers in a child process. */
export class Servers {
  readonly #child: PipedChild;
  readonly #seen: { type: string }[] = [];
  #changed = Promise.withResolvers<void>();

  constructor(child: PipedChild) {
    this.#child = child;
    createInterface(child.stdout).on('line', (line) => {
      this.#seen.push(JSON.parse(line));
      this.#changed.resolve();
      this.#changed = Promise.withResolvers();
    });
  }

  /** The types of the events up to now, without `ready`. */
  get types(): string[] {
    return this.#seen.slice(1).map(({ type }) => type);
  }

  /**
   * Resolves once an event of that type, with that in its JSON, has been seen; rejects when the servers end before.
   */
  async until(type: string, part = ''): Promise<void> {
    while (!this.#seen.some((event) => event.type === type && JSON.stringify(event).includes(part))) {
      const ended = this.#child.done.then(() =>
        Promise.reject(new Error(`the servers ended before ${type}`)),
      );
      await Promise.race([this.#changed.promise, ended]);
    }
  }

  async stop(): Promise<void> {
    this.#child.stdin.end();
    await this.#child.done;
  }
}
