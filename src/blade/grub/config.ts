/** What GRUB reads on the ESP: one configuration that never changes, and a file for each slot. Pure. */
import { SLOTS, type Slot } from '../state.ts';

/** Paths on the ESP. GRUB has its root there. */
export const GRUB_DIRECTORY = 'grub';
export const ENVIRONMENT_FILE = `${GRUB_DIRECTORY}/grubenv`;
/** The last good slot once more: GRUB never writes this block, so that it outlives whatever happens to the other. */
export const GOOD_FILE = `${GRUB_DIRECTORY}/good`;

export function slotDirectory(slot: Slot): string {
  return `bladeroot/${slot}`;
}

/** The last file that a slot gets, and the first that it loses: a slot that has it can be started. */
export function slotConfigFile(slot: Slot): string {
  return `${slotDirectory(slot)}/boot.cfg`;
}

/** On the kernel's command line of a slot that has to prove good: /init restarts the machine where else it would wait. */
export const TRIAL_WORD = 'bladeroot.try';

/** Seconds after which a kernel that has panicked restarts the machine; an argument of the blade's own wins. */
const PANIC_SECONDS = 10;

/**
 * `grub.cfg`. A slot on trial is started while it has tries left and GRUB could count this one; else the last good slot;
 * without knowledge of that, any that is there. What cannot be loaded makes way for the other slot, and that for the
 * firmware's next device. Nobody is waited for.
 */
export function grubConfig(): string {
  return `# Written by bladeroot; changes are lost.
set timeout=0
if [ -s /${GOOD_FILE} ]; then load_env --file /${GOOD_FILE} good; fi
if [ -s /${ENVIRONMENT_FILE} ]; then load_env --file /${ENVIRONMENT_FILE} good try tries; fi

set left=
if [ "$tries" = 2 ]; then set left=1; fi
if [ "$tries" = 1 ]; then set left=0; fi
set trial=
if [ "$try" = a -o "$try" = b ]; then
  if [ -n "$left" -a ${there('$try')} ]; then
    set tries=$left
    if save_env --file /${ENVIRONMENT_FILE} tries; then set trial=$try; fi
  fi
fi
set slot=$trial
if [ "$good" = a -o "$good" = b ]; then
  if [ -z "$slot" -a ${there('$good')} ]; then set slot=$good; fi
fi
${SLOTS.map((slot) => `if [ -z "$slot" -a ${there(slot)} ]; then set slot=${slot}; fi`).join('\n')}
export trial
set default=2
set fallback="2"
if [ "$slot" = a ]; then set default=0; set fallback="1 2"; fi
if [ "$slot" = b ]; then set default=1; set fallback="0 2"; fi

${SLOTS.map(menuEntry).join('\n')}
menuentry "the firmware's next device" {
  exit
}
`;
}

/** @param slot a, b or a variable of GRUB's */
function there(slot: string): string {
  return `-s "/bladeroot/${slot}/boot.cfg"`;
}

function menuEntry(slot: Slot): string {
  return `menuentry "bladeroot: slot ${slot}" {
  set word=
  if [ "$trial" = ${slot} ]; then set word=${TRIAL_WORD}; fi
  source /${slotConfigFile(slot)}
}`;
}

export interface SlotStart {
  slot: Slot;
  /** The PARTUUID of the slot, by which /init tells it from one of the same name on another disk. */
  partition: string | undefined;
  /** The UUID of the mirror that has it, which /init starts first; undefined where it lies on a disk. */
  mirror?: string | undefined;
  kernelArgs: readonly string[];
}

/** `boot.cfg` of a slot. */
export function slotConfig({ slot, partition, mirror, kernelArgs }: SlotStart): string {
  const own = [
    `bladeroot.slot=${slot}`,
    ...(partition === undefined ? [] : [`bladeroot.part=${partition}`]),
    ...(mirror === undefined ? [] : [`bladeroot.mirror=${mirror}`]),
  ];
  const words = [...own, '$word', `panic=${PANIC_SECONDS}`, ...kernelArgs.map(quote)];
  const from = `/${slotDirectory(slot)}`;
  return `linux ${from}/vmlinuz ${words.join(' ')}\ninitrd ${from}/initrd\n`;
}

/** GRUB's shell: within single quotes nothing is special but the quote itself. */
function quote(word: string): string {
  return /^[\w./:=,@+-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
