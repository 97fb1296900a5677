/** Whether there is a wire to serve on. */
import { z } from 'zod';
import { BladerootError } from '../../errors.ts';
import { subnetOf } from '../../net/ipv4.ts';
import type { ReleaseStatement } from '../../release/statement.ts';
import { run } from '../../system/run.ts';
import { chooseInterface, type ServeInterface } from '../interface.ts';
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

export async function checkInterface(
  name: string | undefined,
  release: ReleaseStatement,
): Promise<{ finding: Finding; found: ServeInterface | undefined }> {
  try {
    const found = chooseInterface(name, release);
    const message = `${found.name} has ${found.address} in the fleet's subnet, and a link`;
    return { finding: { check: CHECK, level: 'ok', message }, found };
  } catch (error) {
    if (!(error instanceof BladerootError)) throw error;
    const { message, hint = 'see `ip address`' } = error;
    const silent = await withoutLink(name, release);
    return { finding: silent ?? { check: CHECK, level: 'failure', message, hint }, found: undefined };
  }
}

/** Node lists no interface that has no link; this one would be right. */
async function withoutLink(
  name: string | undefined,
  release: ReleaseStatement,
): Promise<Finding | undefined> {
  const { stdout } = await run('ip', ['-json', '-4', 'address', 'show']);
  for (const { ifname, flags, addr_info: addresses } of interfacesSchema.parse(JSON.parse(stdout))) {
    if (flags.includes('LOWER_UP') || (name !== undefined && name !== ifname)) continue;
    const right = addresses.find(({ local }) =>
      release.blades.some(
        ({ address, netmask }) => subnetOf(local, netmask).network === subnetOf(address, netmask).network,
      ),
    );
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
