/**
 * An Ethernet segment of its own: a network namespace with a bridge, further namespaces joined to it by veth pairs
 * (hosts), and taps for machines. Every device is made inside a namespace of the lab's, so that nothing of it is ever
 * seen in, or reached from, the network that this process lives in; and deleting the namespaces deletes it all.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { BladerootError, errorCode } from '../src/errors.ts';
import { run, type RunOptions, type RunResult } from '../src/system/run.ts';
import { exists } from '../src/system/read-file.ts';

/** The segment's own namespace seen as a place to run programs: the observer, with an address on the bridge. */
export const OBSERVER = 'observer';

/** Names a wire to a machine: the state of its link, as if the cable were pulled. */
export type LinkState = 'up' | 'down';

/** A lab has two segments; most need the near one only. */
export type SegmentName = 'near' | 'far';

export class Segment {
  readonly #lab: string;

  constructor(lab: string) {
    this.#lab = lab;
  }

  /**
   * Makes the namespace and nothing else. That is also how a lab takes its name: of two that try, one fails.
   * @throws BladerootError `LAB_NAME_TAKEN`
   */
  async claim(): Promise<void> {
    const taken = await namespacesOf(this.#lab);
    if (taken.length > 0) throw nameTaken(this.#lab);
    try {
      await run('ip', ['netns', 'add', namespaceName(this.#lab)]);
    } catch (error) {
      if ((await namespacesOf(this.#lab)).length > 0) throw nameTaken(this.#lab);
      throw error;
    }
  }

  /** Builds the bridge; `address` is the observer's, with its prefix length. */
  async build(address: string): Promise<void> {
    await this.#quieten(OBSERVER);
    await this.#addBridge(BRIDGE.near);
    await this.#addBridge(BRIDGE.far);
    await this.#ip(OBSERVER, ['addr', 'add', address, 'dev', BRIDGE.near]);
  }

  /** Joins a further namespace to the segment, as `eth0` with an address and its prefix length. */
  async addHost(host: string, port: string, address: string): Promise<void> {
    await run('ip', ['netns', 'add', this.namespace(host)]);
    await this.#quieten(host);
    await this.#plugIn(host, 'eth0', port, BRIDGE.near, address);
  }

  /** Makes a host a router: `eth1` on the far segment, with an address and its prefix length. */
  async joinFar(host: string, port: string, address: string): Promise<void> {
    await this.#plugIn(host, 'eth1', port, BRIDGE.far, address);
    await this.exec(host, 'tee', ['/proc/sys/net/ipv4/ip_forward'], { input: '1\n' });
  }

  /** Ends whatever runs in a host's namespace, and removes the namespace. */
  async removeHost(host: string): Promise<void> {
    await removeNamespace(this.namespace(host));
  }

  /** A tap device on a bridge for a machine. */
  async addTap(tap: string, segment: SegmentName = 'near'): Promise<void> {
    await this.#ip(OBSERVER, ['tuntap', 'add', 'dev', tap, 'mode', 'tap']);
    await this.#ip(OBSERVER, ['link', 'set', tap, 'master', BRIDGE[segment], 'up']);
  }

  /** Pulls the cable out of the switch, or puts it back; it stays so whatever the machine does. */
  async setLink(tap: string, state: LinkState): Promise<void> {
    await this.#ip(OBSERVER, ['link', 'set', tap, state]);
  }

  /** The name of the network namespace that a host, or the observer, lives in. */
  namespace(host: string): string {
    return namespaceName(this.#lab, host);
  }

  /** The command that runs a program on a host: for an owned child, or for a program on the user's own terminal. */
  command(host: string, program: string, args: string[]): [program: string, args: string[]] {
    return ['ip', ['netns', 'exec', this.namespace(host), program, ...args]];
  }

  /** Runs a program on a host (or the observer) to its end; fails as `run` does. */
  async exec(
    host: string,
    program: string,
    args: string[] = [],
    options: RunOptions = {},
  ): Promise<RunResult> {
    const [command, rest] = this.command(host, program, args);
    return await run(command, rest, options);
  }

  async #addBridge(name: string): Promise<void> {
    await this.#ip(
      OBSERVER,
      ['link', 'add', name, 'type', 'bridge'],
      // A port that listens and learns for 30 s first outlasts the patience of PXE.
      ['stp_state', '0', 'forward_delay', '0'],
      // With no querier on the segment, snooping would stop multicast after some minutes.
      ['mcast_snooping', '0'],
    );
    await this.#ip(OBSERVER, ['link', 'set', name, 'up']);
  }

  async #plugIn(host: string, device: string, port: string, bridge: string, address: string): Promise<void> {
    await this.#ip(
      OBSERVER,
      ['link', 'add', port, 'type', 'veth'],
      ['peer', 'name', device, 'netns', this.namespace(host)],
    );
    await this.#ip(OBSERVER, ['link', 'set', port, 'master', bridge, 'up']);
    await this.#ip(host, ['addr', 'add', address, 'dev', device]);
    await this.#ip(host, ['link', 'set', device, 'up']);
  }

  async #ip(host: string, ...args: string[][]): Promise<void> {
    await run('ip', ['-n', this.namespace(host), ...args.flat()]);
  }

  /** Loopback up, and no IPv6 of its own: router solicitations and DAD only clutter a capture of IPv4 boots. */
  async #quieten(host: string): Promise<void> {
    await this.#ip(host, ['link', 'set', 'lo', 'up']);
    const settings = ['all', 'default'].map((name) => `/proc/sys/net/ipv6/conf/${name}/disable_ipv6`);
    if (!(await exists(settings[0] ?? ''))) return;
    await this.exec(host, 'tee', settings, { input: '1\n' });
  }
}

/** Removes all of a lab's namespaces, with the programs in them, by their names: also those of a run that crashed. */
export async function removeSegment(lab: string): Promise<void> {
  for (const namespace of await namespacesOf(lab)) await removeNamespace(namespace);
}

/** The network namespaces that belong to a lab, hosts before the segment itself. */
export async function namespacesOf(lab: string): Promise<string[]> {
  const { stdout } = await run('ip', ['netns', 'list']);
  const names = stdout.split('\n').map((line) => line.split(' ')[0] ?? '');
  const own = namespaceName(lab);
  // The segment's own goes last: as long as it is there, the lab's name is taken.
  return [
    ...names.filter((name) => name.startsWith(`${own}${HOST_SEPARATOR}`)),
    ...names.filter((name) => name === own),
  ];
}

/** The observer has an address on the near one only, and its namespace does not route: a host joins the two, or nothing. */
const BRIDGE = { near: 'bridge', far: 'far-bridge' } as const;

/** No name of a lab or host holds a dot, so that lab `a` never takes `br-a-b` for one of its own. */
const HOST_SEPARATOR = '.';

function namespaceName(lab: string, host: string = OBSERVER): string {
  return host === OBSERVER ? `br-${lab}` : `br-${lab}${HOST_SEPARATOR}${host}`;
}

/**
 * Whatever runs in a namespace of ours is ours to end. A namespace that still has programs would live on without a
 * name when it is deleted, so it is emptied first.
 */
async function removeNamespace(namespace: string): Promise<void> {
  const deadline = Date.now() + EMPTY_TIMEOUT_MS;
  for (;;) {
    const { stdout } = await run('ip', ['netns', 'pids', namespace]);
    const pids = stdout.split('\n').filter((line) => line !== '');
    if (pids.length === 0) break;
    if (Date.now() > deadline) {
      throw new BladerootError(
        'LAB_NOT_EMPTY',
        `programs in the network namespace ${namespace} cannot be ended: ${pids.join(', ')}`,
      );
    }
    for (const pid of pids) killIfThere(Number(pid));
    await sleep(20);
  }
  await run('ip', ['netns', 'delete', namespace]);
}

const EMPTY_TIMEOUT_MS = 10_000;

function killIfThere(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if (errorCode(error) !== 'ESRCH') throw error;
  }
}

function nameTaken(lab: string): BladerootError {
  return new BladerootError(
    'LAB_NAME_TAKEN',
    `a lab called ${lab} is there already: there is a network namespace ${namespaceName(lab)}`,
    { hint: 'end it with `bladeroot lab down`, or give this lab another name' },
  );
}
