/** For tests: two disks, and a kernel that can mirror them. */
import assert from 'node:assert/strict';
import { mkdtemp, open, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { run } from '../../src/system/run.ts';
import type { GuestStep } from './guest.fixture.ts';

const GUEST = fileURLToPath(new URL('guest.fixture.ts', import.meta.url));
const KERNEL = 'linux.uml';

export class MirrorMachine {
  readonly #directory: string;
  readonly #disks: object;

  private constructor(directory: string, disks: object) {
    this.#directory = directory;
    this.#disks = disks;
  }

  /** @param disks as in fleet.yaml */
  static async create(t: TestContext, disks: object, bytes: readonly number[]): Promise<MirrorMachine> {
    const directory = await mkdtemp(join(tmpdir(), 'bladeroot-mirror-'));
    t.after(async () => await rm(directory, { recursive: true, force: true }));
    const machine = new MirrorMachine(directory, disks);
    for (const [index, size] of bytes.entries()) await machine.blank(index, size);
    return machine;
  }

  file(disk: number): string {
    return join(this.#directory, `disk-${disk}`);
  }

  async blank(disk: number, bytes: number): Promise<void> {
    await (await open(this.file(disk), 'w')).close();
    await truncate(this.file(disk), bytes);
  }

  /** Starts it with these of its disks, in this order, and takes the steps there. @returns what each has come to */
  async boot(disks: readonly number[], steps: readonly GuestStep[]): Promise<unknown[]> {
    const [init, out] = [join(this.#directory, 'init'), join(this.#directory, 'out')];
    const words = [process.execPath, GUEST, out, JSON.stringify(this.#disks), JSON.stringify(steps)];
    await writeFile(init, INIT(words.map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(' ')), {
      mode: 0o755,
    });
    await rm(out, { force: true });
    const drives = disks.map((disk, index) => `ubd${index}=${this.file(disk)}`);
    const root = ['rootfstype=hostfs', 'rootflags=/', 'rw', `init=${init}`];
    // The console is for whoever looks why a test fails.
    const console = ['con=null', 'con0=fd:0,fd:1', 'quiet'];
    const { stdout } = await run(KERNEL, ['mem=512M', ...root, ...console, ...drives], { input: '' });
    const text = await readFile(out, 'utf8').catch(() => assert.fail(`the guest left nothing:\n${stdout}`));
    return JSON.parse(text) as unknown[];
  }
}

/** Debian's kernel has its modules beside itself, not where modprobe looks. */
const INIT = (command: string): string => `#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t tmpfs tmpfs /run
modules=/usr/lib/uml/modules/$(uname -r)/kernel
for module in drivers/md/md-mod drivers/md/raid1; do insmod $modules/$module.ko; done
${command}
poweroff -f
`;
