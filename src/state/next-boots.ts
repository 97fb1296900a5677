import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { isBrokenOff } from '../events/boots.ts';
import type { BladerootEvent } from '../events/catalogue.ts';

/** What a blade is asked to do when it next boots from the network, instead of what its release says. */
export const BOOT_TASKS = ['deploy', 'rescue'] as const;
export type BootTask = (typeof BOOT_TASKS)[number];

/** What an administrator has asked of blades, each until it is done. */
export class NextBoots {
  readonly #get: StatementSync;
  readonly #put: StatementSync;
  readonly #remove: StatementSync;

  constructor(database: DatabaseSync) {
    this.#get = database.prepare('SELECT task FROM next_boots WHERE blade = ?');
    this.#put = database.prepare('INSERT OR REPLACE INTO next_boots (blade, task, time) VALUES (?, ?, ?)');
    this.#remove = database.prepare('DELETE FROM next_boots WHERE blade = ?');
  }

  get(blade: string): BootTask | undefined {
    const task = this.#get.get(blade)?.['task'];
    return BOOT_TASKS.find((each) => each === task);
  }

  put(blade: string, task: BootTask, time: number): void {
    this.#put.run(blade, task, time);
  }

  /** @returns whether anything was asked of it */
  remove(blade: string): boolean {
    return this.#remove.run(blade).changes > 0;
  }

  /** Forgets what has been done, going by what happens. */
  heard(event: BladerootEvent): void {
    if (!('blade' in event) || event.blade === undefined) return;
    if (event.type !== 'blade.step' && event.type !== 'boot.initrd') return;
    const task = this.get(event.blade);
    if (task !== undefined && isDone(task, event)) this.remove(event.blade);
  }
}

/**
 * A deployment is done when the agent has written the slot down, and one that was cut off is begun again; a rescue is for one
 * boot, and the next is as always. That a blade is up says nothing of either: it says so when its service is restarted, too.
 */
function isDone(task: BootTask, event: BladerootEvent): boolean {
  if (task === 'rescue') return event.type === 'boot.initrd' && !isBrokenOff(event);
  return event.type === 'blade.step' && event.step === 'switch-root' && event.state === 'done';
}
