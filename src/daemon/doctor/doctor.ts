/** All checks of `bladeroot doctor`, in the order in which one rests on the other. */
import { errorCode } from '../../errors.ts';
import { neighbourRoom } from '../neighbour-room.ts';
import { userToBecome } from '../privileges.ts';
import { checkDhcpServers } from './dhcp-servers.ts';
import { checkDropped } from './dropped.ts';
import type { Finding } from './finding.ts';
import { checkFirewall } from './firewall.ts';
import { checkKey } from './key.ts';
import { checkInterfaces } from './interface.ts';
import { checkClock, checkRoom, judgeNeighbours } from './machine.ts';
import { checkPorts } from './ports.ts';
import { checkRecovery } from './recovery.ts';
import { checkRelease } from './release.ts';

export interface DoctorOptions {
  stateDirectory: string;
  /** None: all that have an address in a network of the fleet. */
  interfaces: readonly string[];
  /** Whom the boot services become. */
  user: string;
  onFinding(finding: Finding): void;
}

/** Looks at everything; changes nothing. Returns whether no check failed. */
export async function examine(options: DoctorOptions): Promise<boolean> {
  const { stateDirectory } = options;
  let good = true;
  const tell = (finding: Finding): void => {
    good &&= finding.level !== 'failure';
    options.onFinding(finding);
  };
  tell(await checkRoom(stateDirectory));
  const { findings, release } = await checkRelease(stateDirectory);
  findings.forEach(tell);
  tell(await checkKey(stateDirectory, release));
  tell(await checkRecovery(stateDirectory));
  tell(await checkClock(Date.now(), release === undefined ? undefined : Date.parse(release.created)));
  const neighbours = neighbourRoom();
  if (release !== undefined && neighbours !== undefined)
    tell(judgeNeighbours(release.blades.length, neighbours));
  tell(await checkUser(options.user));
  const wires =
    release === undefined ? { findings: [], found: [] } : await checkInterfaces(options.interfaces, release);
  wires.findings.forEach(tell);
  (await checkPorts(wires.found.map(({ name }) => name))).forEach(tell);
  const [address] = wires.found.flatMap(({ addresses }) => addresses);
  const dropped = address === undefined ? undefined : await checkDropped(address);
  if (dropped !== undefined) tell(dropped);
  tell(await checkFirewall());
  for (const wire of wires.found) tell(await checkDhcpServers(wire));
  return good;
}

async function checkUser(name: string): Promise<Finding> {
  const check = 'user';
  try {
    await userToBecome(name);
    return { check, level: 'ok', message: `the boot services become ${name}` };
  } catch (error) {
    if (errorCode(error) !== 'NO_USER' || !(error instanceof Error)) throw error;
    const hint = `useradd --system --home-dir /nonexistent --shell /usr/sbin/nologin ${name}`;
    return { check, level: 'failure', message: error.message, hint };
  }
}
