/** For tests: what a machine says of itself. */
import type { Machine } from './machine.ts';

export function sampleMachine(changes: Partial<Machine> = {}): Machine {
  const mac = changes.mac ?? '52:54:00:77:00:99';
  return {
    mac,
    vendor: 'QEMU',
    model: 'Standard PC',
    firmware: 'bios',
    cpu: { model: 'QEMU Virtual CPU', count: 2 },
    memoryBytes: 2 ** 30,
    nics: [{ name: 'eth0', mac, driver: 'virtio_net', link: true }],
    disks: [{ path: '/dev/vda', bytes: 8 * 2 ** 30, rotational: true }],
    ...changes,
  };
}
