/** Which card answers at an IPv4 address: TFTP and HTTP see addresses only, and another DHCP server gives its own. */
import { readFileSync } from 'node:fs';

/**
 * The MAC of a machine on a wire of ours that has just spoken to us, as the kernel's table of neighbours has it
 * (/proc/net/arp, arp(7)); undefined for one behind a router.
 */
export function neighbourMac(address: string): string | undefined {
  return macInTable(readFileSync('/proc/self/net/arp', 'latin1'), address);
}

/** Of the table's columns `IP address, HW type, Flags, HW address, Mask, Device`; entries that are not complete say zeros. */
export function macInTable(table: string, address: string): string | undefined {
  for (const line of table.split('\n')) {
    if (!line.startsWith(`${address} `)) continue;
    const mac = line.split(/\s+/)[3];
    if (mac !== undefined && mac !== '00:00:00:00:00:00') return mac;
  }
  return undefined;
}
