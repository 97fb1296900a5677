/** Whether there is a wire to serve on. */
import { z } from 'zod';
import { BladerootError } from '../../errors.ts';
import type { ReleaseStatement } from '../../release/statement.ts';
import { run } from '../../system/run.ts';
import { fleetNetworks, networkAt } from '../fleet-networks.ts';
import { chooseInterfaces, type ServeInterface } from '../interface.ts';
import type { Finding } from './finding.ts';

const CHECK = 'interface';

/** What is needed of `ip -json address`. */
const interfacesSchema = z.array(
  z.object({
    ifname: z.string(),
    flags: z.array(z.string()),
    addr_info: z.array(z.object({ local: z.string().default('') })),
  }),
);

/** @param names none: all that have an address in a network of the fleet */
export async function checkInterfaces(
  names: readonly string[],
  release: ReleaseStatement,
): Promise<{ findings: Finding[]; found: ServeInterface[] }> {
  try {
    const found = chooseInterfaces(names, release);
    const findings = found.map(({ name, addresses, networks }): Finding => {
      const where = networks.map((network) => network.name).join(' and ');
      const message = `${name} has ${addresses.join(' and ')} in network ${where}, and a link`;
      return { check: CHECK, level: 'ok', message };
    });
    return { findings, found };
  } catch (error) {
    if (!(error instanceof BladerootError)) throw error;
    const { message, hint = 'see `ip address`' } = error;
    const silent = await withoutLink(names, release);
    return { findings: [silent ?? { check: CHECK, level: 'failure', message, hint }], found: [] };
  }
}

/** Node lists no interface that has no link; this one would be right. */
async function withoutLink(
  names: readonly string[],
  release: ReleaseStatement,
): Promise<Finding | undefined> {
  const { networks } = fleetNetworks(release);
  const { stdout } = await run('ip', ['-json', '-4', 'address', 'show']);
  for (const { ifname, flags, addr_info: addresses } of interfacesSchema.parse(JSON.parse(stdout))) {
    if (flags.includes('LOWER_UP') || (names.length > 0 && !names.includes(ifname))) continue;
    const right = addresses.find(({ local }) => networkAt(networks, local) !== undefined);
    if (right === undefined) continue;
    const isUp = flags.includes('UP');
    return {
      check: CHECK,
      level: 'failure',
      message: `${ifname} (${right.local}) ${isUp ? 'has no link' : 'is down'}`,
      hint: isUp
        ? 'look at the cable, and at the port of the switch'
        : `switch it on: ip link set ${ifname} up`,
    };
  }
  return undefined;
}
