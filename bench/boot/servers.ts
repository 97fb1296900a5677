/** The servers that are measured: a root as it is, with a release made for it, and its peers. */
import { randomFillSync } from 'node:crypto';
import { mkdir, open, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { BladerootError } from '../../src/errors.ts';
import { seal } from '../../src/release/envelope.ts';
import { createKeys, readPrivateKey } from '../../src/release/keys.ts';
import { RELEASE_TYPE, type Blob, type ReleaseStatement } from '../../src/release/statement.ts';
import { sha256 } from '../../src/store/digest.ts';
import { blobPath, packPath } from '../../src/store/layout.ts';
import { run, type PipedChild } from '../../src/system/run.ts';
import { memoryOf } from '../process-memory.ts';
import { empty } from '../folder.ts';
import { servedIn, SIZES, type BootSetting } from './setting.ts';
import { bladeAddress, bladeMac, NETMASK, SERVER, SUBNET } from './wire.ts';

export const HTTP = `http://${SERVER.address}:8067`;
export const NGINX = `http://${SERVER.address}:8080`;
export const POOL = { from: '10.98.128.0', to: '10.98.250.255' };
export const BLADES = 5000;
/** A pack by a name that packs have; what is in it does not matter to those who send it. */
export const PACK = packPath(sha256(Buffer.from('pack')));

export interface RunningServer {
  name: string;
  /** Bytes of memory of all its processes. */
  memory(): number;
  stop(): Promise<void>;
}

/** Makes the files that everybody serves. */
export async function makeServed(setting: BootSetting): Promise<void> {
  const served = servedIn(setting);
  await mkdir(served, { recursive: true });
  for (const [name, size] of Object.entries(SIZES)) await makeFile(join(served, name), size);
}

/** A root's state directory, with a signed release of 5,000 blades and a pool. */
export async function makeRoot(setting: BootSetting): Promise<string> {
  const state = join(setting.work, 'root');
  await empty(state);
  await createKeys(state);
  const store = join(state, 'store');
  const blob = async (name: keyof typeof SIZES): Promise<Blob> => {
    const digest = sha256(Buffer.from(name));
    await link(join(servedIn(setting), name), join(store, blobPath(digest)));
    return { digest, bytes: SIZES[name] };
  };
  await link(join(servedIn(setting), 'pack'), join(store, PACK));
  const kernel = await blob('kernel');
  const overlay = await blob('loader');
  const statement: ReleaseStatement = {
    type: 'bladeroot-release',
    version: 1,
    fleet: 'bench',
    sequence: 1,
    created: new Date().toISOString(),
    snapshot: {
      id: sha256(Buffer.from('snapshot')),
      tree: 'bench',
    },
    kernel: {
      ...kernel,
      version: '6',
    },
    initrd: kernel,
    loaders: {
      loader: overlay,
      big: await blob('big'),
      small: await blob('small'),
    },
    config: overlay,
    networks: [
      {
        name: 'bench',
        subnet: SUBNET,
        dns: [],
        mode: 'server',
        pool: POOL,
      },
    ],
    blades: Array.from({ length: BLADES }, (_, number) => ({
      name: `blade${number}`,
      mac: bladeMac(number),
      address: bladeAddress(number),
      netmask: NETMASK,
      dns: [],
      kernelArgs: [],
      overlay,
    })),
  };
  await mkdir(join(state, 'releases'), { recursive: true });
  const sealed = seal(RELEASE_TYPE, statement, await readPrivateKey(state));
  await writeFile(join(state, 'releases', '1.json'), sealed);
  return state;
}

/** `bladeroot serve`, all of it, in a state of its own. */
export async function startRoot(setting: BootSetting, wrap: string[] = []): Promise<RunningServer> {
  const state = await makeRoot(setting);
  const program = fileURLToPath(new URL('../../bin/bladeroot', import.meta.url));
  const options = ['serve', '--state', state, '--json', '--interface', SERVER.device];
  const child = setting.wire.startServer([...wrap, program, ...options], setting.signal);
  const started = Promise.withResolvers<void>();
  // Read to the end: a pipe that is full would make it wait.
  createInterface(child.stdout).on('line', (line) => {
    if (line.includes('"root.started"')) started.resolve();
  });
  await Promise.race([started.promise, ended(child, 'bladeroot')]);
  return running('bladeroot', child);
}

/** A peer; `ready` is asked until it does not fail any more. */
export async function startPeer(
  setting: BootSetting,
  name: string,
  command: string[],
  ready: string[],
): Promise<RunningServer> {
  const child = setting.wire.startServer(command, setting.signal);
  child.stdout.resume();
  await Promise.race([
    setting.wire.runBeside(
      ['bash', '-c', 'for i in {1..100}; do "$@" && exit; sleep 0.1; done; exit 1', 'ready', ...ready],
      setting.signal,
    ),
    ended(child, name),
  ]);
  return running(name, child);
}

export const udpPort = (port: number): string[] => ['bash', '-c', `ss -lun | grep -q ':${port} '`];
export const tcpPort = (port: number): string[] => ['bash', '-c', `ss -ltn | grep -q ':${port} '`];

function running(name: string, child: PipedChild): RunningServer {
  return {
    name,
    memory: () => (child.pid === undefined ? 0 : memoryOf(child.pid)),
    stop: async () => {
      child.kill('SIGTERM');
      // Some end by the signal, some with a status of their own.
      await child.done.catch(() => undefined);
    },
  };
}

async function ended(child: PipedChild, name: string): Promise<never> {
  const said = await child.done;
  throw new BladerootError('BENCH_SERVER', `${name} ended at once: ${said}`);
}

async function makeFile(path: string, bytes: number): Promise<void> {
  const file = await open(path, 'w', 0o644);
  try {
    const piece = Buffer.alloc(1_000_000);
    for (let left = bytes; left > 0; left -= piece.length)
      await file.write(randomFillSync(piece), 0, Math.min(piece.length, left));
  } finally {
    await file.close();
  }
}

async function link(from: string, to: string): Promise<void> {
  await mkdir(dirname(to), { recursive: true });
  await run('ln', ['--force', from, to]);
}
