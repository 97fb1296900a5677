/**
 * Makes the fixtures in src/net/captures: what real firmware and real clients ask a root, as they asked it in the lab.
 *   npm run capture            all of them, in some minutes
 *   npm run capture udhcpc ... only these
 * Beside each stands how tcpdump reads the same packets, so that our codec is not its own judge.
 */
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { OBSERVER } from '../../lab/segment.ts';
import type { MachineRequest } from '../../lab/state.ts';
import { run } from '../../src/system/run.ts';
import { FirmwareLab, NEAR, type FirmwareBlade } from '../stories/firmware.fixture.ts';
import { requestsIn, tcpdumpReading } from './packets.fixture.ts';

const CAPTURES = fileURLToPath(new URL('../../src/net/captures/', import.meta.url));
const CLIENT_HOST = 'client';
const BOOT_MS = 90_000;
const CLIENT_MS = 20_000;

const MACHINES: Record<string, Partial<MachineRequest>> = {
  'ipxe-rom': {},
  'plain-rom': { netboot: 'chained-ipxe' },
  'ovmf-pxe': { firmware: 'uefi', netboot: 'uefi-pxe' },
  'ovmf-http': { firmware: 'uefi', netboot: 'uefi-http' },
  'ipxe-efi-rom': { firmware: 'uefi' },
};

/** Each takes an address once, and ends; their leases go to a directory that is thrown away. */
const CLIENTS: Record<string, (directory: string) => string> = {
  udhcpc: () => 'udhcpc -i eth0 -f -q -n -s /bin/true',
  dhclient: (at) =>
    `dhclient -4 -1 -sf /bin/true -lf ${at}/leases -pf ${at}/pid eth0 && kill $(cat ${at}/pid)`,
  dhcpcd: () =>
    'mount -t tmpfs none /var/lib/dhcpcd && mount -t tmpfs none /run && timeout 15 dhcpcd -4 -1 -B -c /bin/true eth0',
};

const wanted = process.argv.slice(2);
const chosen = (name: string): boolean => wanted.length === 0 || wanted.includes(name);
const over = new AbortController();
const names = [...Object.keys(MACHINES), ...Object.keys(CLIENTS)];
const blades = names.map((name, at): FirmwareBlade => {
  const number = at + 1;
  return {
    name,
    mac: `52:54:00:77:02:0${number}`,
    address: `10.77.0.4${number}`,
    machine: MACHINES[name] ?? {},
  };
});
const firmware = await FirmwareLab.create({
  name: 'capture',
  signal: over.signal,
  blades,
  hosts: [{ name: CLIENT_HOST, address: '10.77.0.200/24' }],
});
const scratch = await mkdtemp(join(tmpdir(), 'bladeroot-capture-'));
try {
  await firmware.serve();
  await mkdir(CAPTURES, { recursive: true });
  for (const blade of blades.filter(({ name }) => chosen(name))) await capture(blade);
} finally {
  await firmware.lab.down();
  await rm(scratch, { recursive: true });
  over.abort();
}

async function capture({ name, mac }: FirmwareBlade): Promise<void> {
  const file = join(scratch, `${name}.pcap`);
  const filter = `ether host ${mac} and udp and (dst port 67 or dst port 69 or dst port 4011)`;
  const tcpdump = await firmware.lab.startProgram('tcpdump', {
    host: OBSERVER,
    program: 'tcpdump',
    args: ['-i', 'bridge', '--immediate-mode', '-U', '-w', file, filter],
  });
  await untilListening(tcpdump.stderrFile);
  await (CLIENTS[name] === undefined ? boots(name) : asks(name, mac, CLIENTS[name]));
  await tcpdump.stop();
  const requests = requestsIn(await readFile(file));
  if (requests.length === 0) throw new Error(`${name} asked nothing`);
  const { stdout } = await run('tcpdump', ['-r', file, '-n', '-vvv']);
  const lines = requests.map((request) => JSON.stringify(request));
  await writeFile(join(CAPTURES, `${name}.jsonl`), `${lines.join('\n')}\n`);
  await writeFile(
    join(CAPTURES, `${name}.golden.json`),
    `${JSON.stringify(tcpdumpReading(stdout), null, 2)}\n`,
  );
  process.stderr.write(`${name}: ${requests.length} requests to ${NEAR.root}\n`);
}

/** Until it has loaded a kernel; or, where it gets no further, for a while: what it asked is worth keeping all the same. */
async function boots(name: string): Promise<void> {
  const machine = firmware.lab.machine(name);
  await machine.powerOn();
  await firmware
    .until((event) => event.type === 'boot.kernel' && event.blade === name, AbortSignal.timeout(BOOT_MS))
    .catch((error: unknown) => process.stderr.write(`${name}: no kernel was asked for (${String(error)})\n`));
  await machine.cut();
}

async function asks(name: string, mac: string, command: (directory: string) => string): Promise<void> {
  const at = join(scratch, name);
  await mkdir(at);
  const { lab } = firmware;
  await lab.exec(CLIENT_HOST, 'ip', ['link', 'set', 'eth0', 'address', mac]);
  const signal = AbortSignal.timeout(CLIENT_MS);
  await lab
    .exec(CLIENT_HOST, 'unshare', ['--mount', 'sh', '-c', command(at)], { signal })
    .catch((error: unknown) => {
      process.stderr.write(`${name}: ${String(error)}\n`);
    });
}

/** tcpdump says so once it sees all that comes. */
async function untilListening(stderrFile: string): Promise<void> {
  for (let tries = 0; tries < 100; tries++) {
    const said = await readFile(stderrFile, 'utf8');
    // The file has the words of earlier runs as well: as often as it began, it must have said so.
    if (said.split('listening on').length - 1 > said.split('packets captured').length - 1) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error('tcpdump does not listen');
}
