import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { openDatabase } from './database.ts';
import { NextBoots } from './next-boots.ts';

async function nextBoots(t: TestContext): Promise<NextBoots> {
  const directory = await mkdtemp(join(tmpdir(), 'bladeroot-next-boots-'));
  const database = openDatabase(directory);
  t.after(async () => {
    database.close();
    await rm(directory, { recursive: true });
  });
  return new NextBoots(database);
}

function up(blade: string) {
  const from = 'network';
  return { type: 'blade.up', blade, boot: 'x', release: 1, slot: 'a', from, services: 'running' } as const;
}

function step(blade: string, state: 'started' | 'done') {
  return { type: 'blade.step', blade, boot: 'x', step: 'switch-root', state } as const;
}

test('a blade is to be deployed again until its agent has done so, whatever happens before', async (t) => {
  const asked = await nextBoots(t);
  assert.equal(asked.get('web01'), undefined);
  asked.put('web01', 'rescue', 1);
  asked.put('web01', 'deploy', 2);
  asked.put('web02', 'deploy', 3);
  asked.heard({ type: 'boot.initrd', blade: 'web01', done: 10, total: 10 });
  asked.heard(up('web01'));
  asked.heard(step('web01', 'started'));
  asked.heard(step('web03', 'done'));
  assert.equal(asked.get('web01'), 'deploy');
  asked.heard(step('web01', 'done'));
  assert.equal(asked.get('web01'), undefined);
  assert.equal(asked.get('web02'), 'deploy');
  assert.deepEqual([asked.remove('web02'), asked.remove('web02')], [true, false]);
});

test('a rescue is for one boot: the one for which kernel and initrd came whole', async (t) => {
  const asked = await nextBoots(t);
  asked.put('web01', 'rescue', 1);
  asked.heard({ type: 'boot.initrd', blade: 'web01', done: 9, total: 10 });
  asked.heard({ type: 'boot.kernel', blade: 'web01', done: 10, total: 10 });
  asked.heard(step('web01', 'done'));
  asked.heard(up('web01'));
  assert.equal(asked.get('web01'), 'rescue');
  asked.heard({ type: 'boot.initrd', blade: 'web01', done: 10, total: 10 });
  assert.equal(asked.get('web01'), undefined);
});
