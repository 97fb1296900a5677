import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { thinIcuData } from './icu-data.ts';

type Items = readonly (readonly [name: string, data: Buffer])[];

const BEFORE = Buffer.from('a program\0\0\0');
const HEADER_BYTES = 32;
const BEHIND = Buffer.from('the rest of the program');

const aligned = (length: number): number => Math.ceil(length / 16) * 16;

/** A program with these items, as ICU's own tools lay them out. */
function programWith(items: Items): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt16LE(HEADER_BYTES);
  header.write('da271400000000000200436d6e4401000000', 2, 'hex');
  const names = items.map(([name]) => Buffer.from(`icudt78l/${name}\0`));
  const table = Buffer.alloc(4 + 8 * items.length);
  table.writeUInt32LE(items.length);
  let nameOffset = table.length;
  const start = aligned(names.reduce((sum, { length }) => sum + length, table.length));
  let dataOffset = start;
  for (const [index, [, data]] of items.entries()) {
    table.writeUInt32LE(nameOffset, 4 + 8 * index);
    table.writeUInt32LE(dataOffset, 8 + 8 * index);
    nameOffset += names[index]?.length ?? 0;
    dataOffset += aligned(data.length);
  }
  const head = Buffer.concat([table, ...names]);
  const padding = Buffer.alloc(start - head.length);
  const contents = items.map(([, data]) =>
    Buffer.concat([data, Buffer.alloc(aligned(data.length) - data.length)]),
  );
  return Buffer.concat([BEFORE, header, head, padding, ...contents, BEHIND]);
}

/** As ICU finds them: the data of each begin where the table says. */
function itemsIn(program: Buffer): Map<string, Buffer> {
  const start = BEFORE.length + HEADER_BYTES;
  const found = new Map<string, Buffer>();
  for (let index = 0; index < program.readUInt32LE(start); index++) {
    const name = start + program.readUInt32LE(start + 4 + 8 * index);
    const data = program.subarray(start + program.readUInt32LE(start + 8 + 8 * index));
    found.set(program.toString('latin1', name, program.indexOf(0, name)).replace('icudt78l/', ''), data);
  }
  return found;
}

const items = fc
  .dictionary(
    fc.stringMatching(/^[a-z]{1,9}\.res$/),
    fc.uint8Array({ minLength: 1, maxLength: 60 }).map((bytes) => Buffer.from(bytes)),
    { maxKeys: 12, noNullPrototype: true },
  )
  .map((named) => Object.entries(named).sort(([a], [b]) => (a < b ? -1 : 1)));

test('what is kept is found as before, all else is not, and the program is as long and otherwise the same', () => {
  fc.assert(
    fc.property(items, fc.func(fc.boolean()), (all, keep) => {
      const program = programWith(all);
      const thinned = thinIcuData(program, keep);
      const kept = all.filter(([name]) => keep(name));
      const found = itemsIn(thinned);
      assert.deepEqual([...found.keys()], all.length === 0 ? [] : kept.map(([name]) => name));
      for (const [name, data] of kept) assert.deepEqual(found.get(name)?.subarray(0, data.length), data);
      assert.equal(thinned.length, program.length);
      assert.deepEqual(thinned.subarray(-BEHIND.length), BEHIND);
      assert.deepEqual(thinned.subarray(0, BEFORE.length), BEFORE);
    }),
  );
});

test('data that do not look as they should are left alone', () => {
  const program = programWith([
    ['a.res', Buffer.from('first')],
    ['b.res', Buffer.from('second')],
  ]);
  const table = BEFORE.length + HEADER_BYTES;
  for (const [at, wrong] of [
    [table, 0xffff_ffff],
    [table + 4, 0],
    [table + 8, 0xffff_fff0],
    [table + 16, 4],
  ] as const) {
    const damaged = Buffer.from(program);
    damaged.writeUInt32LE(wrong, at);
    assert.equal(
      thinIcuData(damaged, () => false),
      damaged,
    );
  }
  assert.equal(
    thinIcuData(BEHIND, () => false),
    BEHIND,
  );
});
