import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { BladerootError } from '../errors.ts';
import { fieldNamed, fieldsOf, formatValue, leavesOf, NOUNS, parseValue } from './fields.ts';

test('every field of the schema has a name, a kind and a description', () => {
  for (const noun of NOUNS) {
    for (const { name, description } of fieldsOf(noun)) assert.notEqual(description, '', `${noun} ${name}`);
  }
  const kinds = Object.fromEntries(fieldsOf('blade').map(({ name, kind }) => [name, kind]));
  assert.equal(kinds['mac'], 'text');
  assert.equal(kinds['profile'], 'one-or-more');
  assert.equal(kinds['services.start'], 'list');
  assert.equal(kinds['boot.timeout'], 'number');
  assert.equal(kinds['vars'], 'map');
  assert.ok(fieldsOf('profile').some(({ name }) => name === 'extends'));
});

test('words mean what the field is', () => {
  const cases: [string, string[], unknown][] = [
    ['mac', ['52:54:00:12:34:56'], '52:54:00:12:34:56'],
    ['serial', ['4711'], '4711'],
    ['boot.timeout', ['5'], 5],
    ['boot.timeout', ['soon'], 'soon'],
    ['profile', ['web'], 'web'],
    ['profile', ['web', 'db'], ['web', 'db']],
    ['profile', ['[web]'], ['web']],
    ['kernelArgs', ['console=ttyS0,115200', 'quiet'], ['console=ttyS0,115200', 'quiet']],
    ['kernelArgs', ['[a, b]', 'c'], ['a', 'b', 'c']],
    ['services.start', [''], []],
    ['vars.rack', ['3'], 3],
    ['vars.rack', ['"3"'], '3'],
    ['vars.ports', ['[80, 443]'], [80, 443]],
    ['vars.on', ['true'], true],
  ];
  for (const [name, texts, value] of cases) {
    assert.deepEqual(parseValue(fieldNamed('blade', name), texts), value, `${name} ${texts.join(' ')}`);
  }
  assert.throws(() => parseValue(fieldNamed('blade', 'vars.x'), ['{ a']), { code: 'BAD_VALUE' });
});

test('a field that there is not is an error that names what was meant', () => {
  assert.throws(
    () => fieldNamed('blade', 'boot.timout'),
    (error) => error instanceof BladerootError && error.message.endsWith('did you mean boot.timeout?'),
  );
  assert.throws(() => fieldNamed('profile', 'mac'), { code: 'UNKNOWN_FIELD' });
});

test('what a blade says of itself is found by its fields, each variable by itself', () => {
  const entry = { mac: 'x', boot: { timeout: 5 }, services: {}, vars: { rack: 3, list: [1] } };
  assert.deepEqual(
    [...leavesOf('blade', entry)],
    [
      ['mac', 'x'],
      ['vars.rack', 3],
      ['vars.list', [1]],
      ['boot.timeout', 5],
    ],
  );
});

test('every value is read from its cell again', () => {
  const word = fc.oneof(
    fc.string({ minLength: 1 }),
    fc.constantFrom(
      '3',
      'true',
      'null',
      '[a]',
      '"x"',
      '- a',
      'a: b',
      '~',
      '0x10',
      ' a ',
      '#x',
      '1e3',
      '[',
      '!t',
    ),
  );
  const values: Record<string, fc.Arbitrary<unknown>> = {
    serial: word,
    'boot.timeout': fc.integer(),
    profile: fc.oneof(
      word.filter((text) => !text.startsWith('[')),
      fc.array(word),
    ),
    kernelArgs: fc.array(word),
    'vars.x': fc
      .oneof(word, fc.constant(''), fc.jsonValue())
      .map((value) => JSON.parse(JSON.stringify(value))),
  };
  for (const [name, value] of Object.entries(values)) {
    const field = fieldNamed('blade', name);
    fc.assert(
      fc.property(value, (one) => {
        const cell = formatValue(field, one);
        assert.notEqual(cell, '');
        assert.deepEqual(parseValue(field, [cell]), one);
      }),
    );
  }
});
