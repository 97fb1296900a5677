import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bladeText } from './blade-text.ts';
import { FLEET_FILE, FleetSource } from './fleet-source.ts';

const WHOLE = `name: lab
blades:
    # rack 1
    web01:  { mac: "52:54:00:77:00:11",   address: 10.77.0.11 } # by the door
    mail01: # rack 2
        mac: "52:54:00:77:00:12"

        address: 10.77.0.12 # by the window

    # to come
profiles: {}
`;

function textOf(whole: string, name: string, more: Record<string, string> = {}) {
  const texts = new Map([[FLEET_FILE, whole], ...Object.entries(more)]);
  return bladeText(texts, new FleetSource(texts), name);
}

test('a blade is shown as if it stood at the margin, with its comments, and put back to the byte', () => {
  const web = textOf(WHOLE, 'web01');
  assert.equal(web.text, 'web01:  { mac: "52:54:00:77:00:11",   address: 10.77.0.11 } # by the door\n');
  const mail = textOf(WHOLE, 'mail01');
  assert.equal(
    mail.text,
    'mail01: # rack 2\n    mac: "52:54:00:77:00:12"\n\n    address: 10.77.0.12 # by the window\n',
  );
  const windows = WHOLE.replaceAll('\n', '\r\n');
  for (const name of ['web01', 'mail01']) {
    for (const whole of [WHOLE, windows, `name: x\nblades:\n  ${name}: { a: 1 }`]) {
      const { text, put } = textOf(whole, name);
      assert.equal(put(text), whole);
    }
  }
  const changed = mail.put(mail.text.replace('.12 #', '.13 #'));
  assert.equal(changed, WHOLE.replace('.12 #', '.13 #'));
});

test('a blade in a file of its own is that file', () => {
  const { file, text, put } = textOf('name: lab\n', 'web01', { 'blades/rack1/web01.yaml': '# a\nmac: b\n' });
  assert.deepEqual([file, text, put('mac: c\n')], ['blades/rack1/web01.yaml', '# a\nmac: b\n', 'mac: c\n']);
});

test('what is no longer this one blade is refused', () => {
  const { put } = textOf(WHOLE, 'web01');
  const cases: [string, RegExp][] = [
    ['', /is not one blade web01: it has to begin with "web01:"/],
    ['web02: {}\n', /is not one blade web01/],
    ['web01: {}\nweb02: {}\n', /is not one blade web01/],
    ['web01: {\n', /what you wrote is not YAML: /],
  ];
  for (const [text, message] of cases) assert.throws(() => put(text), { code: 'BAD_BLADE_TEXT', message });
  assert.throws(() => textOf('blades: { a: { mac: b } }\n', 'a'), { code: 'EDIT_BY_HAND' });
});
