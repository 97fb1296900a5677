import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import {
  freeSlot,
  readBladeState,
  requireNotOlder,
  slotWith,
  writeBladeState,
  type BladeState,
} from './state.ts';

const installed = '2026-01-02T03:04:05.000Z';
type Slots = BladeState['slots'];

function stateWith(slots: Slots): BladeState {
  return { name: 'web01', roots: ['http://10.0.0.1:8067'], slots };
}

/** Every state that two slots can be in, with releases that are older, the same and newer. */
function allStates(): Slots[] {
  const one = [
    undefined,
    ...[1, 2].flatMap((release) => [true, false].map((good) => ({ release, installed, good }))),
  ];
  return one.flatMap((a) => one.map((b) => ({ ...(a && { a }), ...(b && { b }) })));
}

test('the slot to install into is never the good one while the other is unproven, and the older of two equals', () => {
  assert.equal(freeSlot(undefined), 'a');
  assert.equal(allStates().length, 25);
  for (const slots of allStates()) {
    const free = freeSlot(stateWith(slots));
    const other = free === 'a' ? 'b' : 'a';
    const said = JSON.stringify(slots);
    if (slots[free] === undefined) continue;
    assert.ok(slots[other] !== undefined, `an empty slot comes first: ${said}`);
    if (slots[free].good) assert.ok(slots[other].good, said);
    if (slots[free].good === slots[other].good) assert.ok(slots[free].release <= slots[other].release, said);
  }
});

test('a slot that holds a release is found, and none where there is none', () => {
  for (const slots of allStates()) {
    for (const release of [1, 2, 3]) {
      const slot = slotWith(stateWith(slots), release);
      if (slot === undefined) assert.ok(slots.a?.release !== release && slots.b?.release !== release);
      else assert.equal(slots[slot]?.release, release);
    }
  }
  assert.equal(slotWith(undefined, 1), undefined);
});

test('of two slots with one release, the one that was deployed again is started, the other is free', () => {
  const [before, after] = ['2026-01-02T03:04:05.000Z', '2026-01-03T03:04:05.000Z'];
  for (const again of ['a', 'b'] as const) {
    const other = again === 'a' ? 'b' : 'a';
    const state = stateWith({
      [again]: { release: 4, installed: after, good: true },
      [other]: { release: 4, installed: before, good: true },
    });
    assert.equal(slotWith(state, 4), again);
    assert.equal(freeSlot(state), other);
  }
});

async function scratch(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'bladeroot-state-'));
  t.after(async () => await rm(directory, { recursive: true, force: true }));
  return directory;
}

test('what was written is read, nothing is left beside it, and a new blade has no state', async (t) => {
  const directory = join(await scratch(t), 'bladeroot');
  assert.equal(await readBladeState(directory), undefined);
  for (const slots of allStates()) {
    await writeBladeState(directory, stateWith(slots));
    assert.deepEqual(await readBladeState(directory), stateWith(slots));
  }
  assert.deepEqual(await readdir(directory), ['blade.json']);
});

test('what a newer program has written is read, and stays when it is written again', async (t) => {
  const directory = await scratch(t);
  const slots = { a: { release: 1, installed, good: true, checked: 'twice' } };
  const newer = {
    ...stateWith(slots),
    bad: [{ release: 2, reason: 'hot', at: installed, by: 'x' }],
    disks: 2,
  };
  await writeFile(join(directory, 'blade.json'), JSON.stringify(newer));
  const state = (await readBladeState(directory)) ?? assert.fail();
  await writeBladeState(directory, { ...state, slots: { ...state.slots } });
  assert.deepEqual(await readBladeState(directory), newer);
});

test('a damaged state is said to be so, and what can be done', async (t) => {
  const directory = await scratch(t);
  const good = JSON.stringify(stateWith({}));
  for (const text of ['', '{', '{}', good.slice(0, -1), good.replace('"slots":{}', '"slots":{"c":{}}')]) {
    await writeFile(join(directory, 'blade.json'), text);
    await assert.rejects(readBladeState(directory), { code: 'BLADE_STATE', hint: /remove it/ });
  }
});

test('a release older than any that the blade has is refused, whichever slot that is in; the same or a newer one is not', () => {
  for (const slots of allStates()) {
    const newest = Math.max(0, slots.a?.release ?? 0, slots.b?.release ?? 0);
    for (const release of [1, 2, 3]) {
      const look = (): void => requireNotOlder(stateWith(slots), release, 'http://10.0.0.9:8067');
      if (release >= newest) look();
      else assert.throws(look, { code: 'RELEASE_OLDER', message: /http:\/\/10\.0\.0\.9:8067 has release 1/ });
    }
  }
  requireNotOlder(undefined, 1, 'http://10.0.0.9:8067');
});

test('a release that pins this blade to an older one counts, whatever the slots hold', () => {
  const slots = { a: { release: 1, installed, good: true } };
  const state = { ...stateWith(slots), newest: 3 };
  for (const sequence of [3, 4]) requireNotOlder(state, sequence, 'http://10.0.0.9:8067');
  assert.throws(() => requireNotOlder(state, 2, 'http://10.0.0.9:8067'), {
    code: 'RELEASE_OLDER',
    message: /has release 2, and this blade has had 3/,
  });
});
