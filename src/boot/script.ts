import type { BootPlan } from './plan.ts';

/** What the script needs to know; URLs have literal addresses, so that no name needs to be looked up. */
export interface ScriptFacts {
  blade: string;
  /** The blade's NIC, `52:54:00:12:34:56`: it tells the agent which of its NICs is meant. Undefined where nobody knows. */
  mac: string | undefined;
  /** The root's base URL, without a slash at its end. */
  root: string;
  release: number;
  kernelUrl: string;
  initrdUrl: string;
  kernelArgs: string[];
}

/**
 * iPXE puts in the card that it has opened last (ipxe.org/cfg/netX), as `52-54-00-12-34-56`; where it does not know that
 * word, nothing, and `/init` takes the first card with a carrier.
 */
const OWN_CARD = '${netX/mac:hexhyp}';

/** The iPXE script (ipxe.org/scripting) that carries out a plan. */
export function ipxeScript(plan: BootPlan, facts: ScriptFacts): string {
  const title = `bladeroot: ${facts.blade}, release ${facts.release}`;
  return plan.kind === 'local-disk' ? localDisk(title) : agent(title, facts);
}

/** BIOS: the first disk. Where iPXE cannot (or on UEFI), leaving it makes the firmware try its next device. */
function localDisk(title: string): string {
  return script([
    `echo ${title}: starting from the local disk`,
    'sanboot --no-describe --drive 0x80 || exit 1',
  ]);
}

function agent(title: string, facts: ScriptFacts): string {
  // UEFI's kernel stub finds the initrd by name, on the command line; on BIOS the word does no harm.
  const args = [
    'initrd=initrd',
    `BOOTIF=01-${facts.mac?.replaceAll(':', '-') ?? OWN_CARD}`,
    `bladeroot.root=${facts.root}`,
    ...facts.kernelArgs,
  ];
  return script([
    `echo ${title}: loading kernel and initrd from ${facts.root}`,
    'set tries:int32 0',
    ':load',
    'inc tries',
    'imgfree',
    `kernel --name vmlinuz ${facts.kernelUrl} ${args.join(' ')} || goto failed`,
    `initrd --name initrd ${facts.initrdUrl} || goto failed`,
    'boot || goto failed',
    ':failed',
    `echo bladeroot: loading failed (try \${tries}); trying again`,
    // A root that restarts is back within seconds; one that is gone is found anew by DHCP, where another may answer.
    'iseq ${tries} 5 && goto give_up ||',
    'sleep 3',
    'goto load',
    ':give_up',
    'echo bladeroot: giving up here, the machine starts over',
    'reboot',
  ]);
}

function script(lines: string[]): string {
  return ['#!ipxe', ...lines, ''].join('\n');
}
