import ipaddr from 'ipaddr.js';
import { BladerootError } from '../errors.ts';
import { schemaFiles, schemaPath } from './json-schema.ts';
import { fleetSchema } from './schema.ts';

/**
 * The commented first fleet folder: what stands in each file, by its path in the folder.
 * @param recovery the recipient of the fleet's recovery identity (age)
 * @throws BladerootError `BAD_FLEET_NAME` or `BAD_SUBNET` for a name or a subnet that the fleet could not have.
 */
export function exampleFleet(name: string, subnet: string, recovery?: string): Map<string, string> {
  const shape = fleetSchema.shape;
  const nameError = shape.name.safeParse(name).error;
  if (nameError)
    throw new BladerootError('BAD_FLEET_NAME', `the fleet's name ${nameError.issues[0]?.message}`);
  const subnetError = shape.network.shape.subnet.safeParse(subnet).error;
  if (subnetError) throw new BladerootError('BAD_SUBNET', `the subnet ${subnetError.issues[0]?.message}`);
  return new Map([
    ['fleet.yaml', fleetYaml(name, subnet, recovery)],
    ['overlays/base/etc/motd.liquid', MOTD],
    ...schemaFiles(),
  ]);
}

function fleetYaml(name: string, subnet: string, recovery: string | undefined): string {
  const prefixLength = ipaddr.IPv4.parseCIDR(subnet)[1];
  const first = ipaddr.IPv4.networkAddressFromCIDR(subnet);
  const host = (number: number): string => {
    const [a = 0, b = 0, c = 0, d = 0] = first.octets;
    return [a, b, c, d + number].join('.');
  };
  // The smaller the subnet, the fewer addresses can be left for other machines.
  const blade = prefixLength <= 27 ? 11 : 2;
  return `# yaml-language-server: $schema=${schemaPath('fleet')}
# The fleet ${name}: what its servers are. Every blade runs the same image; what differs stands here and in overlays/.

name: ${name}

network:
  subnet: ${first.toString()}/${prefixLength}
  # gateway: ${host(1)}      # the router, if blades are to reach other networks
  # dns: [${host(1)}]        # name servers
  # domain: ${name}.example  # completes host names

${recovery === undefined ? '' : recoveryYaml(recovery)}# What every blade has. Profiles and blades have the same keys; what stands nearer to the blade wins.
defaults:
  overlays: [base] # folders of overlays/, laid over the image in this order

# What blades of a kind share.
profiles:
  server: {}
  # web:
  #   extends: server
  #   overlays: [web]
  #   services: { start: [nginx], stop: [exim4] } # of those that the image has
  #   kernelArgs: [console=ttyS0]
  #   vars: { role: web }                         # for templates: {{ vars.role }}
  #   disks: { slot: 3GiB }                       # size of one of the two slots for an installed release
  #   boot: { timeout: 5 }                        # seconds for which a menu is shown at a boot from the network

# The servers: the MAC address of the card that each boots from, and the address it is given.
blades:
  blade01: { mac: '52:54:00:00:00:01', address: ${host(blade)}, profile: server }
`;
}

function recoveryYaml(recipient: string): string {
  return `# Who can read every secret (bladeroot secret --help): identities that are kept away from all machines.
secrets:
  recovery: [${recipient}]

`;
}

const MOTD = `{{ blade.name }}: {{ blade.address }}, a blade of {{ fleet.name }}
`;
