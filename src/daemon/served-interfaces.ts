/** On which interfaces a root answers: those of the release that it starts with, and those that a later one adds. */
import { describeError, errorCode } from '../errors.ts';
import type { DhcpServices } from './dhcp-services.ts';
import type { ServeInterface } from './interface.ts';

type Stop = () => Promise<void>;

export interface ServedInterfacesOptions {
  /** Opens HTTP and TFTP at an address; returns what closes them. Nothing is left open when it throws. */
  listenAt(address: string): Promise<Stop>;
  dhcp: DhcpServices;
}

export class ServedInterfaces {
  readonly #options: ServedInterfacesOptions;
  readonly #open = new Map<string, Stop>();

  constructor(options: ServedInterfacesOptions) {
    this.#options = options;
  }

  /** Whether every address of these interfaces is served. */
  has(interfaces: readonly ServeInterface[]): boolean {
    return interfaces.every(({ addresses }) => addresses.every((address) => this.#open.has(address)));
  }

  /**
   * Answers at all addresses of an interface from here on. What is open stays open.
   * @throws BladerootError `NOT_ROOT` where it may not open a port any more, and others as servers do
   */
  async serve(wanted: ServeInterface): Promise<void> {
    const opened: [address: string, stop: Stop][] = [];
    try {
      for (const address of wanted.addresses) {
        if (!this.#open.has(address)) opened.push([address, await this.#options.listenAt(address)]);
      }
      // Last: who is told where to load from finds it there.
      await this.#options.dhcp.serve(wanted);
    } catch (error) {
      for (const [, stop] of opened.reverse()) await stop();
      throw error;
    }
    for (const [address, stop] of opened) this.#open.set(address, stop);
  }

  async stop(): Promise<void> {
    await this.#options.dhcp.stop();
    for (const stop of [...this.#open.values()].reverse()) await stop();
    this.#open.clear();
  }
}

/** What to tell when networks of a new release cannot be served by a root that runs. One line. */
export function notServed(release: number, { name, networks }: ServeInterface, error: unknown): string {
  const which = networks.map((network) => `${network.name} (${network.subnet})`).join(', ');
  const what = `release ${release} has network ${which} on ${name}, which is not all served yet`;
  return errorCode(error) === 'NOT_ROOT'
    ? `${what}: this root has given up the right to open its ports; restart it, as with \`systemctl restart bladeroot-root\``
    : `${what}: ${describeError(error)}`;
}
