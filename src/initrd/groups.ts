/**
 * What an initrd is made of, as it is told to people. Each group is an archive of its own in it, in this order: Node is the
 * bulk of it, and the last.
 */
import { PROGRAM, PROGRAM_NODE } from '../tree/program.ts';

export const GROUPS = ['tools', 'modules', 'firmware', 'agent', 'node'] as const;
export type Group = (typeof GROUPS)[number];

/** What `/init` and the agent are besides the program's own files. */
const AGENT = /^(init$|etc\/udhcpc\.script$|etc\/bladeroot(\/|$))/;

/** The group of a file of an initrd, by its path there; `tools` are busybox, all other programs, and their libraries. */
export function groupOf(path: string): Group {
  if (path === PROGRAM_NODE) return 'node';
  if (path.startsWith(`${PROGRAM}/`) || AGENT.test(path)) return 'agent';
  if (/^(usr\/)?lib\/modules\//.test(path)) return 'modules';
  if (/^(usr\/)?lib\/firmware\//.test(path)) return 'firmware';
  return 'tools';
}
