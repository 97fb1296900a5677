import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sampleMachine } from '../fleet/machine.fixture.ts';
import { folderOf } from '../fleet/folder.fixture.ts';
import { sampleStatement } from '../release/release.fixture.ts';
import { openDatabase } from '../state/database.ts';
import { MachineRepository } from '../state/machines.ts';
import { KnownBlades } from './known-blades.ts';

const MAC = '52:54:00:77:00:99';

test('a blade is known by its MAC, or by that of the machine that has said hello as that blade', async (t) => {
  const database = openDatabase(await folderOf(t, {}));
  t.after(() => database.close());
  const machines = new MachineRepository(database);
  const [web01] = sampleStatement().blades;
  assert.ok(web01);
  const { mac: _mac, ...rest } = web01;
  const bySerial = (serial: string) =>
    sampleStatement({ blades: [web01, { ...rest, name: 'db01', serial }] });
  let release = bySerial('SN7');
  const blades = new KnownBlades(() => release, machines);
  assert.equal(blades.of('52:54:00:77:00:11')?.name, 'web01');
  assert.equal(blades.of(MAC), undefined);

  machines.seen(sampleMachine({ mac: MAC, serial: 'SN7' }), 1);
  assert.equal(blades.of(MAC), undefined, 'nobody has said that it is db01');
  machines.bind(MAC, 'db01');
  assert.equal(blades.of(MAC)?.name, 'db01');

  release = bySerial('SN8');
  assert.equal(blades.of(MAC), undefined, 'fleet.yaml means another machine now');
  release = sampleStatement({ blades: [{ ...rest, name: 'db01', mac: '52:54:00:77:00:77' }] });
  assert.equal(blades.of(MAC), undefined);
  assert.equal(blades.of('52:54:00:77:00:77')?.name, 'db01');
  release = sampleStatement();
  assert.equal(blades.of(MAC), undefined);
});

test('a blade is known by its own address, or by the card at one that another DHCP server has lent it', async (t) => {
  const database = openDatabase(await folderOf(t, {}));
  t.after(() => database.close());
  const blades = new KnownBlades(() => sampleStatement(), new MachineRepository(database));
  const [web01, mail01] = sampleStatement().blades;
  const macAt = (address: string): string | undefined => (address === '10.9.9.9' ? mail01?.mac : undefined);
  assert.deepEqual(
    blades.who(web01?.address ?? '', () => mail01?.mac),
    { blade: 'web01' },
  );
  assert.deepEqual(blades.who('10.9.9.9', macAt), { blade: 'mail01' });
});

test('a machine that is no blade is called by its card, and behind a router by its address', async (t) => {
  const database = openDatabase(await folderOf(t, {}));
  t.after(() => database.close());
  const blades = new KnownBlades(() => sampleStatement(), new MachineRepository(database));
  assert.deepEqual(
    blades.who('10.9.9.8', () => MAC),
    { mac: MAC },
  );
  assert.deepEqual(
    blades.who('10.9.9.8', () => undefined),
    { blade: '10.9.9.8' },
  );
});
