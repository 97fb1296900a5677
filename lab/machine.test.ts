import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { after, before, test } from 'node:test';
import { run } from '../src/system/run.ts';
import { serialWriter } from './boot-sector.ts';
import { attachConsole } from './console.ts';
import { Lab } from './lab.ts';
import type { Machine } from './machine.ts';
import { OBSERVER } from './segment.ts';

/** Each test has its own machine in this lab, so that none waits for another's. */
let lab: Lab;
let directory: string;

before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'bladeroot-machine-'));
  lab = await Lab.create(
    { name: `machine-${process.pid}`, address: '10.231.8.1/24', accelerator: 'tcg' },
    { directory },
  );
});

after(async () => {
  await lab.down();
  await rm(directory, { recursive: true });
});

let count = 0;
async function machineWithDisk(bootOrder: 'disk-first' | 'network-first', sector: Buffer): Promise<Machine> {
  count += 1;
  const machine = await lab.addMachine({
    name: `m${count}`,
    mac: `52:54:00:00:08:0${count}`,
    memoryMiB: 64,
    diskBytes: 1 << 20,
    bootOrder,
  });
  const disk = await open(machine.files.disk, 'r+');
  await disk.write(sector);
  await disk.close();
  return machine;
}

test('a machine comes up from its disk, loses power, and comes up again', async () => {
  const machine = await machineWithDisk('disk-first', serialWriter('it runs'));
  assert.equal(machine.status().power, 'off');
  await machine.powerOn();
  assert.equal(machine.status().power, 'on');
  await assert.rejects(machine.powerOn(), { code: 'MACHINE_ON' });
  await assert.rejects(machine.destroyDisk(), { code: 'MACHINE_ON' });
  await machine.waitForConsole(/it runs/, { timeoutMs: 20_000 });
  assert.match(await machine.consoleText(), /^SeaBIOS/, 'logged from the first byte');

  const off = await machine.cut();
  assert.equal(off.how, 'cut');
  assert.match(off.lastWords, /it runs/);
  assert.equal(machine.status().power, 'off');

  const firstBoot = machine.consoleOffset;
  await machine.powerOn();
  assert.ok(machine.consoleOffset > firstBoot, 'a new section of the log');
  await machine.waitForConsole(/it runs/, { timeoutMs: 20_000 });
  await machine.reset();
  await machine.waitForConsole(/it runs/, { timeoutMs: 20_000 });

  // Nothing listens to the power button here, so the plug is pulled.
  assert.equal((await machine.powerOff(200)).how, 'cut');
  await machine.destroyDisk();
  await machine.powerOn();
  await machine.waitForConsole(/not a bootable disk/, { timeoutMs: 20_000 });
  await machine.cut();
});

test('"never came up" and "died" are different errors', async () => {
  const machine = await machineWithDisk('disk-first', serialWriter('alive'));
  await assert.rejects(machine.waitForConsole(/login:/, { timeoutMs: 1000 }), { code: 'MACHINE_OFF' });
  await machine.powerOn();
  await machine.waitForConsole(/alive/, { timeoutMs: 20_000 });
  await assert.rejects(machine.waitForConsole(/login:/, { timeoutMs: 100 }), {
    code: 'MACHINE_SILENT',
    message: /did not show \/login:\/ within 0\.1 s; last on its console: .*alive/,
  });
  const enough = AbortSignal.abort(new Error('enough'));
  await assert.rejects(machine.waitForConsole(/login:/, { timeoutMs: 1000, signal: enough }), /enough/);

  const waiting = assert.rejects(machine.waitForConsole(/login:/, { timeoutMs: 20_000 }), {
    code: 'MACHINE_DIED',
    message: /went off before it showed \/login:\/: QEMU ended by SIGABRT.*alive/,
  });
  const { stdout } = await run('ip', ['netns', 'pids', lab.segment.namespace(OBSERVER)]);
  const qemu = machine.pid;
  assert.ok(qemu !== undefined && stdout.split('\n').includes(String(qemu)), 'QEMU lives on the segment');
  process.kill(qemu, 'SIGABRT');
  await waiting;
  assert.equal((await machine.whenOff()).how, 'died');
});

test('a machine set to network first asks there, if it has a cable, and then boots its disk', async () => {
  const wired = await machineWithDisk('network-first', serialWriter('on its own disk'));
  const pulled = await machineWithDisk('network-first', serialWriter('on its own disk'));
  await pulled.setLink('down');
  await Promise.all(
    [wired, pulled].map(async (machine) => {
      await machine.powerOn();
      await machine.waitForConsole(/net0: 52:54:00:00:08:0\d using virtio-net/, { timeoutMs: 15_000 });
      await machine.waitForConsole(/on its own disk/, { timeoutMs: 60_000 });
    }),
  );
  // What the bridge learned is what it has heard from.
  const { stdout: heard } = await lab.exec(OBSERVER, 'bridge', ['fdb', 'show', 'dynamic']);
  assert.match(heard, new RegExp(wired.request.mac));
  assert.doesNotMatch(heard, new RegExp(pulled.request.mac));
  await pulled.setLink('up');
  await Promise.all([wired.cut(), pulled.cut()]);
});

test('a terminal joins the console, sees what the machine says, and leaves with Ctrl-]', async () => {
  const machine = await machineWithDisk('disk-first', serialWriter('seen on the terminal'));
  const input = new PassThrough();
  const output = new PassThrough();
  await assert.rejects(attachConsole(machine.files.consoleSocket, { input, output }), {
    code: 'CONSOLE_CLOSED',
  });
  await machine.powerOn();
  const attached = attachConsole(machine.files.consoleSocket, { input, output });
  let shown = '';
  while (!shown.includes('seen on the terminal')) {
    const [bytes] = await once(output, 'data', { signal: AbortSignal.timeout(20_000) });
    shown += String(bytes);
  }
  input.write('\u001D');
  assert.equal(await attached, 'left');

  const again = attachConsole(machine.files.consoleSocket, { input, output });
  input.resume();
  await machine.cut();
  assert.equal(await again, 'off');
});
