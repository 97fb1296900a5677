/** What the boot script put on the kernel's command line for the agent. */
import { BladerootError } from '../errors.ts';

export interface CommandLine {
  /** Base URLs of roots, in the order of the command line. */
  roots: string[];
  /** The MAC of the card that it booted from, in lower case with colons; undefined where the loader could not tell. */
  bootMac: string | undefined;
  /** "Deploy again" was chosen in the boot menu: install, whatever the disk has. */
  deploy: boolean;
}

/** @throws BladerootError `NO_ROOT_URL` */
export function parseCommandLine(text: string): CommandLine {
  const words = text.trim().split(/\s+/);
  const roots = words
    .filter((word) => word.startsWith('bladeroot.root='))
    .map((word) => word.slice('bladeroot.root='.length).replace(/\/+$/, ''))
    .filter((url) => URL.parse(url)?.protocol === 'http:');
  // pxelinux's word: the hardware type, 01 for Ethernet, stands before the address.
  const bootMac = words
    .map((word) => /^BOOTIF=01-((?:[0-9a-f]{2}-){5}[0-9a-f]{2})$/i.exec(word)?.[1])
    .findLast((mac) => mac !== undefined)
    ?.toLowerCase()
    .replaceAll('-', ':');
  if (roots.length > 0) return { roots, bootMac, deploy: words.includes('bladeroot.deploy') };
  throw new BladerootError('NO_ROOT_URL', 'the kernel command line names no root', {
    hint: 'boot with bladeroot.root=http://ADDRESS:8067, as the boot script of a root does',
  });
}
