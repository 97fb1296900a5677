import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { folderOf } from '../fleet/folder.fixture.ts';
import type { DhcpOffer } from '../serve/dhcp-answer.ts';
import { CLIENT, cannotMakeSegment, Segment, type Servers } from '../serve/segment.fixture.ts';
import { renewAddress } from './renew-address.ts';

const OURS = new URL('renew-address.ts', import.meta.url).pathname;
const UDHCPC_SCRIPT = new URL('../initrd/udhcpc.sh', import.meta.url);

describe('with the udhcpc of the initrd on a wire of its own', { skip: cannotMakeSegment }, () => {
  const segment = new Segment('renew');
  let servers: Servers | undefined;

  const serve = async (address: string): Promise<void> => {
    await servers?.stop();
    const offer: DhcpOffer = {
      address,
      subnetMask: '255.255.255.0',
      dns: [],
      hostName: 'x',
      leaseSeconds: 600,
    };
    servers = await segment.startServers({ offers: { [CLIENT.mac]: offer }, files: {} });
  };

  before(async () => await segment.create());
  after(async () => {
    await servers?.stop();
    await segment.remove();
  });

  test('the address from the pool is given back, and the own one of the blade takes its place', async (t) => {
    await serve('10.99.0.200');
    const folder = await folderOf(t, { script: await readFile(UDHCPC_SCRIPT, 'utf8') });
    const pidFile = join(folder, 'udhcpc.pid');
    const udhcpc = `RESOLV_CONF='${folder}/resolv.conf' udhcpc -i ${CLIENT.interface} -n -t 5 -T 2 -p '${pidFile}' -s '${folder}/script'`;
    await segment.runClient('bash', ['-c', `${udhcpc} > /dev/null 2>&1`]);
    const addresses = async (): Promise<string> =>
      (await segment.runClient('ip', ['-4', '-o', 'address', 'show', 'dev', CLIENT.interface])).stdout;
    try {
      assert.match(await addresses(), /inet 10\.99\.0\.200\/24/);

      await serve('10.99.0.11');
      const program = `import { renewAddress } from '${OURS}'; console.log(await renewAddress('${pidFile}'));`;
      const { stdout } = await segment.runClient(process.execPath, ['--input-type=module', '-e', program]);
      assert.equal(stdout, '10.99.0.11\n');
      assert.match(await addresses(), /inet 10\.99\.0\.11\/24/);
      assert.doesNotMatch(await addresses(), /10\.99\.0\.200/);
    } finally {
      // It writes down its number anew when it goes into the background.
      process.kill(Number(await readFile(pidFile, 'utf8')));
    }
  });
});

test('where no udhcpc keeps the address, it stays as it is', async (t) => {
  assert.equal(await renewAddress(join(await folderOf(t, {}), 'none.pid')), undefined);
  const stale = join(await folderOf(t, { pid: '4194305\n' }), 'pid');
  assert.equal(await renewAddress(stale), undefined);
});
