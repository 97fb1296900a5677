import assert from 'node:assert/strict';
import { test } from 'node:test';
import { editTexts } from './edit.ts';
import { exampleFleet } from './example.ts';
import { FLEET_FILE } from './fleet-source.ts';
import { parseFleet } from './load.ts';

const web09 = { mac: '52:54:00:00:00:09', address: '10.77.0.19' };
const LINE = 'web09: { mac: "52:54:00:00:00:09", address: 10.77.0.19 }';

function addBlade(text: string, name: string, value: object): string {
  return (
    editTexts(new Map([[FLEET_FILE, text]]), [{ path: ['blades', name], value }]).get(FLEET_FILE) ?? text
  );
}

/** The lines that are in one of the two alone, with their sign. */
function difference(before: string, after: string): string[] {
  const [old, fresh] = [before.split('\n'), after.split('\n')];
  return [
    ...old.filter((line) => !fresh.includes(line)).map((line) => `-${line}`),
    ...fresh.filter((line) => !old.includes(line)).map((line) => `+${line}`),
  ];
}

test('one line is added after the last blade, every other byte stays', () => {
  const text = `# the lab
name:    lab   # aligned by hand
network: { subnet: 10.77.0.0/24 }

blades:
    web01:  { mac: "52:54:00:77:00:11",   address: 10.77.0.11 } # rack 1
    mail01: # rack 2
        mac: 52-54-00-77-00-12
        address: 10.77.0.12 # by the window

    # web02: { … } is to come

profiles: # below the blades
  web: {}
`;
  const after = addBlade(text, 'web09', web09);
  const window = '        address: 10.77.0.12 # by the window\n';
  assert.equal(after, text.replace(window, `${window}    ${LINE}\n`));
  assert.equal(parseFleet(after, []).blades['web09']?.mac, web09.mac);
});

test('a profile is a word, several are a list', () => {
  const text = 'name: x\nblades:\n  a: {}\n';
  assert.match(
    addBlade(text, 'b', { ...web09, profile: 'web' }),
    /address: 10\.77\.0\.19, profile: web \}\n$/,
  );
  assert.match(addBlade(text, 'b', { ...web09, profile: ['web', 'db'] }), /profile: \[ ?web, db ?\] \}\n$/);
});

test("the example that init writes is added to, also with the lines' ends of Windows and without a last one", () => {
  const text = exampleFleet('lab', '10.77.0.0/24').get('fleet.yaml') ?? '';
  assert.deepEqual(difference(text, addBlade(text, 'web09', web09)), [`+  ${LINE}`]);
  assert.equal(addBlade(text.trimEnd(), 'web09', web09), addBlade(text, 'web09', web09));
  const windows = addBlade(text.replaceAll('\n', '\r\n'), 'web09', web09);
  assert.equal(windows, addBlade(text, 'web09', web09).replaceAll('\n', '\r\n'));
});

test('where there are no blades yet, or all on one line, comments and order are kept', () => {
  const head = '# the lab\nname: lab # short\nnetwork: { subnet: 10.77.0.0/24 }\n';
  for (const blades of [
    '',
    'blades:\n',
    'blades: {}\n',
    'blades: {} # none yet\n',
    'blades:\n  # none yet\n',
  ]) {
    const after = addBlade(head + blades, 'web09', web09);
    assert.ok(
      after.startsWith('# the lab\nname: lab # short\nnetwork: { subnet: 10.77.0.0/24 }\nblades:'),
      after,
    );
    assert.ok(after.includes(`\n  ${LINE}`), after);
    assert.equal(after.includes('none yet'), blades.includes('none yet'), after);
    assert.deepEqual(Object.keys(parseFleet(after, []).blades), ['web09'], after);
  }
  const flow = `${head}blades: { a: { mac: "52:54:00:77:00:11", address: 10.77.0.11 } }\n`;
  assert.deepEqual(Object.keys(parseFleet(addBlade(flow, 'web09', web09), []).blades), ['a', 'web09']);
});

test('a MAC that YAML 1.1 would read as a number to the base of 60 stays what it is', () => {
  const mac = '10:20:30:40:50:06';
  assert.ok(addBlade('blades:\n  a: {}\n', 'b', { ...web09, mac }).includes(`"${mac}"`));
});
