/** How a boot ended; and for one that stopped, where, and what usually causes it. A table, and no I/O. */
import { isBrokenOff, isMemoryTest, type Boot } from './boots.ts';
import { AGENT_STEPS, type BootStep, type RecordedEvent } from './catalogue.ts';

/** How a boot stands. Times in milliseconds. */
export type Outcome =
  | { kind: 'up'; after: number }
  | { kind: 'under way' }
  | { kind: 'stopped'; where: string; causes: string[] };

/** The last that is known of a boot. */
type Stage =
  | 'unknown'
  | 'discover'
  | 'offer'
  | 'request'
  | 'nak'
  | 'address'
  | 'loader-failed'
  | 'loader'
  | 'ipxe-address'
  | 'script'
  | 'local-disk'
  | 'memory-test'
  | 'kernel-broken'
  | 'kernel'
  | 'initrd-broken'
  | 'initrd'
  | 'system-address'
  | BootStep;

interface Stop {
  /** How long the next event may take, in seconds, on a slow machine. */
  within: number;
  where: string;
  causes: string[];
}

const WIRE = [
  'the reply did not reach it: another VLAN, a switch port without portfast (spanning tree keeps it closed for 30 s), a firewall on this machine',
];

const SLOW_WIRE = [
  'the network path loses packets: a bad cable, a duplex mismatch, an MTU that is smaller somewhere on the way',
  'it was switched off or reset',
];

const STOPS: Record<Stage, Stop> = {
  unknown: {
    within: 0,
    where: 'it asked for an address and got no answer, since no blade has its MAC',
    causes: [
      'the MAC in fleet.yaml is not that of the NIC it boots from',
      'the release was not published after the blade was added: run `bladeroot release publish`',
    ],
  },
  discover: {
    within: 60,
    where: 'it asked for an address (DISCOVER) and no OFFER could be sent',
    causes: [
      'the server could not send; its log says why',
      'the interface went down: run `bladeroot doctor`',
    ],
  },
  offer: {
    within: 60,
    where: 'it was offered an address and did not take it (OFFER without REQUEST)',
    causes: [
      'another DHCP server answered first: run `bladeroot doctor`, which finds it',
      ...WIRE,
      'the firmware waited for a boot server that it knows from another offer (port 4011)',
    ],
  },
  request: {
    within: 60,
    where: 'it asked for the address that it was offered (REQUEST), and no ACK could be sent',
    causes: ['the server could not send; its log says why', 'the server was restarted in this moment'],
  },
  nak: {
    within: 60,
    where: 'the address that it wanted was refused (NAK), and it did not ask anew',
    causes: [
      'it holds an address of another server or of an earlier fleet; a cold start makes it ask anew',
      'two DHCP servers are on the wire: run `bladeroot doctor`',
    ],
  },
  address: {
    within: 60,
    where: 'it has an address and did not fetch a loader',
    causes: [
      'TFTP (UDP port 69, and the ports that answers come from) is blocked between it and the root',
      'its firmware is of a kind for which the release has no loader',
      'another DHCP server or proxy told it another boot file',
      'network boot is not what it does after DHCP: look at its boot order',
    ],
  },
  'loader-failed': {
    within: 60,
    where: 'its loader could not be sent to the end',
    causes: [
      'a name that the release does not have: another DHCP server names the boot file',
      ...SLOW_WIRE,
      'its firmware cannot use large blocks over this wire',
    ],
  },
  loader: {
    within: 90,
    where: 'it got the loader, and iPXE did not ask for an address (no second DISCOVER)',
    causes: [
      'the firmware could not run it: Secure Boot refuses it, or it is for another kind of firmware (BIOS, UEFI)',
      'iPXE has no driver for this NIC',
      'the switch port is closed for some seconds after iPXE resets the NIC: turn on portfast',
    ],
  },
  'ipxe-address': {
    within: 60,
    where: 'iPXE has an address and did not fetch its script',
    causes: [
      'HTTP (TCP port 8067) is blocked between it and the root',
      'another DHCP server or proxy told iPXE another file',
    ],
  },
  script: {
    within: 120,
    where: 'it has its script and did not fetch the kernel whole',
    causes: [
      'it waits at the menu, or somebody chose something else there',
      'its iPXE cannot do what the script asks for: use the loader of the release',
      'the network fails under load: look at its screen for what iPXE says',
    ],
  },
  'local-disk': {
    within: 600,
    where: 'it was sent to its own disk, and did not say that it is up',
    causes: [
      'the firmware does not find the disk, or the boot loader there is damaged: have it deployed again',
      'the system on the disk hangs: look at its console',
      'it is up and does not reach a root: look at `systemctl status bladeroot` there',
    ],
  },
  'memory-test': {
    within: Infinity,
    where: 'the memory test was chosen from its menu',
    causes: ['it goes on until it is stopped; on UEFI it needs a graphics card'],
  },
  'kernel-broken': {
    within: 120,
    where: 'the kernel was broken off on its way',
    causes: [...SLOW_WIRE, 'it has too little memory'],
  },
  kernel: {
    within: 120,
    where: 'it has the kernel and did not fetch the initrd whole',
    causes: [...SLOW_WIRE, 'it has too little memory for kernel and initrd'],
  },
  'initrd-broken': {
    within: 120,
    where: 'the initrd was broken off on its way',
    causes: [...SLOW_WIRE, 'it has too little memory for the initrd'],
  },
  initrd: {
    within: 180,
    where: 'kernel and initrd were sent, and nothing was heard of the system in the initrd',
    causes: [
      "the driver of its NIC is missing in the initrd, or needs firmware files: put it into the tree's kernel packages and publish again",
      'the kernel does not start here: Secure Boot, a wrong console, or a kernel argument; look at its screen',
      'it has too little memory to unpack the initrd',
    ],
  },
  'system-address': {
    within: 120,
    where: 'the system has an address, and the agent did not report',
    causes: [
      'HTTP (TCP port 8067) is blocked between it and the root',
      'the agent could not start; its console says why',
      'no root has a release that the key in its initrd has signed',
    ],
  },
  dhcp: agentStop('its network was brought up', 120, ['look at its console']),
  agent: agentStop('the agent runs', 120, ['no root that it knows answers with a release']),
  release: agentStop('it found its release', 120, ['the agent waits for a disk, or cannot read it']),
  disk: agentStop('its disk was looked at', 300, [
    'the disk is slow or failing: look at the kernel messages on its console',
  ]),
  fetch: agentStop('it was fetching the image', 1800, [
    'the root was restarted or does not answer; the agent goes on by itself when it does',
    'the network path or its disk is very slow',
  ]),
  configure: agentStop('it was made into this blade', 120, ['the disk is full or failing']),
  'switch-root': agentStop('the agent started the system on the disk', 600, [
    'the services do not come up: look at its console',
    "the system's network differs from what the agent had: look at the blade's address and interface",
  ]),
  'boot-loader': agentStop('its disk is made bootable', 300, ['the ESP is full or damaged']),
  health: agentStop('its services run, and it was to prove healthy', 3900, [
    'its health checks do not pass: `bladeroot blade boots` and its console say which',
    'it has restarted into the last good slot, and will say so when it is up',
  ]),
  up: agentStop('it is up', Infinity, []),
  rescue: agentStop('it runs its rescue system', Infinity, [
    'it goes on until it is restarted, by SSH or at its console: `reboot -f`',
  ]),
};

function agentStop(where: string, within: number, causes: string[]): Stop {
  return { within, where: `${where}, and then nothing more was heard`, causes };
}

/**
 * How a boot ended, as far as is known at `now`.
 * @param superseded whether the machine has begun another boot since
 */
export function outcomeOf({ events }: Boot, now: number, superseded: boolean): Outcome {
  const first = events[0];
  const up = events.find(({ type }) => type === 'blade.up');
  if (first !== undefined && up !== undefined) return { kind: 'up', after: up.time - first.time };
  const { stage, event } = events.reduce<Followed>(follow, {
    stage: 'discover',
    event: first,
    client: undefined,
  });
  if (event?.type === 'blade.step' && event.state === 'failed') {
    const where = `${event.step} failed: ${event.message ?? 'no reason was told'}`;
    return { kind: 'stopped', where, causes: ['the agent tries again by itself; its console says more'] };
  }
  const { within, where, causes } = STOPS[stage];
  const silent = now - (events.at(-1)?.time ?? now);
  if (!superseded && silent < within * 1000) return { kind: 'under way' };
  return { kind: 'stopped', where: superseded ? `${where}; it started over` : where, causes };
}

interface Followed {
  stage: Stage;
  /** What brought it there. */
  event: RecordedEvent | undefined;
  /** Who last asked for an address. */
  client: 'firmware' | 'ipxe' | 'system' | undefined;
}

function follow(before: Followed, event: RecordedEvent): Followed {
  const client = 'client' in event && event.client !== undefined ? event.client : before.client;
  const stage = stageAfter(event, client, before.stage);
  return stage === undefined ? { ...before, client } : { stage, event, client };
}

function stageAfter(event: RecordedEvent, client: Followed['client'], before: Stage): Stage | undefined {
  switch (event.type) {
    case 'blade.step':
      return event.step;
    case 'blade.up':
      return 'up';
    case 'boot.loader':
      return isMemoryTest(event) ? 'memory-test' : 'loader';
    case 'boot.script':
      return event.message === 'local-disk' ? 'local-disk' : 'script';
    case 'boot.kernel':
      return isBrokenOff(event) ? 'kernel-broken' : 'kernel';
    case 'boot.initrd':
      return isBrokenOff(event) ? 'initrd-broken' : 'initrd';
    case 'boot.failed':
      return 'loader-failed';
    default:
      // A system that runs renews its lease now and then: that says nothing of how far the boot has come.
      return ON_DISK.has(before) ? undefined : stageOfDhcp(event.type, client);
  }
}

const ON_DISK: ReadonlySet<Stage> = new Set(['local-disk', ...AGENT_STEPS] satisfies Stage[]);

function stageOfDhcp(type: RecordedEvent['type'], client: Followed['client']): Stage | undefined {
  switch (type) {
    case 'dhcp.unknown':
      return 'unknown';
    case 'dhcp.discover':
      return 'discover';
    case 'dhcp.offer':
      return 'offer';
    case 'dhcp.request':
      return 'request';
    case 'dhcp.nak':
      return 'nak';
    case 'dhcp.ack':
      return client === 'system' ? 'system-address' : client === 'ipxe' ? 'ipxe-address' : 'address';
    default:
      return undefined;
  }
}
