/** A release that adds a network, taken up by a `bladeroot serve` that runs. */
import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { readPrivateKey, readPublicKey } from '../src/release/keys.ts';
import { sampleRelease } from '../src/release/release.fixture.ts';
import { ReleaseRepository } from '../src/release/repository.ts';
import { needsRoot, SERVED, Serving, stateWithRelease, WIRE, Wire } from './serve.fixture.ts';

const SECOND = {
  address: '10.98.0.1',
  subnet: '10.98.0.0/24',
  blade: '10.98.0.12',
  mac: '52:54:00:00:00:0c',
};

/** A root with an address in a network that its first release does not have. */
async function start(t: TestContext, ...args: string[]) {
  const [wire, state] = [await Wire.make(t), await stateWithRelease(t)];
  await wire.inServer('ip', 'address', 'add', `${SECOND.address}/24`, 'dev', WIRE.server);
  const serving = await Serving.start(wire, state, { args });
  t.after(() => serving.stop());
  return { wire, state, serving };
}

/** Puts a release with the second network, and a blade there, where `release publish` puts it. */
async function addNetwork(state: string): Promise<void> {
  const releases = new ReleaseRepository(state, await readPublicKey(state));
  const before = (await releases.current())?.statement ?? assert.fail('no release');
  const [web01 = assert.fail('no blade')] = before.blades;
  const web02 = { ...web01, name: 'web02', mac: SECOND.mac, address: SECOND.blade };
  const network = { dns: [], mode: 'server' as const };
  const release = sampleRelease(await readPrivateKey(state), {
    ...before,
    sequence: before.sequence + 1,
    blades: [web01, web02],
    networks: [
      { ...network, name: 'main', subnet: '10.99.0.0/24' },
      { ...network, name: 'rack2', subnet: SECOND.subnet },
    ],
  });
  await releases.put(release);
}

/** What web02 gets from the second network: its lease, then a file by its URL. */
async function askAsWeb02(wire: Wire): Promise<string> {
  await wire.inClient('ip', 'link', 'set', WIRE.client, 'address', SECOND.mac);
  const lease = ['udhcpc', '-f', '-q', '-n', '-i', WIRE.client, '-s', '/bin/true'];
  const { stderr } = await wire.inClient('busybox', ...lease);
  await wire.inClient('ip', 'address', 'add', `${SECOND.blade}/24`, 'dev', WIRE.client);
  return stderr;
}

test(
  'a network that a later release adds is served by DHCP, TFTP and HTTP without a restart',
  { skip: needsRoot, timeout: 60_000 },
  async (t) => {
    const { wire, state } = await start(t, '--user', 'root');
    await addNetwork(state);
    assert.match(await askAsWeb02(wire), /lease of 10\.98\.0\.12 obtained from 10\.98\.0\.1/);
    const loader = await wire.inClient('curl', '-sS', `tftp://${SECOND.address}/undionly.kpxe`);
    assert.equal(loader.stdout, SERVED.loader);
    const script = `http://${SECOND.address}:8067/boot/web02/script.ipxe`;
    assert.match((await wire.inClient('curl', '-sSf', script)).stdout, /release 2/);
  },
);

test(
  'a root that has given up its rights says which network it does not serve and what to do, and serves the others with the new release',
  { skip: needsRoot, timeout: 60_000 },
  async (t) => {
    const { wire, state, serving } = await start(t);
    await addNetwork(state);
    const event = await serving.until('root.not-serving');
    assert.match(
      'message' in event ? String(event.message) : '',
      /^release 2 has network .*rack2 \(10\.98\.0\.0\/24\) on wire0, .*given up the right to open its ports; restart it, as with `systemctl restart bladeroot-root`$/,
    );
    await wire.inClient('ip', 'address', 'add', `${WIRE.bladeAddress}/24`, 'dev', WIRE.client);
    const script = `http://${WIRE.address}:8067/boot/web01/script.ipxe`;
    assert.match((await wire.inClient('curl', '-sSf', script)).stdout, /release 2/);
    const refused = await wire
      .inClient('curl', '-sS', '--max-time', '5', `http://${SECOND.address}:8067/api/v1/status`)
      .catch(String);
    assert.match(String(refused), /refused|unreachable|[Ff]ailed to connect/, 'nothing half open');
  },
);
