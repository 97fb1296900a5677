/** Two network namespaces with a wire between them: servers in one, clients in the other, nobody else on it. */
import { run, startPiped, type PipedChild, type RunResult } from '../../src/system/run.ts';

export const SERVER = { device: 'wire0', address: '10.98.0.1' };
export const CLIENT = { device: 'wire1', address: '10.98.255.1' };
export const NETMASK = '255.255.0.0';
export const SUBNET = '10.98.0.0/16';
/** Addresses of the blades: the clients' end answers at all of them. */
const BLADES = ['10.98.16.0/20', '10.98.32.0/20'];

/** The address of a blade, by its number from 0. */
export function bladeAddress(number: number): string {
  return `10.98.${16 + (number >> 8)}.${number & 255}`;
}

export function bladeMac(number: number): string {
  const [high, low] = [number >> 8, number & 255].map((byte) => byte.toString(16).padStart(2, '0'));
  return `02:b1:00:00:${high}:${low}`;
}

export class Wire {
  readonly #server = `bladeroot-bench-${process.pid}-s`;
  readonly #client = `bladeroot-bench-${process.pid}-c`;

  async create(): Promise<void> {
    await run('ip', ['netns', 'add', this.#server]);
    await run('ip', ['netns', 'add', this.#client]);
    const near = ['link', 'add', SERVER.device, 'netns', this.#server];
    await run('ip', [...near, 'type', 'veth', 'peer', 'name', CLIENT.device, 'netns', this.#client]);
    await this.#end(this.#server, SERVER);
    await this.#end(this.#client, CLIENT);
    await run('ip', ['-n', this.#client, 'route', 'add', 'default', 'dev', CLIENT.device]);
    // The whole range is this end's own, so that every simulated blade speaks from its own address.
    for (const range of BLADES)
      await run('ip', ['-n', this.#client, 'route', 'add', 'local', range, 'dev', 'lo']);
  }

  async remove(): Promise<void> {
    await run('ip', ['netns', 'delete', this.#server]);
    await run('ip', ['netns', 'delete', this.#client]);
  }

  startServer(command: string[], signal: AbortSignal): PipedChild {
    return startPiped('ip', ['netns', 'exec', this.#server, ...command], { signal });
  }

  async runClient(command: string[], signal: AbortSignal): Promise<RunResult> {
    return await run('ip', ['netns', 'exec', this.#client, ...command], { signal });
  }

  /** A client on the server's own end: over the loopback interface. */
  async runBeside(command: string[], signal: AbortSignal): Promise<RunResult> {
    return await run('ip', ['netns', 'exec', this.#server, ...command], { signal });
  }

  async #end(namespace: string, { device, address }: { device: string; address: string }): Promise<void> {
    await run('ip', ['-n', namespace, 'link', 'set', 'lo', 'up']);
    await run('ip', ['-n', namespace, 'address', 'add', `${address}/16`, 'dev', device]);
    await run('ip', ['-n', namespace, 'link', 'set', device, 'up']);
  }
}
