import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { machineSchema, type Machine } from '../fleet/machine.ts';

/** A machine that has said hello. */
export interface KnownMachine {
  machine: Machine;
  /** Milliseconds since 1970. */
  firstSeen: number;
  lastSeen: number;
  /** The blade that it is; absent while it is pending. */
  blade?: string;
  /** The IPv4 address from which it said hello; absent when an older bladeroot heard it. */
  address?: string;
}

/** More are no rack but a flood: those that have been silent for longest make room. */
export const MAX_PENDING = 1000;

/** That a waiting machine is still there is written down at most so often, in milliseconds: it asks every 2 s. */
const SEEN_EVERY_MS = 10_000;

/**
 * The machines that have said hello, by the MAC that they booted with. Which blade a machine is stands here so that DHCP
 * knows by its MAC also one that fleet.yaml names by serial number; a blade is one machine at a time.
 */
export class MachineRepository {
  readonly #database: DatabaseSync;
  readonly #get: StatementSync;
  readonly #holder: StatementSync;
  readonly #all: StatementSync;
  readonly #put: StatementSync;
  readonly #free: StatementSync;
  readonly #bind: StatementSync;
  readonly #prune: StatementSync;

  constructor(database: DatabaseSync) {
    this.#database = database;
    this.#get = database.prepare('SELECT * FROM machines WHERE mac = ?');
    this.#holder = database.prepare('SELECT * FROM machines WHERE blade = ?');
    this.#all = database.prepare('SELECT * FROM machines ORDER BY first_seen, mac');
    this.#put = database.prepare(
      `INSERT INTO machines (mac, first_seen, last_seen, machine, address) VALUES (?, ?, ?, ?, ?)
       ON CONFLICT (mac) DO UPDATE
       SET last_seen = excluded.last_seen, machine = excluded.machine, address = excluded.address`,
    );
    this.#free = database.prepare('UPDATE machines SET blade = NULL WHERE blade = ? AND mac <> ?');
    this.#bind = database.prepare('UPDATE machines SET blade = ? WHERE mac = ?');
    this.#prune = database.prepare(
      `DELETE FROM machines WHERE mac IN
       (SELECT mac FROM machines WHERE blade IS NULL ORDER BY last_seen DESC, mac LIMIT -1 OFFSET ?)`,
    );
  }

  get(mac: string): KnownMachine | undefined {
    const row = this.#get.get(mac);
    return row === undefined ? undefined : known(row);
  }

  /** The machine that is a blade. */
  holder(blade: string): KnownMachine | undefined {
    const row = this.#holder.get(blade);
    return row === undefined ? undefined : known(row);
  }

  /** All of them, or those that are no blade yet, in the order in which they came. */
  all(): KnownMachine[] {
    return this.#all.all().map(known);
  }

  pending(): KnownMachine[] {
    return this.all().filter(({ blade }) => blade === undefined);
  }

  /**
   * Keeps what a machine says, and the IPv4 address from which it says it.
   * @returns whether that is new, or other than what it said before
   */
  seen(machine: Machine, time: number, address?: string): boolean {
    const before = this.#get.get(machine.mac);
    const said = JSON.stringify(machine);
    const isNew = before?.['machine'] !== said;
    // A clock that was set back must not keep it from being written for good.
    const isElsewhere = address !== undefined && before?.['address'] !== address;
    if (!isNew && !isElsewhere && Math.abs(time - Number(before['last_seen'])) < SEEN_EVERY_MS) return false;
    this.#put.run(machine.mac, time, time, said, address ?? null);
    if (before === undefined) this.#prune.run(MAX_PENDING);
    return isNew;
  }

  /** From now on this machine is that blade, and no other machine is; without a blade, it is pending again. */
  bind(mac: string, blade: string | undefined): void {
    this.#database.exec('BEGIN IMMEDIATE');
    try {
      if (blade !== undefined) this.#free.run(blade, mac);
      this.#bind.run(blade ?? null, mac);
      this.#prune.run(MAX_PENDING);
      this.#database.exec('COMMIT');
    } catch (error) {
      this.#database.exec('ROLLBACK');
      throw error;
    }
  }
}

function known(row: Record<string, unknown>): KnownMachine {
  const { blade, address } = row;
  return {
    machine: machineSchema.parse(JSON.parse(String(row['machine']))),
    firstSeen: Number(row['first_seen']),
    lastSeen: Number(row['last_seen']),
    ...(typeof blade === 'string' ? { blade } : {}),
    ...(typeof address === 'string' ? { address } : {}),
  };
}
