import assert from 'node:assert/strict';
import { test } from 'node:test';
import { networkInterfaces } from 'node:os';
import { run } from '../src/system/run.ts';
import { OBSERVER, Segment, namespacesOf, removeSegment } from './segment.ts';

const lab = `segment-${process.pid}`;

test('hosts and the observer reach each other, nobody else reaches them, and nothing is left', async (t) => {
  t.after(async () => await removeSegment(lab));
  const before = Object.keys(networkInterfaces());
  const segment = new Segment(lab);
  await segment.claim();
  await segment.build('10.231.7.1/24');
  await segment.addHost('one', 'host0', '10.231.7.11/24');
  await segment.addHost('two', 'host1', '10.231.7.12/24');
  await segment.addTap('tap0');

  const ping = async (from: string, to: string): Promise<string> =>
    (await segment.exec(from, 'busybox', ['ping', '-c', '1', '-W', '2', to])).stdout;
  assert.match(await ping('one', '10.231.7.12'), /1 packets received/);
  assert.match(await ping('two', '10.231.7.1'), /1 packets received/);
  assert.match(await ping(OBSERVER, '10.231.7.11'), /1 packets received/);

  assert.deepEqual(Object.keys(networkInterfaces()), before, 'no device in our own namespace');
  const { stdout: route } = await run('ip', ['route', 'get', '10.231.7.11']).catch(() => ({ stdout: '' }));
  assert.doesNotMatch(route, /bridge|tap|host/);
  const { stdout: ipv6 } = await segment.exec('one', 'ip', ['-6', 'address']);
  assert.equal(ipv6, '', 'no IPv6 chatter');

  await assert.rejects(new Segment(lab).claim(), { code: 'LAB_NAME_TAKEN' });
  assert.deepEqual(await namespacesOf(`${lab}-other`), [], 'a name that begins alike is another lab');

  await removeSegment(lab);
  assert.deepEqual(await namespacesOf(lab), []);
});

test('a pulled cable stays pulled until it is put back', async (t) => {
  t.after(async () => await removeSegment(`${lab}-link`));
  const segment = new Segment(`${lab}-link`);
  await segment.claim();
  await segment.build('10.231.7.1/24');
  await segment.addTap('tap0');
  const flags = async (): Promise<string> =>
    (await segment.exec(OBSERVER, 'ip', ['-o', 'link', 'show', 'tap0'])).stdout;
  await segment.setLink('tap0', 'down');
  assert.match(await flags(), /state DOWN/);
  await segment.setLink('tap0', 'up');
  assert.match(await flags(), /[<,]UP[,>]/);
});
