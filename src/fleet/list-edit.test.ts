import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { addedBy, editOf, layList } from './list-edit.ts';

const names = fc.uniqueArray(fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f'));
const item = fc
  .tuple(fc.constantFrom('', '+', '-'), fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f'))
  .map(([sign, name]) => sign + name);
const list = fc.array(fc.oneof({ weight: 20, arbitrary: item }, fc.constant('-*')));

test('items with and without signs', () => {
  const cases: [string[], string[], string[]][] = [
    [['base'], ['web'], ['base', 'web']],
    [['base'], ['+web'], ['base', 'web']],
    [['base', 'web'], ['-base'], ['web']],
    [['base', 'web'], ['-*', 'own'], ['own']],
    [['base', 'web'], ['own', '-*'], ['own']],
    [['base', 'web'], ['base'], ['web', 'base']],
    [['base'], ['-absent'], ['base']],
    [['base'], ['+-b', '-b'], ['base', '-b']],
    [['base'], ['web', '+web', 'web'], ['base', 'web']],
  ];
  for (const [below, layer, expected] of cases) assert.deepEqual(layList(below, layer), expected);
});

test('what is added is there, in its order, last; what is taken is gone; all else is as it was', () => {
  fc.assert(
    fc.property(names, list, (below, layer) => {
      const result = layList(below, layer);
      const added = addedBy(layer);
      assert.deepEqual(result.slice(result.length - added.length), added);
      const taken = new Set(layer.map(editOf).flatMap(({ kind, name }) => (kind === 'take' ? [name] : [])));
      const kept = result.slice(0, result.length - added.length);
      const expected = taken.has('*')
        ? []
        : below.filter((name) => !taken.has(name) && !added.includes(name));
      assert.deepEqual(kept, expected);
    }),
  );
});

test('no name stands twice, none has a sign, and the same layer once more changes nothing', () => {
  fc.assert(
    fc.property(fc.array(list), list, (layers, last) => {
      const once = [...layers, last].reduce<string[]>(layList, []);
      assert.equal(new Set(once).size, once.length);
      assert.ok(once.every((name) => /^[a-f]$/.test(name)));
      assert.deepEqual(layList(once, last), once);
    }),
  );
});
