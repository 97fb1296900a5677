/** The iPXE script (ipxe.org/scripting) that carries out a plan, with its menu. */
import { BOOT_CHOICES, type BootChoice } from '../fleet/schema.ts';
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
  menu: BootMenu;
  /** Whether there is a disk that it may be sent to: not for a blade that runs from memory. */
  hasDisk: boolean;
  /** Where the memory tests are; absent: the menu has none. */
  memoryTest?: { bios: string; uefi: string };
}

/**
 * iPXE puts in the card that it has opened last (ipxe.org/cfg/netX), as `52-54-00-12-34-56`; where it does not know that
 * word, nothing, and `/init` takes the first card with a carrier.
 */
const OWN_CARD = '${netX/mac:hexhyp}';

export interface BootMenu {
  /** What happens by itself. */
  default: BootChoice;
  /** Seconds for which the menu is shown; with 0 there is none. */
  timeout: number;
}

/** For a blade of which nothing is said: straight on, so that a healthy boot waits for nobody. */
export const NO_MENU: BootMenu = { default: 'boot', timeout: 0 };

/**
 * The script. Nothing in it leaves a machine standing for ever: what fails is tried again a few times, and then the
 * machine starts over. An iPXE that was built without menus takes the default.
 */
export function ipxeScript(plan: BootPlan, facts: ScriptFacts): string {
  const title = `bladeroot: ${facts.blade}, release ${facts.release}`;
  const { menu } = facts;
  if (menu.timeout === 0) {
    const choice = planned(presetOf(facts), plan);
    return script(choice === 'local-disk' ? localDisk(title) : agent(title, choice, facts));
  }
  const test = facts.memoryTest;
  return script([
    ...showMenu(title, plan, facts),
    ...(facts.hasDisk ? section('local-disk', localDisk(title)) : []),
    ...section('rescue', ['set mode bladeroot.rescue', 'goto agent']),
    ...section('deploy', ['set mode bladeroot.deploy', 'goto agent']),
    ...(test === undefined ? [] : section('memory-test', memoryTest(title, test, facts.kernelArgs))),
    ...section('agent', agent(title, 'menu', facts)),
  ]);
}

/** What is carried out: `boot` is what the plan says, and so is everything where somebody has asked for it. */
type Action = Exclude<BootChoice, 'boot'> | 'agent';

/** A blade without a disk does what the root says instead. */
function presetOf({ menu, hasDisk }: ScriptFacts): BootChoice {
  return menu.default === 'local-disk' && !hasDisk ? 'boot' : menu.default;
}

function planned(choice: BootChoice, plan: BootPlan): Action {
  return choice === 'boot' || isAsked(plan) ? plan.kind : choice;
}

function isAsked({ kind }: BootPlan): boolean {
  return kind === 'deploy' || kind === 'rescue';
}

const LABELS: Record<BootChoice, string> = {
  boot: 'Boot',
  'local-disk': 'Local disk: start it as it is',
  deploy: 'Deploy again: unpack the release anew, whatever the disk has',
  rescue: 'Rescue shell: load the agent, and start nothing',
};

/** An entry is also chosen by its first letter: consoles over serial lines garble arrow keys. */
function item(choice: string, label: string): string {
  const key = choice.slice(0, 1);
  return `item --key ${key} ${choice} ${key}  ${label}`;
}

function showMenu(title: string, plan: BootPlan, facts: ScriptFacts): string[] {
  const preset = presetOf(facts);
  const { timeout } = facts.menu;
  const what: Record<BootPlan['kind'], string> = {
    'local-disk': 'from the local disk',
    agent: facts.hasDisk ? `install release ${facts.release}` : `release ${facts.release}, in memory`,
    deploy: `deploy release ${facts.release} again, as was asked`,
    rescue: 'rescue shell, as was asked',
  };
  const fallback = `goto ${planned(preset, plan)}`;
  return [
    `menu ${title} || ${fallback}`,
    ...BOOT_CHOICES.filter((choice) => choice !== 'local-disk' || facts.hasDisk).map((choice) =>
      item(choice, `${LABELS[choice]}${choice === 'boot' ? `: ${what[plan.kind]}` : ''}`),
    ),
    ...(facts.memoryTest === undefined ? [] : [item('memory-test', 'Memory test, until it is stopped')]),
    // Milliseconds. Also at Escape and Ctrl-C, the default is taken.
    `choose --default ${isAsked(plan) ? 'boot' : preset} --timeout ${timeout * 1000} chosen || ${fallback}`,
    'goto ${chosen}',
    ...section('boot', [`goto ${planned('boot', plan)}`]),
  ];
}

/**
 * BIOS: the first disk. UEFI: the firmware's next boot entry, which the agent's GRUB is; it goes on there only when what
 * it has loaded ends with an error, and shows its own menu after a success (UEFI 2.10 §3.1.1), hence 1. A BIOS that finds
 * nothing on its first disk may not look at the second (SeaBIOS does not), which is all that a mirror has when the first
 * one was replaced.
 */
function localDisk(title: string): string[] {
  return [
    `echo ${title}: starting from the local disk`,
    'iseq ${platform} efi && exit 1 ||',
    'sanboot --no-describe --drive 0x80 || sanboot --no-describe --drive 0x81 || exit 1',
  ];
}

/**
 * Goes on until somebody switches the machine off or presses Escape. It shows itself on the serial line that the kernel has
 * as its console, too (memtest86+: `console=ttyS0,115200`).
 */
function memoryTest(title: string, urls: { bios: string; uefi: string }, kernelArgs: string[]): string[] {
  const serial = kernelArgs.filter((arg) => arg.startsWith('console=ttyS')).slice(-1);
  return [
    `echo ${title}: loading the memory test`,
    `iseq \${platform} efi && set test ${urls.uefi} || set test ${urls.bios}`,
    'imgfree',
    `${['kernel ${test}', ...serial].join(' ')} && boot ||`,
    ...startOver('the memory test cannot be loaded'),
  ];
}

/** `menu`: what was chosen has set ${mode}. */
function agent(title: string, action: Exclude<Action, 'local-disk'> | 'menu', facts: ScriptFacts): string[] {
  const mode = { agent: [], menu: ['${mode}'], deploy: ['bladeroot.deploy'], rescue: ['bladeroot.rescue'] };
  // UEFI's kernel stub finds the initrd by name, on the command line; on BIOS the word does no harm.
  const args = [
    'initrd=initrd',
    `BOOTIF=01-${facts.mac?.replaceAll(':', '-') ?? OWN_CARD}`,
    `bladeroot.root=${facts.root}`,
    ...mode[action],
    ...facts.kernelArgs,
  ];
  return [
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
    ...startOver('giving up here'),
  ];
}

/** An iPXE that cannot reboot leaves the machine to its firmware. */
function startOver(why: string): string[] {
  return [`echo bladeroot: ${why}, the machine starts over`, 'sleep 3', 'reboot || exit 1'];
}

function section(label: string, lines: string[]): string[] {
  return [`:${label}`, ...lines];
}

function script(lines: string[]): string {
  return ['#!ipxe', ...lines, ''].join('\n');
}
