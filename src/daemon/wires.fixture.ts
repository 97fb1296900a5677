/** For tests: machines in network namespaces of their own, wires between them, and a root's DHCP on one of them. */
import { run, startPiped, type PipedChild, type RunResult } from '../system/run.ts';
import { Servers } from '../serve/segment.fixture.ts';
import type { Asked, Heard } from './ask.fixture.ts';
import type { DhcpFixture } from './dhcp.fixture.ts';

let made = 0;

export class Machine {
  readonly namespace: string;

  constructor(name: string) {
    made += 1;
    this.namespace = `bladeroot-wires-${process.pid}-${made}-${name}`;
  }

  async create(): Promise<void> {
    await run('ip', ['netns', 'add', this.namespace]);
    await this.ip('link', 'set', 'lo', 'up');
  }

  async remove(): Promise<void> {
    await run('ip', ['netns', 'delete', this.namespace]);
  }

  async ip(...args: string[]): Promise<RunResult> {
    return await run('ip', ['-n', this.namespace, ...args]);
  }

  async run(program: string, ...args: string[]): Promise<RunResult> {
    return await run('ip', ['netns', 'exec', this.namespace, program, ...args]);
  }

  start(program: string, ...args: string[]): PipedChild {
    return startPiped('ip', ['netns', 'exec', this.namespace, program, ...args]);
  }

  async startDhcp(settings: DhcpFixture): Promise<Servers> {
    const program = new URL('dhcp.fixture.ts', import.meta.url).pathname;
    const servers = new Servers(this.start(process.execPath, program, JSON.stringify(settings)));
    await servers.until('ready');
    return servers;
  }

  async ask(asked: Asked): Promise<Heard[]> {
    const program = new URL('ask.fixture.ts', import.meta.url).pathname;
    const { stdout } = await this.run(process.execPath, program, JSON.stringify(asked));
    return stdout.split('\n').flatMap((line): Heard[] => (line === '' ? [] : [JSON.parse(line)]));
  }
}

/** A wire between two machines; `address` such as `10.99.0.1/24`. */
export interface End {
  machine: Machine;
  device: string;
  address?: string;
  mac?: string;
}

export async function connect(a: End, b: End): Promise<void> {
  const link = ({ machine, device, mac }: End): string[] => [
    ...(mac === undefined ? [] : ['address', mac]),
    'netns',
    machine.namespace,
    'name',
    device,
  ];
  await run('ip', ['link', 'add', ...link(a), 'type', 'veth', 'peer', ...link(b)]);
  for (const { machine, device, address } of [a, b]) {
    if (address !== undefined) await machine.ip('address', 'add', address, 'dev', device);
    await machine.ip('link', 'set', 'dev', device, 'up');
  }
}

/** A switch: each machine's wire ends in a bridge. */
export class Switch extends Machine {
  #ports = 0;

  override async create(): Promise<void> {
    await super.create();
    await this.ip('link', 'add', 'bridge', 'type', 'bridge');
    await this.ip('link', 'set', 'bridge', 'up');
  }

  async plug(end: End): Promise<void> {
    const device = `port${(this.#ports += 1)}`;
    await connect(end, { machine: this, device });
    await this.ip('link', 'set', 'dev', device, 'master', 'bridge');
  }
}
