import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import type { DatabaseSync } from 'node:sqlite';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { openDatabase } from './database.ts';
import { LeaseRepository, type AddressPool } from './leases.ts';

const POOL: AddressPool = { network: 'main', from: '10.0.0.10', to: '10.0.0.12', isTaken: () => false };
const [A, B, C, D] = ['a', 'b', 'c', 'd'].map((end) => `52:54:00:00:00:0${end}`) as [
  string,
  string,
  string,
  string,
];

class Place {
  /** Milliseconds since this program began. */
  now = 1000;
  readonly #directory: string;
  #database: DatabaseSync | undefined;
  leases!: LeaseRepository;

  constructor(directory: string) {
    this.#directory = directory;
    this.open();
  }

  open(): void {
    this.#database = openDatabase(this.#directory);
    this.leases = new LeaseRepository(this.#database, () => this.now);
  }

  async close(): Promise<void> {
    await this.leases.close();
    this.#database?.close();
  }

  /** Another run of the program, whose clock begins anew. */
  async restart(): Promise<LeaseRepository> {
    await this.close();
    this.now = 5;
    this.open();
    return this.leases;
  }

  /** What another program reads from the same file. */
  onDisk(): Record<string, unknown>[] {
    const database = openDatabase(this.#directory);
    const rows = database.prepare('SELECT address, mac, seconds, ended FROM leases ORDER BY address').all();
    database.close();
    return rows.map((row) => ({ ...row }));
  }
}

async function place(t: TestContext): Promise<Place> {
  const directory = await mkdtemp(join(tmpdir(), 'bladeroot-leases-'));
  const made = new Place(directory);
  t.after(async () => {
    await made.close();
    await rm(directory, { recursive: true });
  });
  return made;
}

async function lend(leases: LeaseRepository, mac: string, seconds = 120): Promise<string> {
  const address = leases.offer(mac, POOL);
  assert.ok(address !== undefined, `nothing for ${mac}`);
  await leases.grant(mac, address, POOL.network, seconds);
  return address;
}

test('DHCP-7: a machine has one address from its first question on, and also after its lease has ended', async (t) => {
  const at = await place(t);
  const { leases } = at;
  const address = await lend(leases, A);
  assert.equal(leases.offer(A, POOL), address);
  assert.equal(leases.offer(A, POOL, '10.0.0.11'), address, 'whatever it wants');
  assert.equal(leases.held(A, 'main'), address);
  at.now += 500_000;
  assert.equal(leases.held(A, 'main'), undefined);
  assert.equal(leases.offer(A, POOL), address);
});

test('DHCP-7: two machines never hold one address, and each keeps its own', async (t) => {
  const at = await place(t);
  const addresses = await Promise.all([A, B, C].map(async (mac) => await lend(at.leases, mac)));
  assert.deepEqual(addresses.toSorted(), ['10.0.0.10', '10.0.0.11', '10.0.0.12']);
  assert.equal(at.leases.offer(D, POOL), undefined, 'the pool is exhausted');
  at.now += 121_000;
  assert.deepEqual(
    [A, B, C].map((mac) => at.leases.offer(mac, POOL)),
    addresses,
    'those who come back have the same again',
  );
});

test('DHCP-7: of addresses that are free again, the one that is out of use for the longest goes first', async (t) => {
  const at = await place(t);
  const first = await lend(at.leases, A);
  at.now += 1000;
  await lend(at.leases, B);
  await lend(at.leases, C);
  at.now += 200_000;
  assert.equal(at.leases.offer(D, POOL), first);
});

test('DHCP-7: an address that was offered and not taken is free after half a minute', async (t) => {
  const at = await place(t);
  const only = { ...POOL, to: POOL.from };
  assert.equal(at.leases.offer(A, only), POOL.from);
  assert.equal(at.leases.offer(B, only), undefined);
  at.now += 30_001;
  assert.equal(at.leases.offer(B, only), POOL.from);
});

test('DHCP-8: .0 and .255 and what is taken are never lent, also when asked for by name', async (t) => {
  const { leases } = await place(t);
  const taken = new Set(['10.0.1.1', '10.0.1.2']);
  const pool = {
    network: 'main',
    from: '10.0.0.254',
    to: '10.0.1.3',
    isTaken: (ip: string) => taken.has(ip),
  };
  for (const wanted of ['10.0.0.255', '10.0.1.0', '10.0.1.1', '10.0.1.4', '10.0.0.253', '192.168.0.1']) {
    assert.equal(leases.isFree(wanted, A, pool), false, wanted);
    assert.ok(['10.0.0.254', '10.0.1.3'].includes(leases.offer(A, pool, wanted) ?? ''), wanted);
  }
  const given = [A, B, C].map((mac) => leases.offer(mac, pool));
  assert.deepEqual(given.toSorted(), ['10.0.0.254', '10.0.1.3', undefined]);
});

test('DHCP-8: an address that a machine declines is nobody’s for ten minutes, over a restart too', async (t) => {
  const at = await place(t);
  const address = await lend(at.leases, A);
  await at.leases.decline(B, address);
  assert.equal(at.leases.held(A, 'main'), address, 'no other machine can decline it');
  await at.leases.decline(A, address);
  assert.notEqual(at.leases.offer(A, POOL), address);
  await at.restart();
  at.now += 599_000;
  assert.equal(at.leases.isFree(address, A, POOL), false);
  at.now += 2000;
  assert.equal(at.leases.isFree(address, A, POOL), true);
});

test('DHCP-8: an address that is given back is free at once, and only its holder can give it back', async (t) => {
  const at = await place(t);
  const address = await lend(at.leases, A);
  await at.leases.release(B, address);
  assert.equal(at.leases.isFree(address, B, POOL), false);
  await at.leases.release(A, address);
  assert.equal(at.leases.isFree(address, B, POOL), true);
  assert.equal(at.leases.offer(A, POOL), address, 'and still its holder’s favourite');
});

test('a lease is on the disk before its grant resolves, and is there after a restart', async (t) => {
  const at = await place(t);
  const address = await lend(at.leases, A);
  assert.deepEqual(at.onDisk(), [{ address, mac: A, seconds: 120, ended: 0 }]);
  const again = await at.restart();
  assert.equal(again.held(A, 'main'), address);
  assert.equal(again.isFree(address, B, POOL), false);
});

test('grants that come together are all on the disk when each resolves', async (t) => {
  const at = await place(t);
  const large = { ...POOL, from: '10.0.0.1', to: '10.0.7.254' };
  const macs = Array.from({ length: 1000 }, (_, n) => `52:54:00:00:${(n >> 8).toString(16)}:${n & 255}`);
  const granted = new Map<string, string>();
  await Promise.all(
    macs.map(async (mac) => {
      const address = at.leases.offer(mac, large);
      assert.ok(address !== undefined);
      await at.leases.grant(mac, address, 'main', 120);
      granted.set(mac, address);
    }),
  );
  assert.deepEqual(new Map(at.onDisk().map(({ mac, address }) => [mac, address])).size, 1000);
  assert.deepEqual(new Set(granted.values()).size, 1000);
});

test('jumps of the clock on the wall end no lease and prolong none, neither in a run nor between two', async (t) => {
  const at = await place(t);
  t.mock.timers.enable({ apis: ['Date'], now: Date.UTC(2026, 0, 1) });
  const address = await lend(at.leases, A);
  for (const year of [2036, 1970]) {
    t.mock.timers.setTime(Date.UTC(year, 0, 2));
    assert.equal(at.leases.isFree(address, B, POOL), false, `a jump to ${year}`);
    await at.restart();
    assert.equal(at.leases.isFree(address, B, POOL), false, `a jump to ${year} while the root was down`);
    assert.equal(at.leases.held(A, 'main'), address);
  }
  at.now += 121_000;
  assert.equal(at.leases.isFree(address, B, POOL), true, 'its own time ends it all the same');
});

test('a lease that was seen to end does not come to life again by a restart', async (t) => {
  const at = await place(t);
  const address = await lend(at.leases, A);
  at.now += 200_000;
  await lend(at.leases, B);
  await at.restart();
  assert.equal(at.leases.isFree(address, C, POOL), true);
  assert.equal(at.leases.remembered(A, 'main'), address, 'but is remembered');
});

test('a machine holds an address in each network that it was seen in', async (t) => {
  const { leases } = await place(t);
  const other = { ...POOL, network: 'rack2', from: '10.1.0.10', to: '10.1.0.12' };
  const here = await lend(leases, A);
  const there = leases.offer(A, other);
  assert.ok(there !== undefined);
  await leases.grant(A, there, 'rack2', 120);
  assert.deepEqual([leases.held(A, 'main'), leases.held(A, 'rack2')], [here, there]);
});

test('a grant that cannot be written rejects, and the next one is written', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'bladeroot-leases-'));
  t.after(() => rm(directory, { recursive: true }));
  const database = openDatabase(directory);
  const leases = new LeaseRepository(database);
  database.exec("CREATE TRIGGER full BEFORE INSERT ON leases BEGIN SELECT RAISE(ABORT, 'disk full'); END");
  await assert.rejects(leases.grant(A, '10.0.0.10', 'main', 120), /disk full/);
  database.exec('DROP TRIGGER full');
  await leases.grant(B, '10.0.0.11', 'main', 120);
  const rows = database.prepare('SELECT address FROM leases ORDER BY address').all();
  assert.deepEqual(
    rows.map(({ address }) => address),
    ['10.0.0.10', '10.0.0.11'],
  );
  await leases.close();
  database.close();
});
