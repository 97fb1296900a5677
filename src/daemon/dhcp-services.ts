/** DHCP on all interfaces of a root: one server for each, so that no wire hears what is meant for another. */
import type { BladerootEvent } from '../events/catalogue.ts';
import type { ReleaseBlade, ReleaseStatement } from '../release/statement.ts';
import { DhcpServer, type DhcpLeases } from '../serve/dhcp.ts';
import { decideDhcp, dhcpEvent, shouldBeAlone, type PoolLeases, type WireFacts } from './dhcp-policy.ts';
import { fleetNetworks } from './fleet-networks.ts';
import type { ServeInterface } from './interface.ts';

export interface DhcpServicesOptions {
  /** The release that is current when a packet comes. */
  release(): ReleaseStatement;
  bladeOf(mac: string): ReleaseBlade | undefined;
  leases: PoolLeases & DhcpLeases;
  /** The root's base URL at one of its addresses. */
  urlAt(address: string): string;
  onEvent(event: BladerootEvent): void;
  /** What was no DHCP packet. */
  onMalformed(from: string, reason: string): void;
  /** What failed, and what it was about. */
  onError(reason: string, doing: string): void;
}

export class DhcpServices {
  readonly #options: DhcpServicesOptions;
  /** The addresses by which each interface is served. */
  readonly #addresses = new Map<string, ServeInterface['addresses']>();
  #allAddresses: string[] = [];
  readonly #servers = new Map<string, DhcpServer>();

  constructor(options: DhcpServicesOptions) {
    this.#options = options;
  }

  /**
   * Answers on an interface from here on, by all of its addresses; where all of its networks have mode off, nobody answers.
   * @throws BladerootError as `DhcpServer.start` does; nothing has changed then
   */
  async serve({ name, addresses, networks }: ServeInterface): Promise<void> {
    const running = this.#servers.get(name);
    if (running === undefined && networks.some(({ mode }) => mode !== 'off')) {
      const server = this.#server(name, addresses);
      await server.start();
      this.#servers.set(name, server);
    }
    this.#addresses.set(name, addresses);
    this.#allAddresses = [...this.#addresses.values()].flat();
    running?.speakBy(addresses);
  }

  async stop(): Promise<void> {
    for (const server of [...this.#servers.values()].reverse()) await server.stop();
    this.#servers.clear();
  }

  #server(name: string, addresses: ServeInterface['addresses']): DhcpServer {
    const { leases, bladeOf, urlAt, onEvent, onMalformed, onError } = this.#options;
    const facts = (): WireFacts => ({
      addresses: this.#addresses.get(name) ?? addresses,
      allAddresses: this.#allAddresses,
      fleet: fleetNetworks(this.#options.release()),
      bladeOf,
      leases,
      urlAt,
    });
    return new DhcpServer({
      interface: name,
      addresses,
      policy: (question) => decideDhcp(question, facts()),
      leases,
      onEvent: (event) => {
        if (event.type === 'dhcp.malformed') {
          onMalformed(event.from, event.reason);
          return;
        }
        if (event.type === 'dhcp.other-server' && !shouldBeAlone(event.question, facts())) return;
        const told = dhcpEvent(event, bladeOf);
        if (told !== undefined) onEvent(told);
        else if ('reason' in event) onError(event.reason, event.type);
      },
    });
  }
}
