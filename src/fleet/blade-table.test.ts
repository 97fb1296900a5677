import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { bladesAsCsv, bladesAsJson, bladesOfCsv, bladesOfJson, changesTo } from './blade-table.ts';
import { differencesOf } from './differences.ts';
import { editTexts } from './edit.ts';
import { withEdits } from './edit-journal.ts';
import { FLEET_FILE, FleetSource, type FleetTexts } from './fleet-source.ts';
import { parseFolder } from './load.ts';
import { editYaml } from './yaml-edit.ts';

const HEAD = `# the lab
name: lab
network: { subnet: 10.77.0.0/16 }
profiles: { web: {}, db: {} }
`;

const word = fc.oneof(
  fc.string({ minLength: 1 }),
  fc.constantFrom('3', 'true', '[a]', 'a,b', 'a;b', '"', 'a\nb', ' a ', '= 1+1', '#'),
);
const line = fc.string({
  minLength: 1,
  unit: fc.constantFrom('a', 'Z', '0', '=', ',', ';', '"', "'", '[', '#', ':'),
});
const service = fc.constantFrom('nginx', 'getty@tty1', 'ssh');
const optional = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined });
const profileNames = fc.constantFrom('web', 'db');
const fields = fc.record(
  {
    profile: optional(fc.oneof(profileNames, fc.uniqueArray(profileNames))),
    kernelArgs: optional(fc.array(line)),
    services: optional(fc.record({ start: fc.uniqueArray(service) }, { noNullPrototype: true })),
    boot: optional(
      fc.record(
        { timeout: fc.nat(3600), default: fc.constantFrom('boot', 'rescue') },
        { requiredKeys: [], noNullPrototype: true },
      ),
    ),
    vars: optional(
      fc.dictionary(
        fc.constantFrom('rack', 'role', '_x'),
        fc.oneof(word, fc.constant(''), fc.integer(), fc.boolean(), fc.constant(null), fc.array(word)),
        { noNullPrototype: true },
      ),
    ),
  },
  { noNullPrototype: true },
);

/** A fleet folder with these blades, in one file or in files of their own. */
function fleetOf(blades: readonly object[], split: boolean): FleetTexts {
  const entries = blades.map((blade, index) => {
    const known = Object.entries(blade).filter(([, value]) => value !== undefined);
    const entry = { serial: `S-${index}`, address: `10.77.1.${index + 1}`, ...Object.fromEntries(known) };
    return { name: `web${index}`, entry };
  });
  if (!split) {
    const changes = entries.map(({ name, entry }) => ({ path: ['blades', name], value: entry }));
    return new Map([[FLEET_FILE, editYaml(HEAD, changes, 2)]]);
  }
  return new Map([
    [FLEET_FILE, HEAD],
    ...entries.map(({ name, entry }): [string, string] => [
      `blades/${name}.yaml`,
      editYaml(
        '',
        Object.entries(entry).map(([key, value]) => ({ path: [key], value })),
        0,
      ),
    ]),
  ]);
}

const someBlades = fc.array(fields, { minLength: 1, maxLength: 5 });

function dataOf(texts: FleetTexts): unknown {
  return parseFolder({ texts, overlays: [] }).source.data;
}

const FORMATS = {
  CSV: {
    write: (data: unknown, names: string[]) => bladesAsCsv(data, names),
    read: (text: string) => bladesOfCsv(text, 'b.csv'),
  },
  JSON: {
    write: (data: unknown, names: string[]) => JSON.stringify(bladesAsJson(data, names)),
    read: (text: string, data: unknown) => bladesOfJson(text, 'b.json', data),
  },
};

for (const [format, { write, read }] of Object.entries(FORMATS)) {
  test(`blades that are exported and imported as ${format} are the same blades`, () => {
    fc.assert(
      fc.property(someBlades, fc.boolean(), (blades, split) => {
        const texts = fleetOf(blades, split);
        const data = dataOf(texts);
        const exported = write(
          data,
          blades.map((_, index) => `web${index}`),
        );
        // Nothing changes where they are,
        assert.deepEqual(changesTo(data, read(exported, data)), []);
        // and where they are not, the same come out.
        const empty: FleetTexts = new Map([[FLEET_FILE, HEAD]]);
        const imported = withEdits(
          empty,
          editTexts(empty, changesTo(dataOf(empty), read(exported, dataOf(empty)))),
        );
        assert.deepEqual(differencesOf(data, dataOf(imported)), []);
      }),
      { numRuns: 200 },
    );
  });

  test(`what was changed after an export is as it was after the import of ${format}, if the export tells of it`, () => {
    fc.assert(
      fc.property(someBlades, someBlades, fc.boolean(), (blades, others, split) => {
        const same = blades.map((blade, index) =>
          format === 'CSV' ? { ...others[index], ...defined(blade) } : blade,
        );
        const before = fleetOf(same, split);
        const after = fleetOf(
          same.map((blade, index) => others[index] ?? blade),
          split,
        );
        const names = same.map((_, index) => `web${index}`);
        const exported = write(dataOf(before), names);
        const restored = withEdits(
          after,
          editTexts(after, changesTo(dataOf(after), read(exported, dataOf(after)))),
        );
        const columns = format === 'CSV' ? (exported.split('\n')[0] ?? '').split(',') : undefined;
        const left = differencesOf(dataOf(before), new FleetSource(restored).data).flatMap(
          (one) => one.fields,
        );
        assert.deepEqual(
          left.filter(({ field }) => columns === undefined || columns.includes(field)),
          [],
        );
      }),
      { numRuns: 200 },
    );
  });
}

function defined(blade: object): object {
  return Object.fromEntries(Object.entries(blade).filter(([, value]) => value !== undefined));
}

test('a table has a column for each field that is used, and says nothing of the others', () => {
  const texts = fleetOf([{ profile: 'web', vars: { rack: 3 } }, { kernelArgs: ['a=b,c', 'quiet'] }], false);
  assert.equal(
    bladesAsCsv(dataOf(texts), ['web1', 'web0']),
    `name,serial,address,profile,kernelArgs,vars.rack
web1,S-1,10.77.1.2,,"[""a=b,c"",""quiet""]",
web0,S-0,10.77.1.1,web,,3
`,
  );
  const changes = changesTo(dataOf(texts), bladesOfCsv('name;profile\nweb0;\nweb1;[web, db]\n', 'b.csv'));
  assert.deepEqual(changes, [
    { path: ['blades', 'web0', 'profile'], value: undefined },
    { path: ['blades', 'web1', 'profile'], value: ['web', 'db'] },
  ]);
});

test('what is no table of blades is told, with its line', () => {
  const cases: [string, RegExp][] = [
    ['', /b\.csv:1: has no column name/],
    ['mac,address\n', /b\.csv:1: has no column name/],
    ['name,mac,mac\n', /b\.csv:1: has the column mac twice/],
    ['name,adress\n', /a blade has no field adress; did you mean address\?/],
    ['name,address\nweb01,10.77.0.1\n\nweb01,10.77.0.2\n', /b\.csv:4: names web01 a second time/],
    ['name,address\n,10.77.0.1\n', /b\.csv:2: has no name/],
    ['name,address\nweb01\n', /b\.csv is no table: .*line 2/],
    ['name,address\n"web01\n', /b\.csv is no table: .*Quote/],
    ['name,vars.x\nweb01,[\n', /vars\.x: "\[" is not YAML/],
  ];
  for (const [text, message] of cases) assert.throws(() => bladesOfCsv(text, 'b.csv'), { message }, text);
  const json: [string, RegExp][] = [
    ['{', /b\.json is not JSON/],
    ['[]', /b\.json: is not what `bladeroot blade export --json` prints/],
    ['{"web01": 3}', /b\.json: web01 is no object/],
    ['{"web01": {"boot": {"timout": 5}}}', /no field boot\.timout; did you mean boot\.timeout\?/],
    ['{"web01": {"boot": 5}}', /a blade has no field boot/],
    ['{"web01": {"adress": "x"}}', /no field adress; did you mean address\?/],
  ];
  for (const [text, message] of json)
    assert.throws(() => bladesOfJson(text, 'b.json', {}), { message }, text);
});
