/**
 * Addresses lent to machines that are no blades. What has been granted is on the disk before the machine hears of it, and
 * no clock on the wall decides about a lease: its time is measured by the running program alone.
 */
import { closeSync, fdatasync, openSync } from 'node:fs';
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { promisify } from 'node:util';
import { ipv4FromNumber, ipv4ToNumber } from '../net/ipv4.ts';

/** Where an address may be taken from. */
export interface AddressPool {
  /** The network's name. */
  network: string;
  from: string;
  to: string;
  /** Whether an address in it belongs to somebody: a blade, the router, this machine. */
  isTaken(address: string): boolean;
}

interface Lease {
  address: string;
  /** Empty for an address that somebody else was found to use. */
  mac: string;
  network: string;
  seconds: number;
  /** In milliseconds of the clock `now`. */
  ends: number;
  /** Only offered: in memory alone. */
  offered?: true;
  /** On the disk it stands as ended. */
  ended?: true;
}

/** The time that a machine has to ask for what it was offered. */
const OFFER_SECONDS = 30;
const QUARANTINE_SECONDS = 600;
/** An exhausted pool is not searched again at each DISCOVER of a storm. */
const SEARCH_AGAIN_MS = 1000;
const SWEEP_MS = 60_000;

const syncFile = promisify(fdatasync);

/**
 * Durability: SQLite's `synchronous=NORMAL` hands a commit to the kernel and syncs later, so a power cut could take the
 * last leases with it, and their addresses would be given away twice. So the write-ahead log is synced here, on a thread
 * of its own, before a grant resolves; all grants that come while the disk is at work share the next commit and sync.
 */
export class LeaseRepository {
  readonly #database: DatabaseSync;
  readonly #now: () => number;
  readonly #log: number;
  readonly #write: StatementSync;
  readonly #delete: StatementSync;
  readonly #byAddress = new Map<string, Lease>();
  readonly #byMac = new Map<string, Map<string, Lease>>();
  /** By network: when its pool was last found exhausted. */
  readonly #exhausted = new Map<string, number>();
  /** What is to be written, by address; undefined: to be deleted. */
  readonly #changed = new Map<string, Lease | undefined>();
  #flushing: Promise<void> | undefined;
  #next: Promise<void> | undefined;
  #swept: number;
  #closed = false;

  /**
   * Takes up what stands in the database. `now` is a clock in milliseconds that only goes forward. A lease that this
   * program did not see end has its whole time again: the clock on the wall may have jumped meanwhile, and an address too
   * long kept does less harm than one given away twice.
   */
  constructor(database: DatabaseSync, now: () => number = () => performance.now()) {
    this.#database = database;
    this.#now = now;
    this.#swept = now();
    this.#write = database.prepare(
      `INSERT INTO leases (address, mac, network, seconds, ended, granted) VALUES (?, ?, ?, ?, ?, ?)
       ON CONFLICT (address) DO UPDATE SET mac = excluded.mac, network = excluded.network,
         seconds = excluded.seconds, ended = excluded.ended, granted = excluded.granted`,
    );
    this.#delete = database.prepare('DELETE FROM leases WHERE address = ?');
    for (const row of database.prepare('SELECT * FROM leases ORDER BY granted').all()) {
      const seconds = Number(row['seconds']);
      this.#put({
        address: String(row['address']),
        mac: String(row['mac']),
        network: String(row['network']),
        seconds,
        ...(row['ended'] === 1 ? { ends: 0, ended: true } : { ends: now() + seconds * 1000 }),
      });
    }
    // SQLite keeps the log open as long as the database, and takes no locks on it that a second descriptor could drop.
    this.#log = openSync(`${database.location() ?? ''}-wal`, 'r+');
  }

  /** The address that the machine has, had or was offered last in this network. */
  remembered(mac: string, network: string): string | undefined {
    return this.#byMac.get(mac)?.get(network)?.address;
  }

  /** The address that the machine holds in this network, or was offered there. */
  held(mac: string, network: string): string | undefined {
    const lease = this.#byMac.get(mac)?.get(network);
    return lease !== undefined && lease.ends > this.#now() ? lease.address : undefined;
  }

  /**
   * An address for the machine, kept for it for 30 s: the one that it has or had, else the one that it wants, else one that
   * nobody had, else the one that is out of use for the longest. Undefined when the pool has none.
   */
  offer(mac: string, pool: AddressPool, wanted?: string): string | undefined {
    const now = this.#now();
    const mine = this.#byMac.get(mac)?.get(pool.network)?.address;
    const preferred = [mine, wanted].find(
      (address) => address !== undefined && this.isFree(address, mac, pool),
    );
    const address = preferred ?? this.#search(mac, pool, now);
    if (address === undefined) return undefined;
    const seconds = OFFER_SECONDS;
    if (this.held(mac, pool.network) !== address || this.#byAddress.get(address)?.offered === true)
      this.#put({ address, mac, network: pool.network, seconds, ends: now + seconds * 1000, offered: true });
    return address;
  }

  /** Whether the machine may have the address: it is in the pool, nobody else's, and not lent to another. */
  isFree(address: string, mac: string, pool: AddressPool): boolean {
    const number = ipv4ToNumber(address);
    if (number < ipv4ToNumber(pool.from) || number > ipv4ToNumber(pool.to)) return false;
    if (isOddEnd(number) || pool.isTaken(address)) return false;
    const lease = this.#byAddress.get(address);
    return lease === undefined || lease.mac === mac || lease.ends <= this.#now();
  }

  /** Lends the address for so many seconds; resolves once that is on the disk. */
  async grant(mac: string, address: string, network: string, seconds: number): Promise<void> {
    this.#put({ address, mac, network, seconds, ends: this.#now() + seconds * 1000 });
    await this.#keep(address);
  }

  /** RELEASE: the machine gives its address back. It is remembered as the one that the machine likes. */
  async release(mac: string, address: string): Promise<void> {
    const lease = this.#byAddress.get(address);
    if (lease === undefined || lease.mac !== mac || lease.ended === true) return;
    lease.ends = this.#now();
    lease.ended = true;
    this.#exhausted.delete(lease.network);
    await this.#keep(address);
  }

  /** DECLINE: the machine found somebody else at its address, so nobody gets that for ten minutes. */
  async decline(mac: string, address: string): Promise<void> {
    const lease = this.#byAddress.get(address);
    if (lease === undefined || lease.mac !== mac) return;
    const ends = this.#now() + QUARANTINE_SECONDS * 1000;
    this.#put({ address, mac: '', network: lease.network, seconds: QUARANTINE_SECONDS, ends });
    await this.#keep(address);
  }

  /** Waits until all is on the disk. To be called before the database is closed. */
  async close(): Promise<void> {
    for (let under; (under = this.#next ?? this.#flushing) !== undefined;) await under.catch(() => undefined);
    if (!this.#closed) closeSync(this.#log);
    this.#closed = true;
  }

  /** From a place that hangs on the MAC, so that a machine has the same address also from a root that has just begun. */
  #search(mac: string, pool: AddressPool, now: number): string | undefined {
    const before = this.#exhausted.get(pool.network);
    if (before !== undefined && now - before < SEARCH_AGAIN_MS) return undefined;
    const from = ipv4ToNumber(pool.from);
    const size = ipv4ToNumber(pool.to) - from + 1;
    const start = hashOf(mac) % size;
    let longest: Lease | undefined;
    for (let step = 0; step < size; step++) {
      const address = ipv4FromNumber(from + ((start + step) % size));
      if (!this.isFree(address, mac, pool)) continue;
      const lease = this.#byAddress.get(address);
      if (lease === undefined) return address;
      if (longest === undefined || lease.ends < longest.ends) longest = lease;
    }
    if (longest === undefined) this.#exhausted.set(pool.network, now);
    return longest?.address;
  }

  /** A machine has one address in a network, an address has one machine. */
  #put(lease: Lease): void {
    const { mac, network, address } = lease;
    const replaced = this.#byAddress.get(address);
    if (replaced !== undefined) this.#forget(replaced);
    const earlier = this.#byMac.get(mac)?.get(network);
    if (earlier !== undefined) {
      this.#forget(earlier);
      if (earlier.offered !== true) this.#changed.set(earlier.address, undefined);
    }
    this.#byAddress.set(address, lease);
    if (mac === '') return;
    const networks = this.#byMac.get(mac) ?? new Map<string, Lease>();
    networks.set(network, lease);
    this.#byMac.set(mac, networks);
  }

  #forget({ address, mac, network }: Lease): void {
    this.#byAddress.delete(address);
    const networks = this.#byMac.get(mac);
    networks?.delete(network);
    if (networks?.size === 0) this.#byMac.delete(mac);
  }

  async #keep(address: string): Promise<void> {
    const lease = this.#byAddress.get(address);
    if (lease !== undefined) this.#changed.set(address, lease);
    // The commit under way may have begun before this change, so the next one counts.
    this.#next ??= this.#flush(this.#flushing);
    await this.#next;
  }

  async #flush(before: Promise<void> | undefined): Promise<void> {
    // At least until all packets that wait in the socket have been read: they share this commit.
    await new Promise((resolve) => setImmediate(resolve));
    if (before !== undefined) await before.catch(() => undefined);
    const flushing = this.#commit();
    this.#flushing = flushing;
    this.#next = undefined;
    try {
      await flushing;
    } finally {
      if (this.#flushing === flushing) this.#flushing = undefined;
    }
  }

  /** Whose time is over is over for the next run of this program too; offers that were not taken are forgotten. */
  #sweep(): void {
    const now = this.#now();
    if (now - this.#swept < SWEEP_MS) return;
    this.#swept = now;
    for (const lease of this.#byAddress.values()) {
      if (lease.ends > now || lease.ended === true) continue;
      if (lease.offered === true) {
        this.#forget(lease);
        continue;
      }
      lease.ended = true;
      this.#changed.set(lease.address, lease);
    }
  }

  async #commit(): Promise<void> {
    this.#sweep();
    const changed = [...this.#changed];
    this.#changed.clear();
    try {
      this.#database.exec('BEGIN IMMEDIATE');
      for (const [address, lease] of changed) {
        if (lease === undefined) this.#delete.run(address);
        else
          this.#write.run(
            address,
            lease.mac,
            lease.network,
            lease.seconds,
            lease.ended === true ? 1 : 0,
            Date.now(),
          );
      }
      this.#database.exec('COMMIT');
    } catch (error) {
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK');
      for (const [address, lease] of changed)
        if (!this.#changed.has(address)) this.#changed.set(address, lease);
      throw error;
    }
    await syncFile(this.#log);
  }
}

/** .0 and .255 are legal in a large subnet, and some old stacks and routers refuse them all the same. */
function isOddEnd(address: number): boolean {
  return (address & 255) === 0 || (address & 255) === 255;
}

/** FNV-1a. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  return hash >>> 0;
}
