/** `bladeroot doctor`, on a wire with what usually goes wrong. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readdir, rm, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { folderOf } from '../src/fleet/folder.fixture.ts';
import type { Finding } from '../src/daemon/doctor/finding.ts';
import { blobOf } from '../src/release/release.fixture.ts';
import { blobPath } from '../src/store/layout.ts';
import { startPiped } from '../src/system/run.ts';
import { place } from './bladeroot.fixture.ts';
import { needsRoot, SERVED, Serving, stateWithRelease, WIRE, Wire } from './serve.fixture.ts';

const options = { skip: needsRoot, timeout: 60_000 };

interface Seen {
  status: number | null;
  level(check: string): string | undefined;
  find(check: string): Finding;
}

async function doctor(t: TestContext, wire: Wire, state: string): Promise<Seen> {
  const { bladeroot } = await place(t);
  const { status, stdout, stderr } = await bladeroot(['doctor', '--json', '--state', state], wire.server);
  assert.equal(stderr, '');
  const { good, findings }: { good: boolean; findings: Finding[] } = JSON.parse(stdout);
  assert.equal(status, good ? 0 : 1);
  const find = (check: string): Finding => {
    const found = findings.find((finding) => finding.check === check);
    assert.ok(found !== undefined, `${check} in ${stdout}`);
    assert.ok(found.level === 'ok' || (found.hint ?? '') !== '', `${check} says how to mend it`);
    return found;
  };
  return { status, find, level: (check) => findings.find((finding) => finding.check === check)?.level };
}

/** dnsmasq as the DHCP server of somebody else, on the client's side of the wire. */
async function startDnsmasq(t: TestContext, wire: Wire, ...more: string[]): Promise<void> {
  const directory = await folderOf(t, {});
  await wire.inClient('ip', 'address', 'add', '10.99.0.2/24', 'dev', WIRE.client);
  const args = [
    '--keep-in-foreground',
    '--port=0',
    '--no-ping',
    '--conf-file=/dev/null',
    '--user=root',
    '--log-facility=-',
    '--log-dhcp',
  ];
  const started = Promise.withResolvers<void>();
  const child = startPiped(
    'ip',
    [
      'netns',
      'exec',
      wire.client,
      'dnsmasq',
      ...args,
      `--interface=${WIRE.client}`,
      `--dhcp-leasefile=${directory}/leases`,
      ...more,
    ],
    { onStderr: (text) => /sockets bound|DHCP, /.test(text) && started.resolve() },
  );
  t.after(async () => {
    child.kill('SIGTERM');
    await child.done.catch(() => undefined);
  });
  await Promise.race([started.promise, child.done]);
}

test('where all is well nothing fails, before serve is started and while it runs', options, async (t) => {
  const [wire, state] = [await Wire.make(t), await stateWithRelease(t)];
  const before = await doctor(t, wire, state);
  assert.equal(before.status, 0);
  assert.match(before.find('udp port 67').message, /^free/);
  assert.match(before.find('interface').message, /wire0 has 10\.99\.0\.1 .*link/);
  assert.equal(before.level('other DHCP servers'), 'ok');

  const serving = await Serving.start(wire, state);
  t.after(() => serving.stop());
  const during = await doctor(t, wire, state);
  assert.equal(during.status, 0);
  for (const port of ['udp port 67', 'udp port 69', 'tcp port 8067']) {
    assert.match(during.find(port).message, /^bladeroot serve answers/, port);
  }
  assert.equal(during.level('other DHCP servers'), 'ok');
});

test(
  'another DHCP server on the wire is found, with its address, also while serve answers',
  options,
  async (t) => {
    const [wire, state] = [await Wire.make(t), await stateWithRelease(t)];
    await startDnsmasq(t, wire, '--dhcp-range=10.99.0.100,10.99.0.120');
    const serving = await Serving.start(wire, state);
    t.after(() => serving.stop());
    const found = (await doctor(t, wire, state)).find('other DHCP servers');
    assert.equal(found.level, 'warning');
    assert.match(found.message, /on wire0, 10\.99\.0\.2 gives out addresses \(such as 10\.99\.0\.1[012]\d\)/);
  },
);

test('a PXE proxy on the wire is told apart from a server of addresses', options, async (t) => {
  const [wire, state] = [await Wire.make(t), await stateWithRelease(t)];
  await startDnsmasq(t, wire, '--dhcp-range=10.99.0.0,proxy', '--pxe-service=7,boot,loader.efi,10.99.0.2');
  const found = (await doctor(t, wire, state)).find('other DHCP servers');
  assert.match(found.message, /10\.99\.0\.2 is a PXE proxy/);
});

test('a port that is taken is told with who took it', options, async (t) => {
  const [wire, state] = [await Wire.make(t), await stateWithRelease(t)];
  const child = startPiped('ip', ['netns', 'exec', wire.server, 'python3', '-c', TAKE_TFTP]);
  t.after(() => child.kill('SIGKILL'));
  await once(child.stdout, 'data');
  const seen = await doctor(t, wire, state);
  assert.equal(seen.status, 1);
  assert.match(seen.find('udp port 69').message, new RegExp(`python3\\S* \\(pid ${child.pid}\\) listens`));
  assert.equal(seen.level('udp port 67'), 'ok');
});

const TAKE_TFTP = `
import socket, sys, time
taken = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
taken.bind(("0.0.0.0", 69))
print("taken", flush=True)
time.sleep(60)
`;

test('an interface without a link, and one in another subnet', options, async (t) => {
  const [wire, state] = [await Wire.make(t), await stateWithRelease(t)];
  await wire.inClient('ip', 'link', 'set', WIRE.client, 'down');
  // The kernel tells the other end within a second.
  const untilTold = `while ip link show dev ${WIRE.server} | grep -q 'state UP'; do sleep 0.05; done`;
  await wire.inServer('sh', '-c', untilTold);
  const down = await doctor(t, wire, state);
  assert.equal(down.status, 1);
  assert.match(down.find('interface').message, /wire0 \(10\.99\.0\.1\) has no link/);
  await wire.inServer('ip', 'address', 'flush', 'dev', WIRE.server);
  await wire.inServer('ip', 'address', 'add', '192.0.2.1/24', 'dev', WIRE.server);
  assert.match(
    (await doctor(t, wire, state)).find('interface').message,
    /no interface has an address .*10\.99\.0\.0\/24/,
  );
});

test('a firewall that lets no boot in', options, async (t) => {
  const [wire, state] = [await Wire.make(t), await stateWithRelease(t)];
  await wire.inServer(
    'nft',
    'add table inet f; add chain inet f i { type filter hook input priority 0; policy drop; }',
  );
  assert.match((await doctor(t, wire, state)).find('firewall').message, /DHCP \(udp 67\), TFTP.*HTTP/);
  await wire.inServer(
    'nft',
    'add rule inet f i udp dport { 67, 69, 4011 } accept; add rule inet f i tcp dport 8067 accept',
  );
  assert.equal((await doctor(t, wire, state)).level('firewall'), 'ok');
});

test(
  'files of the release that are missing or cut off, which serve says as well, and no release at all',
  options,
  async (t) => {
    const [wire, state] = [await Wire.make(t), await stateWithRelease(t)];
    const blob = (content: string): string => join(state, 'store', blobPath(blobOf(content).digest));
    await rm(blob(SERVED.loader));
    await truncate(blob(SERVED.kernel), 3);
    const { message } = (await doctor(t, wire, state)).find('files');
    assert.match(message, /kernel .* has 3 bytes and not 8.*undionly\.kpxe .* is missing/);
    await assert.rejects(Serving.start(wire, state), ({ message: said }: Error) => {
      assert.match(
        said,
        /release 1 cannot be served: kernel \(\S+\) has 3 bytes.*undionly\.kpxe \(\S+\) is missing; /,
      );
      assert.match(said, /snapshot verify --repair-from http:\/\/OTHER:8067\/store.*release publish/);
      return true;
    });
    for (const name of await readdir(join(state, 'releases'))) await rm(join(state, 'releases', name));
    assert.match((await doctor(t, wire, state)).find('release').hint ?? '', /release publish/);
    const empty = await folderOf(t, {});
    assert.match((await doctor(t, wire, empty)).find('release').hint ?? '', /bladeroot init/);
    assert.match((await doctor(t, wire, join(empty, 'nosuch'))).find('disk').message, /no state directory/);
  },
);

test('for people: a line for each check, and below it what to do', options, async (t) => {
  const [wire, state] = [await Wire.make(t), await stateWithRelease(t)];
  const { bladeroot } = await place(t);
  const { status, stdout } = await bladeroot(['doctor', '--state', state, '--user', 'nosuch'], wire.server);
  assert.equal(status, 1);
  assert.match(stdout, /^ok {7}release: release 1 for 1 blade, its signature is good$/m);
  assert.match(stdout, /^failure {2}user: there is no user nosuch.*\n {9}useradd .* nosuch$/m);
  assert.match(stdout, /\n\n1 failure, 1 warning\n$/);
});
