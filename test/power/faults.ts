/** What goes wrong besides power while a blade is installed or updated; each is mended after a while. */
import { open, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { breakDisk, mendDisk, type DiskFault } from '../../lab/power-cut-disk.ts';
import type { PowerFleet } from './power-fleet.ts';
import type { Work } from './trials.ts';

export interface Fault {
  name: string;
  during: readonly Work[];
  /** Before the work begins, or in the midst of it. */
  when: 'before' | 'amid';
  /** Whether the power is cut after a while as well: a system that has given up its disk is of no use any more. */
  power: 'stays' | 'back when mended' | 'back before it is mended';
  begin(power: PowerFleet): Promise<void>;
  end(power: PowerFleet): Promise<void>;
}

export const FAULTS: readonly Fault[] = [
  {
    name: 'the root is killed',
    during: ['install', 'update'],
    when: 'amid',
    power: 'stays',
    begin: async ({ fleet }) => await fleet.killRoot(),
    end: async ({ fleet }) => await fleet.startRoot(),
  },
  {
    name: 'the network is cut',
    during: ['install', 'update'],
    when: 'amid',
    power: 'stays',
    begin: async ({ machine }) => await machine.setLink('down'),
    end: async ({ machine }) => await machine.setLink('up'),
  },
  {
    name: 'the network and the power are cut',
    during: ['update'],
    when: 'amid',
    power: 'back before it is mended',
    begin: async ({ machine }) => await machine.setLink('down'),
    end: async ({ machine }) => await machine.setLink('up'),
  },
  {
    name: 'the disk is full',
    during: ['update'],
    when: 'before',
    power: 'stays',
    begin: async (power) =>
      await power.say(
        'busybox fallocate -l $(($(df --output=avail -B1 /persist | tail -n 1) / 100 * 99)) /persist/full; sync',
      ),
    end: async (power) => await power.say('rm /persist/full; sync'),
  },
  diskFault('writes', 'write'),
  diskFault('reads', 'read'),
  {
    name: 'the packs of the root are damaged',
    during: ['install', 'update'],
    when: 'before',
    power: 'stays',
    begin: async (power) => await flipBits(packsOf(power)),
    end: async (power) => await flipBits(packsOf(power)),
  },
];

function diskFault(what: string, fault: DiskFault): Fault {
  return {
    name: `the disk fails a tenth of its ${what}`,
    during: ['install', 'update'],
    when: 'amid',
    power: 'back when mended',
    begin: async ({ machine }) => await breakDisk(machine.files.disk, fault),
    end: async ({ machine }) => await mendDisk(machine.files.disk, fault),
  };
}

function packsOf({ fleet }: PowerFleet): string {
  return join(fleet.place.state, 'store', 'packs');
}

const EVERY_BYTES = 256 * 1024;

/** Turns over one bit in each quarter of a MiB, of every pack; done twice, all is as it was. */
async function flipBits(directory: string): Promise<void> {
  for (const name of await readdir(directory)) {
    if (!name.endsWith('.pack')) continue;
    const path = join(directory, name);
    const { size } = await stat(path);
    const file = await open(path, 'r+');
    try {
      const byte = Buffer.alloc(1);
      for (let at = Math.min(1000, size - 1); at < size; at += EVERY_BYTES) {
        await file.read(byte, 0, 1, at);
        byte.writeUInt8(byte.readUInt8(0) ^ 1);
        await file.write(byte, 0, 1, at);
      }
    } finally {
      await file.close();
    }
  }
}
