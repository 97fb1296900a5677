/**
 * For tests: `bladeroot serve`, the real program, in a network namespace of its own, with a release for web01 behind it,
 * and a wire to another namespace for its clients.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import type { TestContext } from 'node:test';
import type { RecordedEvent } from '../src/events/catalogue.ts';
import { createKeys, readPrivateKey, readPublicKey } from '../src/release/keys.ts';
import { ReleaseRepository } from '../src/release/repository.ts';
import { blobOf, sampleRelease, sampleStatement } from '../src/release/release.fixture.ts';
import { blobPath } from '../src/store/layout.ts';
import { Store } from '../src/store/store.ts';
import { run, type RunResult } from '../src/system/run.ts';
import { folderOf } from '../src/fleet/folder.fixture.ts';
import { PROGRAM } from './bladeroot.fixture.ts';

export const WIRE = {
  server: 'wire0',
  client: 'wire1',
  address: '10.99.0.1',
  mac: '52:54:00:00:00:0b',
  blade: 'web01',
  bladeAddress: '10.99.0.11',
  /** An address of the segment's that no release knows. */
  stranger: '10.99.0.50',
};

/** What is served, by its name. */
export const SERVED = { kernel: 'a kernel', initrd: 'an initrd', loader: 'a loader. '.repeat(20_000) };

export const needsRoot = process.geteuid?.() === 0 ? false : 'network namespaces need root rights';

let wires = 0;

/** Two namespaces and the wire between them, gone when the test is over. */
export class Wire {
  readonly server: string;
  readonly client: string;

  private constructor(name: string) {
    this.server = `${name}-s`;
    this.client = `${name}-c`;
  }

  static async make(t: TestContext): Promise<Wire> {
    const wire = new Wire(`bladeroot-t${process.pid}-${++wires}`);
    const { server, client } = wire;
    for (const namespace of [server, client]) {
      await run('ip', ['netns', 'add', namespace]);
      t.after(() => run('ip', ['netns', 'delete', namespace]));
      await run('ip', ['-n', namespace, 'link', 'set', 'lo', 'up']);
    }
    const far = ['peer', 'name', WIRE.client, 'address', WIRE.mac, 'netns', client];
    await run('ip', ['link', 'add', WIRE.server, 'netns', server, 'type', 'veth', ...far]);
    await run('ip', ['-n', server, 'address', 'add', `${WIRE.address}/24`, 'dev', WIRE.server]);
    await run('ip', ['-n', server, 'link', 'set', WIRE.server, 'up']);
    await run('ip', ['-n', client, 'link', 'set', WIRE.client, 'up']);
    return wire;
  }

  async inServer(program: string, ...args: string[]): Promise<RunResult> {
    return await run('ip', ['netns', 'exec', this.server, program, ...args]);
  }

  async inClient(program: string, ...args: string[]): Promise<RunResult> {
    return await run('ip', ['netns', 'exec', this.client, program, ...args]);
  }
}

/** A state directory with keys, a store and a release for web01, which everybody may enter. */
export async function stateWithRelease(t: TestContext, loader: string = SERVED.loader): Promise<string> {
  const directory = await folderOf(t, {});
  await chmod(directory, 0o755);
  const state = join(directory, 'state');
  await createKeys(state);
  await Store.open(join(state, 'store'));
  for (const content of [SERVED.kernel, SERVED.initrd, loader]) {
    const path = join(state, 'store', blobPath(blobOf(content).digest));
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, content);
  }
  const blades = sampleStatement()
    .blades.slice(0, 1)
    .map((blade) => ({ ...blade, name: WIRE.blade, mac: WIRE.mac, address: WIRE.bladeAddress }));
  const release = sampleRelease(await readPrivateKey(state), {
    kernel: { ...blobOf(SERVED.kernel), version: '6.1.0' },
    initrd: blobOf(SERVED.initrd),
    loaders: { 'undionly.kpxe': blobOf(loader) },
    blades,
  });
  await new ReleaseRepository(state, await readPublicKey(state)).put(release);
  return state;
}

/** A running `bladeroot serve`. */
export class Serving {
  readonly events: RecordedEvent[] = [];
  readonly pid: number;
  readonly #child: ChildProcess;
  #stderr = '';
  #changed = Promise.withResolvers<void>();

  private constructor(child: ChildProcess & { stdout: Readable; stderr: Readable }) {
    this.#child = child;
    this.pid = child.pid ?? 0;
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr += text;
      this.#wake();
    });
    createInterface(child.stdout).on('line', (line) => {
      this.events.push(JSON.parse(line));
      this.#wake();
    });
    child.once('close', () => this.#wake());
  }

  /** Starts it; `through` is a program before it, such as `setpriv` with its arguments. Resolves when it serves. */
  static async start(
    wire: Wire,
    state: string,
    {
      args = [],
      through = [],
      descriptors = [],
    }: { args?: string[]; through?: string[]; descriptors?: number[] } = {},
  ): Promise<Serving> {
    const command = [...through, PROGRAM, 'serve', '--json', '--state', state, ...args];
    const child = spawn('ip', ['netns', 'exec', wire.server, ...command], {
      stdio: ['ignore', 'pipe', 'pipe', ...descriptors],
    });
    const { stdout, stderr } = child;
    if (stdout === null || stderr === null) throw new Error('no pipes');
    const serving = new Serving(Object.assign(child, { stdout, stderr }));
    await serving.until('root.started');
    return serving;
  }

  get stderr(): string {
    return this.#stderr;
  }

  /** Resolves with the first event of a type after the `from`th; rejects when the program ends before. */
  async until(type: RecordedEvent['type'], from = 0): Promise<RecordedEvent> {
    for (;;) {
      const found = this.events.slice(from).find((event) => event.type === type);
      if (found !== undefined) return found;
      if (this.#child.exitCode !== null || this.#child.signalCode !== null) {
        throw new Error(`bladeroot serve ended before ${type}: ${this.#stderr}`);
      }
      await this.#changed.promise;
    }
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const closed = once(this.#child, 'close');
    this.#child.kill(signal);
    await closed;
  }

  #wake(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }
}

/** A root that serves its release, to a client with an address that no release knows. */
export async function serveStranger(
  t: TestContext,
): Promise<{ wire: Wire; state: string; serving: Serving }> {
  const [wire, state] = [await Wire.make(t), await stateWithRelease(t)];
  const serving = await Serving.start(wire, state);
  t.after(() => serving.stop());
  await run('ip', ['-n', wire.client, 'address', 'add', `${WIRE.stranger}/24`, 'dev', WIRE.client]);
  return { wire, state, serving };
}
