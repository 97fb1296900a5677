/** The root is restarted while a machine boots: real clients go on by themselves. */
import assert from 'node:assert/strict';
import { open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { folderOf } from '../src/fleet/folder.fixture.ts';
import { blobOf } from '../src/release/release.fixture.ts';
import { sha256 } from '../src/store/digest.ts';
import { startPiped } from '../src/system/run.ts';
import { needsRoot, Serving, stateWithRelease, WIRE, Wire } from './serve.fixture.ts';

test(
  'serve restarted in the middle of a TFTP transfer: the client is told at once, asks again, and has the whole file',
  { skip: needsRoot, timeout: 60_000 },
  async (t) => {
    // 24,000 blocks: seconds.
    const loader = 'a loader. '.repeat(1_200_000);
    const [wire, state] = [await Wire.make(t), await stateWithRelease(t, loader)];
    await wire.inClient('ip', 'address', 'add', '10.99.0.50/24', 'dev', WIRE.client);
    const target = join(await folderOf(t, { loader: '' }), 'loader');
    const before = await Serving.start(wire, state);
    t.after(() => before.stop());
    const retries = ['--retry', '20', '--retry-all-errors', '--retry-delay', '1', '--tftp-blksize', '512'];
    const fetching = wire.inClient(
      'curl',
      '-sS',
      ...retries,
      '-o',
      target,
      `tftp://${WIRE.address}/undionly.kpxe`,
    );
    const file = await open(target);
    t.after(() => file.close());
    while ((await file.stat()).size === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    await before.stop();
    assert.equal(
      before.events.some(({ type }) => type === 'boot.loader'),
      false,
      'it was in the middle',
    );
    const again = await Serving.start(wire, state);
    t.after(() => again.stop());
    await fetching;
    await again.until('boot.loader');
    assert.equal(sha256(await readFile(target)), blobOf(loader).digest);
  },
);

test(
  'serve killed between OFFER and REQUEST: udhcpc repeats itself, and gets its address from the next one',
  { skip: needsRoot, timeout: 60_000 },
  async (t) => {
    const [wire, state] = [await Wire.make(t), await stateWithRelease(t)];
    const before = await Serving.start(wire, state);
    t.after(() => before.stop());
    let said = '';
    let heard = Promise.withResolvers<void>();
    const onStderr = (text: string): void => {
      said += text;
      heard.resolve();
      heard = Promise.withResolvers();
    };
    const untilSaid = async (pattern: RegExp): Promise<void> => {
      while (!pattern.test(said)) await heard.promise;
    };
    // Each is held while the other one does its part.
    process.kill(before.pid, 'SIGSTOP');
    const options = ['-f', '-q', '-t', '20', '-T', '2', '-A', '1', '-i', WIRE.client, '-s', '/bin/true'];
    const client = startPiped('ip', ['netns', 'exec', wire.client, 'busybox', 'udhcpc', ...options], {
      onStderr,
    });
    t.after(() => client.kill('SIGKILL'));
    await untilWaiting(before.pid, 67);
    client.kill('SIGSTOP');
    process.kill(before.pid, 'SIGCONT');
    await before.until('dhcp.offer');
    await before.stop('SIGKILL');
    client.kill('SIGCONT');
    await untilSaid(/broadcasting select for 10\.99\.0\.11/);
    assert.equal(
      before.events.some(({ type }) => type === 'dhcp.request'),
      false,
      'it was in between',
    );
    const again = await Serving.start(wire, state);
    t.after(() => again.stop());
    assert.match(await client.done, /lease of 10\.99\.0\.11 obtained/);
    await again.until('dhcp.ack');
  },
);

/** Resolves when something waits in a UDP socket of a process's namespace: rx_queue of /proc/net/udp (proc_pid_net(5)). */
async function untilWaiting(pid: number, port: number): Promise<void> {
  const local = `:${port.toString(16).toUpperCase().padStart(4, '0')} `;
  for (;;) {
    const lines = (await readFile(`/proc/${pid}/net/udp`, 'latin1')).split('\n');
    if (lines.some((line) => line.includes(local) && !/ [0-9A-F]{8}:0{8} /.test(line))) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
