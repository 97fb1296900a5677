/** The iPXE script of a machine that is no blade: it runs the agent, which says hello to the root and waits. */
import { ipxeScript, NO_MENU } from './script.ts';

/** What stands in URLs instead of a blade's name; no blade is called so (fleet/check.ts). */
export const UNKNOWN = 'unknown';

export interface UnknownFacts {
  /** The root's base URL, without a slash at its end. */
  root: string;
  release: number;
  kernelArgs: readonly string[];
}

/** Loads kernel and initrd of the current release. */
export function unknownScript({ root, release, kernelArgs }: UnknownFacts): string {
  const facts = {
    blade: 'a machine without a name',
    mac: undefined,
    root,
    release,
    kernelUrl: `${root}/boot/${UNKNOWN}/vmlinuz`,
    initrdUrl: `${root}/boot/${UNKNOWN}/initrd`,
    kernelArgs: [...kernelArgs],
    menu: NO_MENU,
    hasDisk: true,
  };
  return ipxeScript({ kind: 'agent' }, facts);
}

/** What all blades have, such as the console: a machine without a name is most likely of the same kind. */
export function sharedArgs(ofBlades: readonly (readonly string[])[]): string[] {
  const [first = [], ...others] = ofBlades;
  return first.filter((arg) => others.every((args) => args.includes(arg)));
}
