/**
 * A web blade of examples/web-and-mail on a virtual machine: its secret arrives once the blade is approved, and nowhere else,
 * and what the blade is known by stays the same when it is deployed again.
 */
import assert from 'node:assert/strict';
import { chmod, copyFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { BLADEROOT, placeArgs } from '../../lab/demo/bladeroot.ts';
import { ProgramFailed, run } from '../../src/system/run.ts';
import type { LabBlade, LabFleet } from '../lab-fleet.fixture.ts';
import { assertRuns, EXAMPLE, exampleFleet, WEB01 } from './example.fixture.ts';

const SECRET = '/etc/shop/database-password';

let fleet: LabFleet;

before(async () => {
  fleet = await exampleFleet('example-secret', [WEB01]);
});

after(async () => await fleet.down());

/** The recovery identity; git keeps no mode but that of programs. */
async function recoveryKey(): Promise<string> {
  const path = join(fleet.directory, 'root', 'recovery.key');
  await copyFile(`${EXAMPLE}.recovery.key`, path);
  await chmod(path, 0o600);
  return path;
}

/** The password, as the recovery identity reads it. */
async function password(): Promise<string> {
  const show = ['secret', 'show', 'web', SECRET, '--identity', await recoveryKey()];
  return (await run(BLADEROOT, [...show, ...placeArgs(fleet.place)])).stdout.trim();
}

async function assertServes(blade: LabBlade): Promise<void> {
  await assertRuns(fleet, blade, ['ssh', 'nginx']);
  const page = await fleet.shell.get(`http://${blade.address}:8080/`);
  assert.match(page, new RegExp(`<h1>${blade.name} serves</h1>`));
}

/** What a blade is known by: its machine id and its host keys. */
async function knownBy(blade: LabBlade): Promise<string> {
  return await fleet.shell.on(blade, 'cat /etc/machine-id /etc/ssh/ssh_host_*_key.pub');
}

/** Files below these places that have the text in them as it is. */
async function filesWith(text: string, places: string[]): Promise<string[]> {
  try {
    const { stdout } = await run('grep', ['-rlF', '--devices=skip', '-e', text, '--', ...places]);
    return stdout.trim().split('\n');
  } catch (error) {
    // 1: there are none (grep(1)).
    if (error instanceof ProgramFailed && error.status === 1) return [];
    throw error;
  }
}

/** Where the secret must not be in clear, whoever has it: what is on the root, what programs have printed, what a console shows. */
function elsewhere(): string[] {
  const programs = fleet.lab.programs.flatMap(({ stdoutFile, stderrFile }) => [stdoutFile, stderrFile]);
  return [dirname(fleet.place.state), ...programs, fleet.lab.machine(WEB01.name).files.console];
}

let keysBefore: string;

test('a web blade whose identity nobody has accepted serves, without its secret', async () => {
  const { services, release } = await fleet.up(WEB01);
  assert.deepEqual({ services, release }, { services: 'running', release: 1 });
  await assertServes(WEB01);
  assert.equal(await fleet.shell.on(WEB01, `test -e ${SECRET} || echo none`), 'none');
  const { disk } = fleet.lab.machine(WEB01.name).files;
  assert.deepEqual(await filesWith(await password(), [disk, ...elsewhere()]), []);
  keysBefore = await knownBy(WEB01);
  assert.match(keysBefore, /^[0-9a-f]{32}\n[^]*ssh-ed25519 /);
});

test('approved by what its console shows, it gets the secret with the next release, and is known by the same keys', async () => {
  const shown = await fleet.lab.machine(WEB01.name).consoleText();
  const [, fingerprint = ''] = /the identity of this machine is ([0-9a-f-]+);/.exec(shown) ?? [];
  const accept = ['--fingerprint', fingerprint, '--identity', await recoveryKey()];
  await fleet.bladeroot('blade', 'approve', WEB01.name, ...accept);

  const { services, release, slot } = await fleet.up(WEB01, async () => await fleet.reboot(WEB01));
  assert.deepEqual([services, release, slot], ['running', 2, 'b']);
  await assertServes(WEB01);
  assert.equal(await fleet.shell.on(WEB01, `cat ${SECRET}`), await password());
  assert.equal(await fleet.shell.on(WEB01, `stat -c '%U %a' ${SECRET}`), 'www-data 400');
  assert.equal(await knownBy(WEB01), keysBefore);
});

test('the secret is on the disk of its blade, and nowhere else in clear', async () => {
  const clear = await password();
  const { disk } = fleet.lab.machine(WEB01.name).files;
  assert.deepEqual(await filesWith(clear, [disk, ...elsewhere()]), [disk]);
});
