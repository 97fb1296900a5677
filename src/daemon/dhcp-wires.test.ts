/** DHCP of a whole root as udhcpc, dhclient, dhcpcd, dhcrelay and dnsmasq see it, on wires of their own. */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { decodeDhcp, encodeDhcp, type DhcpPacket } from '../net/dhcp.ts';
import { DHCP_MESSAGE, DHCP_OPTION, readAddress } from '../net/dhcp-options.ts';
import { ipv4ToBytes } from '../net/ipv4.ts';
import { blobOf } from '../release/release.fixture.ts';
import type { ReleaseBlade, ReleaseNetwork } from '../release/statement.ts';
import { cannotMakeSegment, type Servers } from '../serve/segment.fixture.ts';
import { connect, Machine, Switch } from './wires.fixture.ts';

const blade = (name: string, mac: string, address: string): ReleaseBlade => ({
  name,
  mac,
  address,
  netmask: '255.255.255.0',
  dns: [],
  kernelArgs: [],
  overlay: blobOf('overlay'),
});
const network = (name: string, subnet: string, more: Partial<ReleaseNetwork> = {}): ReleaseNetwork => ({
  name,
  subnet,
  dns: [],
  mode: 'server',
  ...more,
});

const STRANGER = '52:54:00:99:00:01';
const NETWORKS = [
  network('main', '10.99.0.0/24', { pool: { from: '10.99.0.20', to: '10.99.0.22' } }),
  network('far', '10.98.0.0/24', { gateway: '10.98.0.1', pool: { from: '10.98.0.50', to: '10.98.0.60' } }),
  network('second', '10.97.0.0/24', { pool: { from: '10.97.0.50', to: '10.97.0.60' } }),
  network('quiet', '10.96.0.0/24', { mode: 'off' }),
];
const BLADES = [
  blade('near01', '52:54:00:99:00:11', '10.99.0.11'),
  blade('far01', '52:54:00:99:00:12', '10.98.0.12'),
  blade('quiet01', '52:54:00:99:00:13', '10.96.0.13'),
];

describe('a root on several wires, with real clients', { skip: cannotMakeSegment, timeout: 120_000 }, () => {
  // root and client on a switch, with room for others; a relay with a client behind it; a second wire.
  const lan = new Switch('lan');
  const root = new Machine('root');
  const client = new Machine('client');
  const relay = new Machine('relay');
  const behind = new Machine('behind');
  const second = new Machine('second');
  const machines = [lan, root, client, relay, behind, second];
  let directory = '';
  let servers: Servers | undefined;
  // dhcpcd keeps its files by the name of the interface, for all namespaces of a machine.
  const device = `c${process.pid}`;

  const startRoot = async (networks: ReleaseNetwork[] = NETWORKS): Promise<Servers> => {
    servers = await root.startDhcp({ stateDirectory: directory, release: { networks, blades: BLADES } });
    return servers;
  };

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'bladeroot-wires-'));
    await writeFile(join(directory, 'script'), '#!/bin/sh\n[ "$1" = bound ] && env\nexit 0\n', {
      mode: 0o755,
    });
    await writeFile(join(directory, 'print'), '#!/bin/sh\nenv\n', { mode: 0o755 });
    for (const machine of machines) await machine.create();
    await lan.plug({ machine: root, device: 'wire0', address: '10.99.0.1/24' });
    await lan.plug({ machine: client, device, mac: STRANGER });
    await lan.plug({ machine: relay, device: 'near', address: '10.99.0.9/24' });
    await connect(
      { machine: relay, device: 'far', address: '10.98.0.1/24' },
      { machine: behind, device: 'eth0' },
    );
    await connect(
      { machine: root, device: 'wire1', address: '10.97.0.1/24' },
      { machine: second, device: 'eth0' },
    );
    await root.ip('route', 'add', '10.98.0.0/24', 'via', '10.99.0.9');
    await startRoot();
  });

  after(async () => {
    await servers?.stop();
    for (const machine of machines) await machine.remove();
    await rm(directory, { recursive: true });
  });

  const udhcpc = async (machine: Machine, on: string, ...options: string[]): Promise<string> => {
    const often = [
      '-f',
      '-q',
      '-n',
      '-t',
      '10',
      '-T',
      '1',
      '-A',
      '1',
      '-i',
      on,
      '-s',
      join(directory, 'script'),
    ];
    const { stdout } = await machine.run('udhcpc', ...often, ...options);
    return /^ip=(.*)$/m.exec(stdout)?.[1] ?? '';
  };
  /** As long as `work` goes on, the client's end has this address. */
  const withMac = async (mac: string, work: () => Promise<void>): Promise<void> => {
    await setMac(client, device, mac);
    try {
      await work();
    } finally {
      await setMac(client, device, STRANGER);
    }
  };

  test('DHCP-7: udhcpc, dhclient and dhcpcd of one machine, each with a client identifier of its own, get one address', async () => {
    const first = await udhcpc(client, device);
    assert.match(first, /^10\.99\.0\.2[0-2]$/);
    const files = ['-lf', join(directory, 'dhclient.leases'), '-pf', join(directory, 'dhclient.pid')];
    const dhclient = [...files, '-sf', join(directory, 'print'), '-v', device];
    // The one that it leaves in the background would keep a pipe open.
    const quietly = ['-c', `dhclient "$@" > ${join(directory, 'dhclient.log')} 2>&1`, 'sh'];
    await client.run('sh', ...quietly, '-1', ...dhclient);
    assert.match(
      await readFile(join(directory, 'dhclient.log'), 'utf8'),
      new RegExp(`bound to ${first.replaceAll('.', '\\.')} `),
    );
    // Gives it back, which is unicast, and ends the one in the background.
    await client.ip('address', 'add', `${first}/24`, 'dev', device);
    await client.run('sh', ...quietly, '-r', ...dhclient);
    await servers?.until('dhcp.release', STRANGER);
    await client.ip('address', 'flush', 'dev', device);

    const quick = ['-4', '-1', '-A', '-B', '-L', '-t', '10', '-f', '/dev/null'];
    const dhcpcd = await client.run('dhcpcd', ...quick, '-c', join(directory, 'print'), device);
    assert.match(dhcpcd.stdout, new RegExp(`^new_ip_address=${first.replaceAll('.', '\\.')}$`, 'm'));
    await rm(`/var/lib/dhcpcd/${device}.lease`, { force: true });
  });

  test('DHCP-8: an exhausted pool is told with its name, and a blade still gets its own address', async () => {
    for (const end of ['02', '03']) {
      await withMac(`52:54:00:99:00:${end}`, async () => {
        assert.match(await udhcpc(client, device), /^10\.99\.0\.2[0-2]$/);
      });
    }
    await udhcpc(client, device);
    await withMac('52:54:00:99:00:04', async () => {
      await assert.rejects(udhcpc(client, device, '-t', '2'), { code: 'PROGRAM_FAILED' });
      await servers?.until('dhcp.exhausted', 'of network main has no free address');
    });
    await withMac('52:54:00:99:00:11', async () => assert.equal(await udhcpc(client, device), '10.99.0.11'));
  });

  test('DHCP-8: an address that somebody uses already is declined by udhcpc, which then gets another', async () => {
    await setMac(second, 'eth0', '52:54:00:99:00:31');
    const found = await udhcpc(second, 'eth0');
    await root.ip('address', 'add', `${found}/32`, 'dev', 'wire1');
    try {
      // It waits 20 seconds after a DECLINE otherwise.
      const other = await udhcpc(second, 'eth0', '-a');
      await servers?.until('dhcp.decline', `${found} is in use by another machine`);
      assert.match(other, /^10\.97\.0\.(5\d|60)$/);
      assert.notEqual(other, found);
    } finally {
      await root.ip('address', 'delete', `${found}/32`, 'dev', 'wire1');
    }
  });

  test('DHCP-4: through dhcrelay, with option 82, a stranger gets an address of the far pool, a blade its own', async () => {
    const dhcrelay = relay.start('dhcrelay', '-4', '-d', '-a', '-id', 'far', '-iu', 'near', '10.99.0.1');
    try {
      await setMac(behind, 'eth0', '52:54:00:99:00:05');
      assert.match(await udhcpc(behind, 'eth0'), /^10\.98\.0\.(5\d|60)$/);
      await setMac(behind, 'eth0', '52:54:00:99:00:12');
      assert.equal(await udhcpc(behind, 'eth0'), '10.98.0.12');
      await setMac(behind, 'eth0', '52:54:00:99:00:11');
      await assert.rejects(udhcpc(behind, 'eth0', '-t', '2'), { code: 'PROGRAM_FAILED' });
      await servers?.until('dhcp.foreign', 'blade near01 asks from network far');
    } finally {
      dhcrelay.kill('SIGKILL');
      await dhcrelay.done.catch(() => undefined);
    }
  });

  test('DHCP-9: two wires: each client gets an address of its own wire, and no answer is heard on the other', async () => {
    await setMac(second, 'eth0', '52:54:00:99:00:06');
    const discover = {
      packet: hex(packet('discover')),
      to: '255.255.255.255',
      port: 67,
      from: 68,
      wait: 10_000,
    };
    await client.ip('address', 'add', '10.99.0.40/24', 'dev', device);
    await client.ip('route', 'add', 'default', 'dev', device);
    await second.ip('address', 'add', '10.97.0.40/24', 'dev', 'eth0');
    const listen = { ...discover, to: '127.0.0.1', port: 9, wait: 3000 };
    const [asked, elsewhere] = await Promise.all([client.ask(discover), second.ask(listen)]);
    assert.deepEqual(
      asked.map(({ packet: bytes }) => inSubnet99(bytes)),
      [true],
    );
    assert.deepEqual(elsewhere, []);
    assert.match(await udhcpc(second, 'eth0'), /^10\.97\.0\.(5\d|60)$/);
  });

  test('DHCP-6: a root that was restarted in the middle of an exchange goes on with it', async () => {
    const mac = '52:54:00:99:00:07';
    const ask = { to: '255.255.255.255', port: 67, from: 68, wait: 10_000 };
    await second.ip('route', 'add', 'default', 'dev', 'eth0');
    const [offer] = await second.ask({ ...ask, packet: hex(packet('discover', {}, mac)) });
    const offered = decodeDhcp(Buffer.from(offer?.packet ?? '', 'hex')).yiaddr;
    await servers?.stop();
    await startRoot();
    const options = { requestedAddress: ipv4ToBytes(offered), serverIdentifier: ipv4ToBytes('10.97.0.1') };
    const [ack] = await second.ask({ ...ask, packet: hex(packet('request', options, mac)) });
    const answer = decodeDhcp(Buffer.from(ack?.packet ?? '', 'hex'));
    assert.equal(answer.options.get(DHCP_OPTION.messageType)?.[0], DHCP_MESSAGE.ack);
    assert.equal(answer.yiaddr, offered);
    await servers?.stop();
    await startRoot();
    const elsewhere = { ...options, serverIdentifier: ipv4ToBytes('10.97.0.1') };
    const [nak] = await second.ask({
      ...ask,
      packet: hex(packet('request', elsewhere, '52:54:00:99:00:08')),
    });
    const refused = decodeDhcp(Buffer.from(nak?.packet ?? '', 'hex'));
    assert.equal(
      refused.options.get(DHCP_OPTION.messageType)?.[0],
      DHCP_MESSAGE.nak,
      'it is kept over restarts',
    );
  });

  test('another DHCP server on the wire is noticed, with its address', async () => {
    const other = new Machine('other');
    await other.create();
    try {
      await lan.plug({ machine: other, device: 'eth0', address: '10.99.0.66/24' });
      const dnsmasq = other.start('dnsmasq', ...DNSMASQ, '--dhcp-range=10.99.0.70,10.99.0.80,10m');
      try {
        // The pool is exhausted, so this machine takes the other's offer.
        await withMac('52:54:00:99:00:04', async () => {
          assert.match(await udhcpc(client, device), /^10\.99\.0\.(7\d|80)$/);
        });
        await servers?.until('dhcp.other-server', '"address":"10.99.0.66"');
      } finally {
        dnsmasq.kill('SIGKILL');
        await dnsmasq.done.catch(() => undefined);
      }
    } finally {
      await other.remove();
    }
  });

  test('PXE-12: mode proxy: firmware that has its address from elsewhere hears from us what to boot, on 67 and 4011', async () => {
    await servers?.stop();
    await startRoot([
      network('main', '10.99.0.0/24', { mode: 'proxy', proxyDelay: 400 }),
      ...NETWORKS.slice(1),
    ]);
    const rom = { vendorClass: Buffer.from('PXEClient:Arch:00000:UNDI:002001'), clientArch: Buffer.of(0, 0) };
    const ask = { to: '255.255.255.255', port: 67, from: 68, wait: 10_000 };
    const discover = packet('discover', rom, '52:54:00:99:00:11');
    const [offer, ...more] = await client.ask({ ...ask, packet: hex(discover) });
    assert.ok(offer !== undefined && more.length === 0);
    assert.ok(offer.after >= 395, `the delay: ${offer.after} ms`);
    const told = decodeDhcp(Buffer.from(offer.packet, 'hex'));
    assert.deepEqual([told.yiaddr, told.siaddr, told.file], ['0.0.0.0', '10.99.0.1', 'undionly.kpxe']);
    assert.equal(readAddress(told.options.get(DHCP_OPTION.serverIdentifier)), '10.99.0.1');

    const request = packet('request', rom, '52:54:00:99:00:11', { ciaddr: '10.99.0.40' });
    const [ack] = await client.ask({
      packet: hex(request),
      to: '10.99.0.1',
      port: 4011,
      from: 4567,
      wait: 10_000,
    });
    assert.equal(ack?.port, 4011, 'from the port that was asked');
    const answer = decodeDhcp(Buffer.from(ack.packet, 'hex'));
    assert.equal(answer.options.get(DHCP_OPTION.messageType)?.[0], DHCP_MESSAGE.ack);
    assert.equal(answer.file, 'undionly.kpxe');

    await assert.rejects(
      udhcpc(client, device, '-t', '2'),
      { code: 'PROGRAM_FAILED' },
      'no address from a proxy',
    );
  });

  test('PXE-11: port 4011 answers in mode server too, and mode off opens no port at all', async () => {
    await servers?.stop();
    await root.ip('address', 'add', '10.96.0.1/24', 'dev', 'wire1');
    await root.ip('address', 'delete', '10.97.0.1/24', 'dev', 'wire1');
    await startRoot();
    const rom = { vendorClass: Buffer.from('PXEClient:Arch:00000:UNDI:002001') };
    const request = packet('request', rom, STRANGER, { ciaddr: '10.99.0.40' });
    const [ack] = await client.ask({
      packet: hex(request),
      to: '10.99.0.1',
      port: 4011,
      from: 4567,
      wait: 10_000,
    });
    assert.equal(decodeDhcp(Buffer.from(ack?.packet ?? '', 'hex')).file, 'undionly.kpxe');
    const { stdout } = await root.run('ss', '-Hulnp');
    const open = stdout.split('\n').flatMap((line) => /%(wire\d):(\d+)/.exec(line)?.slice(1).join(':') ?? []);
    assert.deepEqual(open.toSorted(), ['wire0:4011', 'wire0:67']);
  });
});

const DNSMASQ = [
  '--no-daemon',
  '--conf-file=/dev/null',
  '--port=0',
  '--interface=eth0',
  '--leasefile-ro',
  '--log-facility=-',
];

async function setMac(machine: Machine, on: string, mac: string): Promise<void> {
  await machine.ip('link', 'set', on, 'address', mac);
}

type Options = Partial<Record<keyof typeof DHCP_OPTION, Buffer>>;

function packet(
  type: keyof typeof DHCP_MESSAGE,
  options: Options = {},
  mac = STRANGER,
  fields: Partial<DhcpPacket> = {},
): DhcpPacket {
  const unset = { ciaddr: '0.0.0.0', yiaddr: '0.0.0.0', siaddr: '0.0.0.0', giaddr: '0.0.0.0' };
  const made: DhcpPacket = {
    ...unset,
    op: 1,
    htype: 1,
    hlen: 6,
    hops: 0,
    xid: 7,
    secs: 0,
    flags: 0x8000,
    sname: '',
    file: '',
    chaddr: Buffer.concat([Buffer.from(mac.replaceAll(':', ''), 'hex'), Buffer.alloc(10)]),
    options: new Map([[DHCP_OPTION.messageType, Buffer.of(DHCP_MESSAGE[type])]]),
    ...fields,
  };
  for (const [name, value] of Object.entries(options)) {
    const code = Object.entries(DHCP_OPTION).find(([each]) => each === name)?.[1];
    if (code !== undefined) made.options.set(code, value);
  }
  return made;
}

function hex(packet: DhcpPacket): string {
  return encodeDhcp(packet).toString('hex');
}

function inSubnet99(bytes: string): boolean {
  return decodeDhcp(Buffer.from(bytes, 'hex')).yiaddr.startsWith('10.99.0.');
}
