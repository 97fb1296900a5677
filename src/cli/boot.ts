import { networkInterfaces } from 'node:os';
import { Argument, type Command } from 'commander';
import { FOREIGN_SERVERS, foreignConfig } from '../boot/foreign-config.ts';
import type { ForeignNetwork, ForeignServer } from '../boot/foreign-config.ts';
import { HTTP_PORT } from '../daemon/root.ts';
import { BladerootError } from '../errors.ts';
import { loadFleet } from '../fleet/load.ts';
import { networksOf, resolveFleet } from '../fleet/resolve.ts';
import type { Fleet } from '../fleet/schema.ts';
import { inSubnet, isIpv4, parseSubnet } from '../net/ipv4.ts';
import { collect, contextOf, leaf, noun } from './command.ts';

export function bootCommands(signal: AbortSignal): Command {
  return noun('boot', 'how machines boot from the network', [config(signal)]);
}

interface ConfigOptions {
  root?: string;
  network: string[];
}

function config(signal: AbortSignal): Command {
  return leaf(
    'config',
    'print what to put into another DHCP server, so that its clients boot from the root',
    [
      'bladeroot boot config dnsmasq > /etc/dnsmasq.d/bladeroot.conf   # networks with "mode: off"',
      'bladeroot boot config kea --network main                        # this network, whatever its mode',
      'bladeroot boot config isc --root 10.77.0.1',
    ],
  )
    .addArgument(new Argument('<server>', 'the DHCP server').choices(FOREIGN_SERVERS))
    .option('--root <address>', 'the address of the root (this machine, by its address in the networks)')
    .option(
      '--network <name>',
      'a network of the fleet, "main" for the first; can be given again (all with mode off)',
      collect,
      [],
    )
    .action(async (server: ForeignServer, options: ConfigOptions, command: Command) => {
      const { fleetDirectory, output } = contextOf(command, signal);
      const networks = chosenNetworks(await loadFleet(fleetDirectory), options.network);
      const address = rootAddress(options.root, networks);
      const text = foreignConfig(server, { address, url: `http://${address}:${HTTP_PORT}`, networks });
      output.result({ server, root: address, config: text }, text.trimEnd());
    });
}

/** Those that are named, or else those in which another server answers DHCP. */
function chosenNetworks(fleet: Fleet, names: string[]): ForeignNetwork[] {
  const all = networksOf(fleet);
  const known = all.map(([name]) => name).join(', ');
  const unknown = names.find((name) => all.every(([other]) => other !== name));
  if (unknown !== undefined) {
    throw new BladerootError('UNKNOWN_NETWORK', `fleet ${fleet.name} has no network ${unknown}`, {
      hint: `it has ${known}`,
    });
  }
  const chosen = all.filter(([name, { mode }]) =>
    names.length === 0 ? mode === 'off' : names.includes(name),
  );
  if (chosen.length === 0) {
    throw new BladerootError('NO_NETWORK', 'no network of the fleet has "mode: off"', {
      hint: `say which one with --network (${known}), or set its mode in fleet.yaml`,
    });
  }
  const blades = resolveFleet(fleet);
  return chosen.map(([name, { subnet, gateway, dns, domain }]) => ({
    name,
    subnet,
    ...(gateway === undefined ? {} : { gateway }),
    dns,
    ...(domain === undefined ? {} : { domain }),
    // No other server can know a blade by its serial number: that one gets an address of the pool, and names itself.
    blades: blades.flatMap((blade) =>
      blade.mac !== undefined && inSubnet(blade.address, parseSubnet(subnet))
        ? [{ name: blade.name, mac: blade.mac, address: blade.address }]
        : [],
    ),
  }));
}

function rootAddress(given: string | undefined, networks: ForeignNetwork[]): string {
  if (given !== undefined) {
    if (isIpv4(given)) return given;
    throw new BladerootError('BAD_ADDRESS', `${given} is no IPv4 address`, {
      hint: 'write four numbers such as 10.77.0.1: firmware looks up no names',
    });
  }
  const own = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  for (const { subnet } of networks) {
    const found = own.find(({ address }) => inSubnet(address, parseSubnet(subnet)));
    if (found !== undefined) return found.address;
  }
  const subnets = networks.map(({ subnet }) => subnet).join(', ');
  throw new BladerootError('NO_ROOT_ADDRESS', `this machine has no address in ${subnets}`, {
    hint: 'say with --root which address the root has',
  });
}
