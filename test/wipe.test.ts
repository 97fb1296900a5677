/** A blade whose disk carries something: agent, root and command line, on a disk of their own; all but the wire between them. */
import assert from 'node:assert/strict';
import { stat } from 'node:fs/promises';
import { test } from 'node:test';
import { z } from 'zod';
import { awaitDisks } from '../src/agent/await-disks.ts';
import { findRelease } from '../src/agent/find-release.ts';
import { writeTable } from '../src/storage/lay-out.ts';
import { inspectLoop, loopDisk, type LoopDisk } from '../src/storage/loop-disk.fixture.ts';
import { Reporter } from '../src/agent/reporter.ts';
import { planDisks } from '../src/disks/plan.ts';
import { sampleMachine } from '../src/fleet/machine.fixture.ts';
import { identityOf } from '../src/fleet/machine.ts';
import { releaseLayout } from '../src/release/statement.ts';
import { HttpSource } from '../src/store/http-source.ts';
import { run } from '../src/system/run.ts';
import { publishedRoot, serveRoot, succeeds } from './published-root.fixture.ts';

const MAC = '52:54:00:77:00:11';
const FLEET = `name: lab
network: { subnet: 10.77.0.0/24, pool: { from: 10.77.0.200, to: 10.77.0.250 } }
profiles:
  web: { disks: { slot: 256MiB } }
blades:
  web01: { mac: "${MAC}", address: 10.77.0.11, profile: web } # rack 1
`;

const planSchema = z.object({
  action: z.string(),
  ifWiped: z.object({ action: z.string(), loses: z.array(z.string()), fingerprint: z.string() }).optional(),
});

/** One partition with a file system, as another system leaves it. */
async function useDisk({ device }: LoopDisk): Promise<void> {
  await run('sfdisk', ['--quiet', device], { input: 'label: gpt\nstart=1MiB, size=64MiB, name=home\n' });
  const part = ['--offset', String(1024 ** 2), '--sizelimit', String(64 * 1024 ** 2)];
  const home = (await run('losetup', ['--find', '--show', ...part, device])).stdout.trim();
  await run('mkfs.ext4', ['-q', '-F', home]);
  await run('losetup', ['--detach', home]);
}

test('a disk that carries anything waits for `blade adopt --wipe`, and then is wiped once, with what it carried', async (t) => {
  const where = await publishedRoot(t, { 'fleet.yaml': FLEET });
  const { url, publicKey, events } = await serveRoot(t, where);
  const disk = await loopDisk(t, 3 * 1024 ** 3);
  await useDisk(disk);
  const written = async (): Promise<unknown> => {
    const { blocks, mtimeMs } = await stat(disk.image);
    return { blocks, mtimeMs, found: await inspectLoop(disk) };
  };
  const before = await written();

  const machine = sampleMachine({ mac: MAC, disks: [await inspectLoop(disk)] });
  const said: string[] = [];
  const refused = Promise.withResolvers<undefined>();
  const heard = Promise.withResolvers<undefined>();
  const reporter = new Reporter('boot', (line) => {
    said.push(line);
    if (line.startsWith('disk failed')) refused.resolve(undefined);
  });
  const gone = new AbortController();
  t.after(() => gone.abort());
  const asked = await findRelease([url], publicKey, identityOf(machine));
  assert.ok(asked.blade !== undefined);
  reporter.setTarget({ root: url, blade: 'web01' });
  let waits = 0;
  const ready = awaitDisks({
    found: asked,
    machine,
    roots: [url],
    publicKey,
    reporter,
    sourceOf: (root) => new HttpSource(`${root}/store`),
    inspect: async () => [await inspectLoop(disk)],
    wait: async () => {
      gone.signal.throwIfAborted();
      // At the second one the root has been told.
      if (++waits === 2) heard.resolve(undefined);
      await new Promise((resolve) => setTimeout(resolve, 20));
    },
  });
  await refused.promise;
  await heard.promise;
  const carries = `${disk.device}p1 "home" (ext4, 64 MiB)`;
  assert.ok(
    said.some((line) => line.includes(`${disk.device} is not blank, it carries ${carries}`)),
    said.join('\n'),
  );
  assert.ok(said.some((line) => line.includes('`bladeroot blade adopt web01 --wipe`')));
  assert.deepEqual(await written(), before, 'nothing was written');

  assert.match(
    await succeeds(where, 'blade', 'list', '--pending'),
    /web01 \(52:54:00:77:00:11, seen now\) waits for its disks: .*"home"/,
  );
  const text = await succeeds(where, 'blade', 'disks', 'web01', '--plan');
  assert.ok(text.includes(`this is lost:\n  ${carries}\n`), text);
  assert.match(text, /bladeroot-persist +1 GiB +2 GiB +ext4 +\/persist +new\n$/);
  const plan = planSchema.parse(
    JSON.parse(await succeeds(where, 'blade', 'disks', 'web01', '--plan', '--json')),
  );
  assert.deepEqual(
    [plan.action, plan.ifWiped?.action, plan.ifWiped?.loses],
    ['refuse', 'lay-out', [carries]],
  );

  const unasked = await where.bladeroot(['blade', 'adopt', 'web01', '--wipe']);
  assert.deepEqual([unasked.status, /no terminal/.test(unasked.stderr)], [1, true], unasked.stderr);
  await succeeds(where, 'blade', 'adopt', 'web01', '--wipe', '--yes');
  const { plan: allowed, found } = await ready;
  assert.ok(allowed !== undefined);
  assert.equal(found.release.statement.message, `web01 may wipe ${disk.device}`);
  assert.deepEqual([allowed.action, allowed.loses], ['lay-out', [carries]]);
  assert.equal(releaseLayout(found.blade).wipe, plan.ifWiped?.fingerprint);
  await reporter.flush();
  assert.ok(
    events
      .since(0)
      .some((event) => event.type === 'blade.step' && event.state === 'failed' && event.step === 'disk'),
  );

  await writeTable(allowed);
  const layout = releaseLayout(found.blade);
  const laidOut = planDisks([await inspectLoop(disk)], layout, 0);
  assert.equal(laidOut.action, 'change', 'it is kept from now on, and gets its file systems');
  // Somebody uses the disk for something else, and the same release is still in force.
  await run('wipefs', ['--all', '--quiet', disk.device]);
  await useDisk(disk);
  assert.equal(planDisks([await inspectLoop(disk)], layout, 0).action, 'refuse');

  const again = await where.bladeroot(['blade', 'adopt', 'web01', '--yes']);
  assert.match(again.stderr, /missing argument 'name'/);
});

test('a machine without a name can get it with the permission to wipe its disk', async (t) => {
  const where = await publishedRoot(t, { 'fleet.yaml': FLEET });
  const { url } = await serveRoot(t, where);
  const disk = await loopDisk(t, 3 * 1024 ** 3);
  await useDisk(disk);
  const machine = sampleMachine({ mac: '52:54:00:77:00:99', disks: [await inspectLoop(disk)] });
  await fetch(`${url}/api/v1/machines`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(machine),
  });
  await succeeds(where, 'blade', 'adopt', machine.mac, 'web02', '--profile', 'web', '--wipe', '--yes');
  const show = z.object({ disks: z.object({ wipe: z.string() }) });
  const { disks } = show.parse(JSON.parse(await succeeds(where, 'blade', 'show', 'web02', '--json')));
  assert.match(disks.wipe, /^[0-9a-f]{32}$/);
  assert.match(
    await succeeds(where, 'blade', 'disks', 'web02', '--plan'),
    /^web02: \/dev\/loop\d+ is laid out; this is lost: .*"home"/,
  );
  assert.match(await succeeds(where, 'blade', 'disks', 'web02'), /^DISK .*\n\/dev\/loop\d+ +3 GiB .*"home"/);
});
