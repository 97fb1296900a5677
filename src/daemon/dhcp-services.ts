/** DHCP on all interfaces of a root: one server for each, so that no wire hears what is meant for another. */
import type { BladerootEvent } from '../events/catalogue.ts';
import type { ReleaseBlade, ReleaseStatement } from '../release/statement.ts';
import { DhcpServer, type DhcpLeases } from '../serve/dhcp.ts';
import { decideDhcp, dhcpEvent, shouldBeAlone, type PoolLeases, type WireFacts } from './dhcp-policy.ts';
import { fleetNetworks } from './fleet-networks.ts';
import type { ServeInterface } from './interface.ts';

export interface DhcpServicesOptions {
  interfaces: ServeInterface[];
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

/**
 * Starts them; where all networks of an interface have mode off, there is none. Returns what stops them.
 * @throws BladerootError as `DhcpServer.start` does; nothing is left running then
 */
export async function startDhcp(options: DhcpServicesOptions): Promise<() => Promise<void>> {
  const running: DhcpServer[] = [];
  const stop = async (): Promise<void> => {
    for (const server of running.splice(0).reverse()) await server.stop();
  };
  try {
    for (const one of options.interfaces) {
      if (one.networks.every(({ mode }) => mode === 'off')) continue;
      const server = dhcpServer(one, options);
      await server.start();
      running.push(server);
    }
    return stop;
  } catch (error) {
    await stop();
    throw error;
  }
}

function dhcpServer({ name, addresses }: ServeInterface, options: DhcpServicesOptions): DhcpServer {
  const { leases, bladeOf, urlAt, onEvent, onMalformed, onError } = options;
  const allAddresses = options.interfaces.flatMap((each) => each.addresses);
  const facts = (): WireFacts => ({
    addresses,
    allAddresses,
    fleet: fleetNetworks(options.release()),
    bladeOf,
    leases,
    urlAt,
  });
  const [address, ...otherAddresses] = addresses;
  return new DhcpServer({
    interface: name,
    address,
    otherAddresses,
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
