/** What the root knows of slots, and going back: `blade status`, `blade rollback`. */
import assert from 'node:assert/strict';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { UpdateReport, UpReport } from '../src/events/catalogue.ts';
import { openDatabase } from '../src/state/database.ts';
import { EventRepository } from '../src/state/events.ts';
import { NextBoots } from '../src/state/next-boots.ts';
import { place, type Place } from './bladeroot.fixture.ts';

const FLEET = `name: lab
network: { subnet: 10.77.0.0/24 }
blades:
  web01: { mac: '52:54:00:77:00:11', address: 10.77.0.11 } # the first
  web02: { mac: '52:54:00:77:00:12', address: 10.77.0.12 }
  web03: { mac: '52:54:00:77:00:13', address: 10.77.0.13 }
`;

const nginx = { release: 5, reason: 'services: nginx.service failed' };

/** web01 has gone from release 3 to 4; web02 has fallen back from 5 to 4. */
async function seenPlace(t: Parameters<typeof place>[0]): Promise<Place> {
  const found = await place(t, { 'fleet.yaml': FLEET });
  await mkdir(found.state, { recursive: true });
  const database = openDatabase(found.state);
  const events = new EventRepository(database);
  const up = (blade: string, release: number, bad?: UpReport['bad']): number =>
    events.append(
      {
        type: 'blade.up',
        blade,
        boot: `boot-${blade}-${release}`,
        release,
        slot: 'a',
        from: 'disk',
        services: 'running',
        ...(bad === undefined ? {} : { bad }),
      },
      Date.parse('2026-11-23T03:04:05Z') + release,
    );
  up('web01', 3);
  up('web01', 4);
  up('web01', 4);
  up('web02', 4);
  up('web02', 4, nginx);
  database.close();
  return found;
}

test('status tells what each blade runs, and which release was bad there and why', async (t) => {
  const { bladeroot } = await seenPlace(t);
  const { stdout, stderr } = await bladeroot(['blade', 'status']);
  const lines = stdout.trimEnd().split('\n');
  assert.match(lines[1] ?? stderr, /^web01 +4 +a \(disk\) +2026-\S+ \S+ +running *$/);
  assert.match(lines[2] ?? '', /^web02 +4 .* running +5: services: nginx\.service failed$/);
  assert.match(lines[3] ?? '', /^web03 +never seen *$/);
});

test('status tells what a blade has prepared since it came up, and what was asked of it', async (t) => {
  const { bladeroot, state } = await seenPlace(t);
  const database = openDatabase(state);
  const events = new EventRepository(database);
  const update = (blade: string, how: UpdateReport['state'], message: string): number =>
    events.append(
      { type: 'blade.update', blade, boot: 'b', state: how, release: 5, slot: 'b', message },
      Date.parse('2026-11-23T04:00:00Z'),
    );
  update('web01', 'started', 'bringing slot b to release 5');
  update('web01', 'ready', 'release 5 is in slot b');
  update('web02', 'failed', 'no space left');
  new NextBoots(database).put('web03', 'rescue', 0);
  database.close();
  const lines = (await bladeroot(['blade', 'status'])).stdout.trimEnd().split('\n');
  assert.match(lines[1] ?? '', /^web01 +4 .* running +5 in b *$/);
  assert.match(lines[2] ?? '', /^web02 +4 .* running +5 failed: no space left +5: services/);
  assert.match(lines[3] ?? '', /^web03 +never seen +rescue system *$/);
});

test('rollback pins a blade to the release that it ran before, and one that has fallen back to where it is', async (t) => {
  const { bladeroot, fleet } = await seenPlace(t);
  const back = async (blade: string): Promise<string> => {
    const { status, stdout, stderr } = await bladeroot(['blade', 'rollback', blade, '-y', '--no-publish']);
    return status === 0 ? stdout : stderr;
  };
  assert.match(await back('web01'), /^web01 is pinned to release 3; /);
  assert.match(await back('web02'), /^web02 is pinned to release 4; /);
  assert.match(await back('web03'), /not seen web03 up with another release/);
  const text = await readFile(join(fleet, 'fleet.yaml'), 'utf8');
  assert.match(text, /web01: \{.* pin: 3 \} # the first\n/);
  assert.match(text, /web02: \{.* pin: 4 \}\n/);
});

test('rollback takes several blades back by one release; where one of them cannot go back, none does', async (t) => {
  const { bladeroot, fleet } = await seenPlace(t);
  const before = await readFile(join(fleet, 'fleet.yaml'), 'utf8');
  const all = await bladeroot(['blade', 'rollback', '@all', '-y', '--no-publish']);
  assert.match(all.stderr, /not seen web03 up with another release/);
  assert.equal(await readFile(join(fleet, 'fleet.yaml'), 'utf8'), before);

  const { stdout, stderr } = await bladeroot([
    'blade',
    'rollback',
    '@all',
    '!web03',
    '-y',
    '--no-publish',
    '--json',
  ]);
  assert.deepEqual(stdout === '' ? stderr : JSON.parse(stdout), [
    { blade: 'web01', pin: 3 },
    { blade: 'web02', pin: 4 },
  ]);
  assert.match(await readFile(join(fleet, 'fleet.yaml'), 'utf8'), /web01: .*pin: 3 .*\n.*web02: .*pin: 4 /);
});
