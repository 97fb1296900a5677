import assert from 'node:assert/strict';
import { test } from 'node:test';
import { machineSchema } from '../fleet/machine.ts';
import { folderOf } from '../fleet/folder.fixture.ts';
import { inspectMachine, meaningful } from './machine.ts';

/** Files as a kernel shows them for a server with two cards, an NVMe disk, a SCSI disk, and what is no hardware. */
const SERVER = {
  'sys/class/dmi/id/sys_vendor': 'Dell Inc.\n',
  'sys/class/dmi/id/product_name': 'PowerEdge R640\n',
  'sys/class/dmi/id/product_serial': ' 4QX0P33  \n',
  'sys/class/dmi/id/product_uuid': '4C4C4544-0051-5810-8030-B4C04F503333\n',
  'sys/firmware/efi/': '',
  'proc/cpuinfo': [0, 1]
    .map((cpu) => `processor\t: ${cpu}\nmodel name\t: Intel(R) Xeon(R)  Gold 6130\nflags\t\t: fpu\n`)
    .join('\n'),
  'proc/meminfo': 'MemTotal:       16384000 kB\nMemFree:         1234 kB\n',
  'sys/class/net/lo/address': '00:00:00:00:00:00\n',
  'sys/class/net/lo/type': '772\n',
  'sys/class/net/br0/address': '3c:ec:ef:00:00:01\n',
  'sys/class/net/br0/type': '1\n',
  'sys/class/net/eth1/address': '3c:ec:ef:00:00:02\n',
  'sys/class/net/eth1/type': '1\n',
  'sys/class/net/eth1/carrier': '1\n',
  'sys/class/net/eth1/speed': '10000\n',
  'sys/class/net/eth1/device/driver': '->../../../../bus/i40e',
  'sys/class/net/eth0/address': '3c:ec:ef:00:00:01\n',
  'sys/class/net/eth0/type': '1\n',
  'sys/class/net/eth0/speed': '-1\n',
  'sys/class/net/eth0/device/driver': '->../../../../bus/i40e',
  'sys/class/net/ib0/address': '80:00:02:08:fe:80:00:00:00:00:00:00:f4:52:14:03:00:7b:cb:a1\n',
  'sys/class/net/ib0/type': '32\n',
  'sys/class/net/ib0/device/x': '',
  'sys/block/nvme0n1/size': '1000215216\n',
  'sys/block/nvme0n1/device/model': 'SAMSUNG MZVLB512HAJQ-00000              \n',
  'sys/block/nvme0n1/device/serial': 'S3W8NX0K123456      \n',
  'sys/block/nvme0n1/queue/rotational': '0\n',
  'sys/block/sda/size': '2048\n',
  'sys/block/sda/device/model': 'DISK\n',
  'sys/block/sda/device/vpd_pg80': '\u0000\u0080\u0000\u0006 WD123',
  'sys/block/sda/queue/rotational': '1\n',
  'sys/block/sr0/size': '2048\n',
  'sys/block/sr0/device/model': 'DVD\n',
  'sys/block/loop0/size': '2048\n',
  'sys/block/sdb/size': '0\n',
  'sys/block/sdb/device/model': 'Card Reader\n',
};

test('a machine tells its model, numbers, cards, disks and memory, and nothing that is no hardware', async (t) => {
  const machine = await inspectMachine('3c:ec:ef:00:00:01', await folderOf(t, SERVER));
  assert.deepEqual(machine, {
    mac: '3c:ec:ef:00:00:01',
    serial: '4QX0P33',
    guid: '4c4c4544-0051-5810-8030-b4c04f503333',
    vendor: 'Dell Inc.',
    model: 'PowerEdge R640',
    firmware: 'uefi',
    cpu: { model: 'Intel(R) Xeon(R) Gold 6130', count: 2 },
    memoryBytes: 16_384_000 * 1024,
    nics: [
      { name: 'eth0', mac: '3c:ec:ef:00:00:01', driver: 'i40e', link: false },
      { name: 'eth1', mac: '3c:ec:ef:00:00:02', driver: 'i40e', speed: 10_000, link: true },
    ],
    disks: [
      {
        path: '/dev/nvme0n1',
        bytes: 1_000_215_216 * 512,
        model: 'SAMSUNG MZVLB512HAJQ-00000',
        serial: 'S3W8NX0K123456',
        rotational: false,
      },
      { path: '/dev/sda', bytes: 1_048_576, model: 'DISK', serial: 'WD123', rotational: true },
    ],
  });
  assert.deepEqual(machineSchema.parse(machine), machine, 'the root takes it as it is');
});

test('where nobody says which card it booted from, it is the first with a link', async (t) => {
  const root = await folderOf(t, SERVER);
  assert.equal((await inspectMachine(undefined, root)).mac, '3c:ec:ef:00:00:02');
  assert.equal((await inspectMachine('52:54:00:00:00:01', root)).mac, '3c:ec:ef:00:00:02');
});

test('a machine without SMBIOS and without disks says the rest; one without a card cannot be known', async (t) => {
  const bare = await folderOf(t, {
    'sys/class/net/eth0/address': '3c:ec:ef:00:00:01\n',
    'sys/class/net/eth0/type': '1\n',
    'sys/class/net/eth0/device/x': '',
  });
  assert.deepEqual(await inspectMachine(undefined, bare), {
    mac: '3c:ec:ef:00:00:01',
    firmware: 'bios',
    cpu: { count: 0 },
    memoryBytes: 0,
    nics: [{ name: 'eth0', mac: '3c:ec:ef:00:00:01', link: false }],
    disks: [],
  });
  await assert.rejects(inspectMachine(undefined, await folderOf(t, {})), { code: 'NO_CARD' });
});

test("what makers leave in SMBIOS is no machine's own number", () => {
  for (const text of [
    'To Be Filled By O.E.M.',
    'Default string',
    'System Serial Number',
    'Not Specified',
    'None',
    '0000000000',
    'xxxxxxxx',
    '0123456789',
    '123456789',
    '  \n',
    '',
  ]) {
    assert.equal(meaningful(text), undefined, text);
  }
  for (const text of ['4QX0P33', 'VMware-56 4d 1f', '0', 'A0']) {
    assert.equal(meaningful(text), text === '0' ? undefined : text);
  }
  assert.equal(meaningful('a\u0000b\tc'.repeat(100))?.length, 128);
});

test('this very machine can be looked at', async () => {
  const machine = await inspectMachine(undefined).catch((error: unknown) => error);
  if (machine instanceof Error) assert.match(machine.message, /no Ethernet card/);
  else assert.ok(machineSchema.parse(machine).memoryBytes > 0);
});
