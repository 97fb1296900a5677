import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import * as fc from 'fast-check';
import { Document, parse, parseDocument, stringify, type ToStringOptions } from 'yaml';
import { editYaml, type Change } from './yaml-edit.ts';

const TEXT = `# the lab
name:    lab   # aligned by hand
network: { subnet: 10.77.0.0/24 }

blades:
    # rack 1
    web01:  { mac: "52:54:00:77:00:11",   address: 10.77.0.11 } # by the door
    mail01: # rack 2
        mac: 52-54-00-77-00-12
        address: 10.77.0.12 # by the window
        overlays:
            - base # for all
            - mail
        boot:
            timeout: 5
    empty:
    db01: {
      mac: "52:54:00:77:00:13",  # the card on the board
      address: 10.77.0.13,
    }

    # web02: { … } is to come

profiles: # below the blades
  web: {}
`;

/** The lines that are in one of the two alone, with their sign. */
function difference(before: string, after: string): string[] {
  const [old, fresh] = [before.split('\n'), after.split('\n')];
  return [
    ...old.filter((line) => !fresh.includes(line)).map((line) => `-${line}`),
    ...fresh.filter((line) => !old.includes(line)).map((line) => `+${line}`),
  ];
}

function change(path: string, value?: unknown): Change {
  return { path: path.split('.'), value };
}

test('only the line of what is changed is another one, and it keeps what is not changed', () => {
  const cases: [Change[], string[]][] = [
    [
      [change('blades.web01.address', '10.77.0.99')],
      [
        '-    web01:  { mac: "52:54:00:77:00:11",   address: 10.77.0.11 } # by the door',
        '+    web01:  { mac: "52:54:00:77:00:11",   address: 10.77.0.99 } # by the door',
      ],
    ],
    [
      [change('blades.web01.profile', ['web', 'db']), change('blades.web01.boot.timeout', 5)],
      [
        '-    web01:  { mac: "52:54:00:77:00:11",   address: 10.77.0.11 } # by the door',
        '+    web01:  { mac: "52:54:00:77:00:11",   address: 10.77.0.11, profile: [web, db], boot: { timeout: 5 } } # by the door',
      ],
    ],
    [
      [change('blades.mail01.address', '10.77.0.99')],
      ['-        address: 10.77.0.12 # by the window', '+        address: 10.77.0.99 # by the window'],
    ],
    [[change('blades.mail01.overlays', ['base', 'mail', 'x'])], ['+            - x']],
    [[change('blades.mail01.overlays', ['base'])], ['-            - mail']],
    [[change('blades.mail01.boot.default', 'rescue')], ['+            default: rescue']],
    [
      [change('blades.mail01.vars.rack', 2), change('blades.mail01.vars.row', 'b')],
      ['+        vars: { rack: 2, row: b }'],
    ],
    [[change('blades.mail01.boot.timeout')], ['-        boot:', '-            timeout: 5']],
    [[change('blades.mail01.boot.timeout', 7)], ['-            timeout: 5', '+            timeout: 7']],
    [[change('blades.empty.serial', 'X')], ['-    empty:', '+    empty: { serial: X }']],
    [
      [change('blades.db01.profile', 'web')],
      ['-      address: 10.77.0.13,', '+      address: 10.77.0.13, profile: web,'],
    ],
    [
      [change('blades.db01.mac')],
      ['-      mac: "52:54:00:77:00:13",  # the card on the board', '+      # the card on the board'],
    ],
    [[change('profiles.web.overlays', ['a, b'])], ['-  web: {}', '+  web: { overlays: ["a, b"] }']],
    [
      [change('blades.x', { mac: '52:54:00:00:00:01' }), change('blades.z', {})],
      ['+    x: { mac: "52:54:00:00:00:01" }', '+    z: {}'],
    ],
    [[change('profiles.db', { vars: { a: 1 } })], ['+  db: { vars: { a: 1 } }']],
    [
      [change('blades.web01')],
      ['-    web01:  { mac: "52:54:00:77:00:11",   address: 10.77.0.11 } # by the door'],
    ],
    [
      [change('profiles.web')],
      ['-profiles: # below the blades', '-  web: {}', '+profiles: {} # below the blades'],
    ],
    [[change('blades.web01.boot.timeout')], []],
    [[change('blades.web01.address', '10.77.0.11')], []],
  ];
  for (const [changes, lines] of cases) {
    const name = changes.map(({ path }) => path.join('.')).join(' ');
    const windows = editYaml(TEXT.replaceAll('\n', '\r\n'), changes, 2);
    const after = editYaml(TEXT, changes, 2);
    assert.deepEqual(difference(TEXT, after), lines, name);
    assert.equal(windows.replaceAll('\r\n', '\n'), after, `${name} with the lines' ends of Windows`);
    assert.ok(!/(^|[^\r])\n/.test(windows), `${name}: only one kind of lines' ends`);
  }
});

test('a file that is one thing by itself is changed at its top, also when it says nothing yet', () => {
  const set = [change('vars.rack', 3), change('boot.timeout', 5)];
  for (const text of ['', '# a web server\n', '{}\n', '# a web server']) {
    const after = editYaml(text, set, 0);
    assert.deepEqual(parse(after), { vars: { rack: 3 }, boot: { timeout: 5 } }, text);
    assert.equal(after.includes('# a web server'), text.includes('#'));
  }
  const lines = 'mac: "52:54:00:77:00:11"\nvars:\n  rack: 3\n';
  assert.equal(editYaml('mac: "52:54:00:77:00:11"\n', [change('vars.rack', 3)], 0), lines);
  assert.equal(editYaml(lines, [change('vars.rack')], 0), 'mac: "52:54:00:77:00:11"\n');
  assert.equal(editYaml('mac: a # c\n', [change('mac')], 0), '');
});

test('what others share by an anchor is not changed for them as well', () => {
  const text = 'profiles:\n  a: &a { vars: { x: 1 } }\n  b: *a\n';
  assert.throws(() => editYaml(text, [change('profiles.b.vars.x', 2)], 2), { code: 'EDIT_BY_HAND' });
  assert.throws(() => editYaml(text, [change('profiles.a.vars.x', 2)], 2), { code: 'EDIT_BY_HAND' });
  assert.deepEqual(parse(editYaml(text, [change('profiles.c', {})], 2)).profiles.c, {});
});

const key = fc.constantFrom('a', 'b', 'c', 'web01', 'x y', '12', 'true');
const word = fc.oneof(
  fc.string(),
  fc.constantFrom(
    'yes',
    '12:30:45',
    '0x1',
    '#',
    '# x',
    'a: b',
    '- a',
    '{',
    "'",
    '"',
    ' a',
    'a ',
    'a\nb',
    '*a',
    '!a',
    '~',
    '',
  ),
);
const scalar = fc.oneof(word, fc.integer(), fc.boolean(), fc.constant(null));
const list = fc.array(fc.oneof(word, fc.integer()), { maxLength: 4 });
const leaf = fc.oneof(scalar, list);
const map = fc.dictionary(
  key,
  fc.oneof(leaf, fc.dictionary(key, leaf, { maxKeys: 3, noNullPrototype: true })),
  {
    maxKeys: 4,
    noNullPrototype: true,
  },
);
const tree = fc.dictionary(key, map, { maxKeys: 4, noNullPrototype: true });
const path = fc.array(key, { minLength: 1, maxLength: 4 });

/** A comment behind every line behind which one can stand, and one above every line at the margin. */
function commented(text: string): string {
  return text
    .split('\n')
    .map((line, index) => {
      const above = /^\w/.test(line) ? `# above ${index}\n` : '';
      return /^ *[a-z0-9]+:( [\w.]+)?$/.test(line) ? `${above}${line} # behind ${index}` : above + line;
    })
    .join('\n');
}

/** Block style writes some empty collections so that nobody can read them. */
function isYamlOf(text: string, data: unknown): boolean {
  const document = parseDocument(text);
  return document.errors.length === 0 && isDeepStrictEqual(document.toJS(), data);
}

/** What is asked of the program is a field, so what is on the way to it is a map or nothing. */
function leadsThroughMaps(data: unknown, [key = '', ...rest]: readonly string[]): boolean {
  if (data === undefined || data === null) return true;
  if (typeof data !== 'object' || Array.isArray(data)) return false;
  return rest.length === 0 || leadsThroughMaps(Reflect.get(data, key), rest);
}

/** What shall come out, thought of as simply as can be. */
function expected(data: unknown, { path: [key = '', ...rest], value }: Change): unknown {
  const copy: Record<string, unknown> =
    typeof data === 'object' && data !== null && !Array.isArray(data) ? { ...data } : {};
  if (rest.length > 0) copy[key] = expected(copy[key], { path: rest, value });
  else copy[key] = value;
  return copy;
}

test('whatever is set in whatever YAML is there afterwards, all else is as it was, and comments stay', () => {
  const styles = fc.constantFrom<ToStringOptions>(
    { collectionStyle: 'block', indentSeq: true },
    { collectionStyle: 'block', indentSeq: false },
    { collectionStyle: 'flow' },
    { collectionStyle: 'any', indent: 4 },
  );
  fc.assert(
    fc.property(tree, styles, path, leaf, (data, style, where, value) => {
      const text = commented(new Document(data).toString({ ...style, lineWidth: 0 }));
      fc.pre(isYamlOf(text, data) && leadsThroughMaps(data, where));
      const after = editYaml(text, [{ path: where, value }], 0);
      assert.deepEqual(parse(after), expected(data, { path: where, value }));
      const comments = text.match(/# above \d+/g) ?? [];
      assert.deepEqual(after.match(/# above \d+/g) ?? [], comments);
    }),
    { numRuns: 400 },
  );
});

test('what is set where nothing was and taken out again leaves the same data', () => {
  fc.assert(
    fc.property(tree, fc.array(fc.tuple(key, leaf), { minLength: 1, maxLength: 4 }), (data, added) => {
      const text = commented(stringify(data, { lineWidth: 0 }));
      const changes = [...new Map(added)].map(([name, value]) => ({ path: ['new', 'entry', name], value }));
      const with_ = editYaml(text, changes, 0);
      assert.deepEqual(parse(with_), { ...data, new: { entry: Object.fromEntries(new Map(added)) } });
      const without = editYaml(
        with_,
        changes.map((one) => ({ path: one.path })),
        0,
      );
      assert.deepEqual(parse(without) ?? {}, data);
    }),
    { numRuns: 200 },
  );
});
