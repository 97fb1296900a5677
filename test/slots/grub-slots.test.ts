/**
 * GRUB on SeaBIOS and on OVMF writes its block, counts, and starts real kernels. That it chooses as it should in every
 * case is tried out without a machine, in src/blade/grub/grub-emu.test.ts.
 */
import { strict as assert } from 'node:assert';
import { truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, beforeEach, suite, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { goldenTree } from '../../lab/demo/golden-tree.ts';
import { markGood, readChoice, tryNext, withdrawSlot } from '../../src/blade/grub/esp.ts';
import { nextStart } from '../../src/blade/grub/choice.ts';
import { GrubDisk, NO_DEVICE } from './grub-disk.fixture.ts';

const CACHE = fileURLToPath(new URL('../../.lab/cache', import.meta.url));
const over = new AbortController();
let kernel = '';

before(async () => {
  const tree = await goldenTree(CACHE, { signal: over.signal, onLine: () => {} });
  kernel = join(tree.directory, 'vmlinuz');
});

after(() => over.abort());

for (const firmware of ['bios', 'uefi'] as const) {
  suite(`GRUB on ${firmware === 'bios' ? 'SeaBIOS' : 'OVMF'}`, () => {
    let disk: GrubDisk;

    before(async () => {
      disk = await GrubDisk.create(kernel, over.signal);
    });
    after(async () => await disk.remove());
    beforeEach(async () => {
      await disk.place('a');
      await disk.place('b');
      await markGood(disk.esp, 'a');
    });

    /** Starts once, and holds what GRUB does against what the program thinks that it does. */
    async function start(): Promise<string> {
      const { slot, isTrial, after: left } = nextStart(await readChoice(disk.esp), ['a', 'b']);
      const { commandLine, console } = await disk.start(firmware);
      assert.ok(commandLine !== undefined, console);
      assert.match(commandLine, new RegExp(`bladeroot\\.slot=${slot} bladeroot\\.part=0000-${slot} `));
      assert.equal(commandLine.includes(' bladeroot.try '), isTrial, commandLine);
      assert.match(commandLine, / panic=10 console=ttyS0 quiet$/);
      assert.deepEqual(await readChoice(disk.esp), left);
      return `${slot}, ${left.trial?.tries} left`;
    }

    test('a slot on trial is started twice, then the last good one', async () => {
      await tryNext(disk.esp, 'b');
      const starts = [await start(), await start(), await start()];
      assert.deepEqual(starts, ['b, 1 left', 'b, 0 left', 'a, 0 left']);
    });

    test('switched off as soon as GRUB is there, or the kernel, it has tried once at the most, and starts', async () => {
      for (const moment of [/GRUB|Welcome/, /Linux version|Booting|STARTED/]) {
        await tryNext(disk.esp, 'b');
        await disk.start(firmware, { cut: moment });
        const { trial } = await readChoice(disk.esp);
        assert.equal(trial?.slot, 'b');
        assert.ok(trial.tries === 1 || trial.tries === 2, String(trial.tries));
        await start();
      }
    });

    test('a slot that is withdrawn is not started, and a kernel that cannot be loaded makes way for the other', async () => {
      await tryNext(disk.esp, 'b');
      await withdrawSlot(disk.esp, 'b', 'a', async () => undefined);
      assert.equal(await start(), 'a, undefined left');
      await disk.place('b');
      await truncate(join(disk.esp, 'bladeroot/a/vmlinuz'), 300);
      const { commandLine, console } = await disk.start(firmware);
      assert.match(commandLine ?? console, /bladeroot\.slot=b /);
    });

    test('with nothing to start, the firmware goes on to its next device', async () => {
      await withdrawSlot(disk.esp, 'a', undefined, async () => undefined);
      await withdrawSlot(disk.esp, 'b', undefined, async () => undefined);
      const { commandLine, console } = await disk.start(firmware);
      assert.equal(commandLine, undefined);
      assert.match(console, NO_DEVICE);
    });
  });
}
