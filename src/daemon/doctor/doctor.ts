/** All checks of `bladeroot doctor`, in the order in which one rests on the other. */
import { errorCode } from '../../errors.ts';
import { userToBecome } from '../privileges.ts';
import { checkDhcpServers } from './dhcp-servers.ts';
import type { Finding } from './finding.ts';
import { checkFirewall } from './firewall.ts';
import { checkInterface } from './interface.ts';
import { checkClock, checkRoom } from './machine.ts';
import { checkPorts } from './ports.ts';
import { checkRelease } from './release.ts';

export interface DoctorOptions {
  stateDirectory: string;
  /** Undefined: the one that has an address in the fleet's subnet. */
  interface?: string | undefined;
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
  tell(await checkClock(Date.now(), release === undefined ? undefined : Date.parse(release.created)));
  tell(await checkUser(options.user));
  const wire = release === undefined ? undefined : await checkInterface(options.interface, release);
  if (wire !== undefined) tell(wire.finding);
  (await checkPorts(wire?.found?.name)).forEach(tell);
  tell(await checkFirewall());
  if (wire?.found !== undefined) tell(await checkDhcpServers(wire.found));
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
