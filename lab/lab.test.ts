import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { Lab, removeLab } from './lab.ts';
import { attachProcess, isRunning, type ProcessId } from './process.ts';
import { OBSERVER, namespacesOf } from './segment.ts';
import { readState, type LabRequest } from './state.ts';

let count = 0;

/** A lab's request and directory that are this test's own, and are gone afterwards whatever happens. */
async function place(t: TestContext): Promise<{ request: LabRequest; directory: string }> {
  const directory = await mkdtemp(join(tmpdir(), 'bladeroot-lab-'));
  const name = `lab-${process.pid}-${count++}`;
  t.after(async () => {
    await removeLab(directory, name);
    await rm(directory, { recursive: true });
  });
  const machines = [{ name: 'web01', mac: '52:54:00:00:09:01', memoryMiB: 64, diskBytes: 1 << 20 }];
  const hosts = [{ name: 'root', address: '10.231.9.2/24' }];
  return { request: { name, address: '10.231.9.1/24', hosts, machines, accelerator: 'tcg' }, directory };
}

test('a host runs a program that says its lines, is reached from the segment, and stops when asked', async (t) => {
  const { request, directory } = await place(t);
  await using lab = await Lab.create(request, { directory });
  const listening = Promise.withResolvers<void>();
  const lines: string[] = [];
  const server = await lab.startProgram('echo', {
    host: 'root',
    program: process.execPath,
    args: ['-e', ECHO_SERVER],
    env: { GREETING: 'hello' },
    onLine: (line) => {
      lines.push(line);
      listening.resolve();
    },
  });
  await listening.promise;
  const again = { host: 'root', program: 'true' };
  await assert.rejects(lab.startProgram('echo', again), { code: 'PROGRAM_RUNNING' });
  const { stdout } = await lab.exec(OBSERVER, process.execPath, ['-e', FETCH]);
  assert.equal(stdout, 'hello');

  await server.stop();
  assert.equal(server.running(), false);
  assert.deepEqual(lines, ['listening', 'asked to end']);
  assert.equal(await readFile(server.stderrFile, 'utf8'), 'on stderr\n');
});

test('two labs live side by side, and a second one of the same name or directory is refused', async (t) => {
  const one = await place(t);
  const two = await place(t);
  await using first = await Lab.create(one.request, one);
  await using second = await Lab.create(two.request, two);
  await Promise.all([first.machine('web01').powerOn(), second.machine('web01').powerOn()]);
  await assert.rejects(Lab.create(one.request, one), { code: 'LAB_RUNNING' });
  const elsewhere = await place(t);
  await assert.rejects(Lab.create({ ...elsewhere.request, name: first.name }, elsewhere), {
    code: 'LAB_NAME_TAKEN',
  });
  await second.down();
  assert.equal(first.machine('web01').status().power, 'on');
});

test('another process sees the lab, and can take it down', async (t) => {
  const { request, directory } = await place(t);
  const lab = await Lab.create(request, { directory });
  await lab.machine('web01').powerOn();
  const other = await Lab.open(directory);
  assert.deepEqual(other.machine('web01').status(), lab.machine('web01').status());
  assert.throws(() => other.machine('web02'), { code: 'MACHINE_UNKNOWN', hint: 'it has web01' });
  await other.down();
  assert.equal((await lab.machine('web01').whenOff()).how, 'died', 'for its owner, who did not do it');
  await lab.down();
  await assert.rejects(Lab.open(directory), { code: 'LAB_MISSING' });
});

test('Ctrl-C takes the lab down, whether it is being built or stands', async (t) => {
  const { request, directory } = await place(t);
  await assert.rejects(
    Lab.create(request, { directory, signal: AbortSignal.abort(new Error('Ctrl-C')) }),
    /Ctrl-C/,
  );
  await assertGone(request.name, directory);

  const interrupt = new AbortController();
  const lab = await Lab.create(request, { directory, signal: interrupt.signal });
  const machine = lab.machine('web01');
  await machine.powerOn();
  const waiting = assert.rejects(machine.waitForConsole(/login:/, { timeoutMs: 20_000 }));
  interrupt.abort();
  await lab.down();
  await waiting;
  await assertGone(request.name, directory);
});

test('a host is destroyed with all that runs on it, and the rest goes on', async (t) => {
  const { request, directory } = await place(t);
  await using lab = await Lab.create(request, { directory });
  const program = await lab.startProgram('sleep', { host: 'root', program: 'sleep', args: ['60'] });
  await lab.removeHost('root');
  assert.equal((await program.exited()).signal, 'SIGKILL');
  await assert.rejects(lab.removeHost('root'), { code: 'HOST_UNKNOWN' });
  await lab.addHost({ name: 'root', address: '10.231.9.2/24' });
  assert.match((await lab.exec('root', 'ip', ['-4', 'address'])).stdout, /10\.231\.9\.2/);
});

for (const keep of [false, true]) {
  const fate = keep ? 'goes on when it is to be kept' : 'takes its programs with it';
  test(`a lab whose process is killed ${fate}, and is found and removed later`, async (t) => {
    const { request, directory } = await place(t);
    const started = await crashedLab({ ...request, keep }, directory);
    if (keep) {
      assert.ok(started.every(isRunning));
      await assert.rejects(Lab.create(request, { directory }), { code: 'LAB_RUNNING' });
      assert.equal((await Lab.open(directory)).machine('web01').status().power, 'on');
    } else {
      await Promise.all(started.map(async (id) => await attachProcess(id).ended(AbortSignal.timeout(5000))));
    }
    assert.equal((await namespacesOf(request.name)).length, 2);
    assert.equal(await removeLab(directory), true);
    assert.ok(!started.some(isRunning));
    await assertGone(request.name, directory);
    assert.equal(await removeLab(directory, request.name), false, 'nothing is left to remove');
  });
}

test('what a crash left is removed by the next lab, and by name alone where the state is lost', async (t) => {
  const { request, directory } = await place(t);
  await crashedLab(request, directory);
  const lab = await Lab.create(request, { directory });
  await rm(join(directory, 'lab.json'));
  assert.equal(await removeLab(directory, lab.name), true);
  assert.deepEqual(await namespacesOf(lab.name), []);
});

test('a request that cannot be is refused in one line, before anything is built', async (t) => {
  const { request, directory } = await place(t);
  await assert.rejects(Lab.create({ ...request, name: 'Bad Name', address: '10.0.0.1' }, { directory }), {
    code: 'LAB_REQUEST',
    message: /^the lab asked for is not possible: name: a name is .*; address: .*$/,
  });
  const twins = [...(request.machines ?? []), ...(request.machines ?? [])];
  await assert.rejects(Lab.create({ ...request, machines: twins }, { directory }), {
    code: 'LAB_REQUEST',
    message: 'there is a machine web01 with the MAC 52:54:00:00:09:01 already',
  });
  await assertGone(request.name, directory);
});

const ECHO_SERVER = `
  console.error('on stderr');
  process.once('SIGTERM', () => { console.log('asked to end'); process.exit(0); });
  require('net').createServer((socket) => socket.end(process.env.GREETING)).listen(7077, () => console.log('listening'));
`;

const FETCH = `require('net').connect(7077, '10.231.9.2').pipe(process.stdout)`;

/** Has another process build a lab with a machine and a program running, and kills it. What it had started. */
async function crashedLab(request: LabRequest, directory: string): Promise<ProcessId[]> {
  const builder = spawn(
    process.execPath,
    [
      '--input-type=module-typescript',
      '-e',
      `import { Lab } from '${import.meta.resolve('./lab.ts')}';
       const lab = await Lab.create(${JSON.stringify(request)}, { directory: ${JSON.stringify(directory)} });
       await lab.machine('web01').powerOn();
       await lab.startProgram('sleep', { host: 'root', program: 'sleep', args: ['300'] });
       console.log('built');
       setInterval(() => undefined, 1000);`,
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  await once(builder.stdout, 'data', { signal: AbortSignal.timeout(20_000) });
  const state = (await readState(join(directory, 'lab.json')))?.state;
  builder.kill('SIGKILL');
  await once(builder, 'exit');
  const ids = [...(state?.machines ?? []), ...(state?.programs ?? [])].map(({ process }) => process);
  return ids.filter((id) => id !== undefined);
}

/** Logs may stay; nothing else. */
async function assertGone(name: string, directory: string): Promise<void> {
  assert.deepEqual(await namespacesOf(name), []);
  await assert.rejects(access(join(directory, 'lab.json')), { code: 'ENOENT' });
  const files = await readdir(directory, { recursive: true, withFileTypes: true });
  const left = files.filter((file) => !file.isDirectory() && !/\.(?:log|out)$/.test(file.name));
  assert.deepEqual(left, []);
}
