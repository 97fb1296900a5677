/** For tests of secrets: a fleet with two kinds of blades, and the agent's part of deploying one of them. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { sayHello } from '../src/agent/await-adoption.ts';
import { configure } from '../src/slot/configure.ts';
import { fetchImage, fetchRest } from '../src/slot/fetch-image.ts';
import { findRelease, type FoundRelease } from '../src/agent/find-release.ts';
import { keepIdentity } from '../src/agent/identity.ts';
import { fetchSecrets } from '../src/slot/lay-secrets.ts';
import { Reporter } from '../src/agent/reporter.ts';
import { identityOf, type Machine } from '../src/fleet/machine.ts';
import type { Identity } from '../src/secrets/identity-file.ts';
import { fetchBlob } from '../src/store/fetch.ts';
import { HttpSource } from '../src/store/http-source.ts';
import { Store } from '../src/store/store.ts';
import { run } from '../src/system/run.ts';
import { PROGRAM, type Place } from './bladeroot.fixture.ts';

export const WEB01 = '52:54:00:77:00:11';

export function fleetYaml(recovery: Identity, recipients: Record<string, string> = {}): string {
  const blade = (name: string, mac: string, address: string, rest: string): string =>
    `  ${name}: { mac: "${mac}", address: ${address}, ${rest}${name in recipients ? `, recipient: ${recipients[name]}` : ''} }\n`;
  return `name: lab
network: { subnet: 10.77.0.0/24 }
secrets: { recovery: [${recovery.recipient}] }
profiles:
  web: { overlays: [web] }
  db: { overlays: [db] }
blades:
${blade('web01', WEB01, '10.77.0.11', 'profile: web')}${blade('db01', '52:54:00:77:00:21', '10.77.0.21', 'profile: db')}`;
}

/** Words that stand nowhere by chance. */
export function secretWords(): string {
  return `the-key-is-${randomBytes(24).toString('hex')}`;
}

/** Gives what stands on stdin, which the fixture of the command line does not. */
export async function setFromStdin(
  where: Place,
  overlay: string,
  path: string,
  clear: string,
): Promise<string> {
  const env = { BLADEROOT_STATE: where.state, BLADEROOT_FLEET: where.fleet };
  const { stdout, stderr } = await run(PROGRAM, ['secret', 'set', overlay, path], { env, input: clear });
  return stdout + stderr;
}

/** What the agent does of its own, but for the disk: from the root's answer to a configured slot. */
export async function deploy(
  url: string,
  {
    machine,
    identity,
    publicKey,
    directory,
  }: {
    machine: Machine;
    identity: Identity;
    publicKey: Parameters<typeof findRelease>[1];
    directory: string;
  },
) {
  const said: string[] = [];
  const found = await findRelease([url], publicKey, identityOf(machine));
  assert.ok(found.blade !== undefined);
  const { blade, release }: FoundRelease = found;
  const reporter = new Reporter('boot', (line) => said.push(line));
  reporter.setTarget({ root: url, blade: blade.name });
  const state = join(directory, 'persist/bladeroot');
  const kept = await keepIdentity(state, identity);
  await sayHello(url, { ...machine, recipient: kept.recipient });
  const slot = join(directory, 'slot');
  await mkdir(slot);
  const source = new HttpSource(`${url}/store`);
  const mirror = await Store.open(join(state, 'store'));
  const request = { release, toRun: release, publicKey, source, mirror, directory: slot };
  await fetchImage(request);
  await fetchRest(request);
  const secrets = await fetchSecrets(source, blade, kept);
  await configure({
    directory: slot,
    mounts: [],
    overlay: await fetchBlob(source, blade.overlay.digest, blade.overlay.bytes),
    secrets,
    identity: kept,
    mac: machine.mac,
    identityDirectory: join(state, 'identity'),
  });
  reporter.done('configure', 'configured');
  await reporter.flush();
  return { slot, state, blade, secrets, said };
}

export async function fails(where: Place, args: string[], said: RegExp): Promise<void> {
  const { status, stdout, stderr } = await where.bladeroot(args);
  assert.deepEqual([status, stdout], [1, ''], stderr);
  assert.match(stderr, said);
  assert.equal(stderr.trimEnd().split('\n').length, 1, stderr);
}
