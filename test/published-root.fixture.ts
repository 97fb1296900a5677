/** For tests: a first root with a small snapshot and a release of it, and its HTTP server on loopback. */
import assert from 'node:assert/strict';
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { TestContext } from 'node:test';
import { createApp } from '../src/api/app.ts';
import { CurrentRelease } from '../src/daemon/current-release.ts';
import { EventBus } from '../src/events/bus.ts';
import { folderOf } from '../src/fleet/folder.fixture.ts';
import { sampleElf, wholeImage, type Sample } from '../src/initrd/sample-image.fixture.ts';
import { createKeys, readPublicKey } from '../src/release/keys.ts';
import { ReleaseRepository } from '../src/release/repository.ts';
import { answerBootRequest } from '../src/serve/boot-http.ts';
import { DroppedPackets } from '../src/serve/dropped.ts';
import { openDatabase } from '../src/state/database.ts';
import { EventRepository } from '../src/state/events.ts';
import { MachineRepository } from '../src/state/machines.ts';
import { place, type Place } from './bladeroot.fixture.ts';

/** What a small image has to have so that a release can be made of it. */
const PUBLISHABLE: Sample = {
  ...wholeImage(),
  'usr/lib/systemd/systemd': 'ELF',
  'usr/lib/systemd/systemd-networkd': 'ELF',
  'usr/lib/systemd/system/systemd-networkd.service': '[Install]\nWantedBy=multi-user.target\n',
  'opt/bladeroot/bin/node': sampleElf({}),
  'opt/bladeroot/lib/agent.mjs': 'agent',
};

/** A first root: its fleet, a packed tree, and a release of both. */
export async function publishedRoot(t: TestContext, fleetFiles: Record<string, string>): Promise<Place> {
  const where = await place(t, fleetFiles);
  const tree = await folderOf(t, {});
  for (const [path, content] of Object.entries(PUBLISHABLE)) {
    await mkdir(dirname(join(tree, path)), { recursive: true });
    if (typeof content === 'string' || Buffer.isBuffer(content))
      await writeFile(join(tree, path), content, { mode: 0o755 });
    else await symlink(content.target, join(tree, path));
  }
  await createKeys(where.state);
  await succeeds(where, 'snapshot', 'pack', `${tree}/`);
  await succeeds(where, 'release', 'publish');
  return where;
}

export async function succeeds(where: Place, ...args: string[]): Promise<string> {
  const { status, stdout, stderr } = await where.bladeroot(args);
  assert.equal(status, 0, `${args.join(' ')}: ${stderr}`);
  return stdout;
}

/** The root's HTTP server with all that `serve` has behind it, for what is published now and later. */
export async function serveRoot(t: TestContext, where: Place) {
  const publicKey = await readPublicKey(where.state);
  const current = new CurrentRelease(new ReleaseRepository(where.state, publicKey), (error) =>
    assert.fail(String(error)),
  );
  await current.start();
  const database = openDatabase(where.state);
  const events = new EventRepository(database);
  const boot = {
    storeDirectory: join(where.state, 'store'),
    url: '',
    current: () => current.get(),
    plan: () => ({ kind: 'agent' as const }),
    whoIs: (address: string) => ({ blade: address }),
    onEvent: () => undefined,
  };
  const app = createApp({
    dropped: new DroppedPackets(() => undefined),
    bus: new EventBus(events),
    events,
    machines: new MachineRepository(database),
    current: () => current.get().statement,
    answerFirst: async (request, response) => await answerBootRequest(request, response, boot),
    onError: (error) => assert.fail(String(error)),
  });
  const url = await app.listen({ host: '127.0.0.1', port: 0 });
  t.after(async () => {
    await app.close();
    await current.stop();
    database.close();
  });
  return { url, publicKey, events, current };
}
