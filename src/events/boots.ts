/** Which events make one boot of one machine: pure, so that the program, the lab and tests see the same boots. */
import type { RecordedEvent } from './catalogue.ts';

/** One boot of one machine, from its first word to its last. */
export interface Boot {
  /** The blade's name; the MAC of a machine that is no blade. */
  machine: string;
  /** At least one, in the order in which they were recorded. */
  events: RecordedEvent[];
}

/** The stations that a boot passes, in their order. */
export const STATIONS = [
  'DHCP',
  'loader',
  'script',
  'kernel',
  'initrd',
  'agent',
  'fetch',
  'unpacked',
  'configured',
  'services up',
] as const;

export type Station = (typeof STATIONS)[number];

/**
 * A machine that is silent for so long and then asks for an address again was switched on again, in milliseconds.
 * Firmware that gets no answer asks for about a minute (EDK2: 4, 8, 16 and 32 seconds).
 */
const SILENCE_MS = 120_000;

/** The station that a machine has reached with this event; undefined for what is none, such as an OFFER. */
export function stationOf(event: RecordedEvent): Station | undefined {
  switch (event.type) {
    case 'dhcp.discover':
    case 'dhcp.unknown':
      return event.client === 'system' ? undefined : 'DHCP';
    case 'boot.loader':
      return isMemoryTest(event) ? undefined : 'loader';
    case 'boot.script':
      return 'script';
    case 'boot.kernel':
      return isBrokenOff(event) ? undefined : 'kernel';
    case 'boot.initrd':
      return isBrokenOff(event) ? undefined : 'initrd';
    case 'blade.step':
      return stationOfStep(event);
    case 'blade.up':
      return 'services up';
    default:
      return undefined;
  }
}

function stationOfStep({ step, state }: Extract<RecordedEvent, { type: 'blade.step' }>): Station | undefined {
  if (state === 'failed') return undefined;
  if (step === 'agent') return 'agent';
  if (step === 'fetch' && state === 'started') return 'fetch';
  if (step === 'fetch' && state === 'done') return 'unpacked';
  return step === 'configure' && state === 'done' ? 'configured' : undefined;
}

/** Whether it was chosen from the menu, with which a boot goes no further. */
export function isMemoryTest(event: RecordedEvent): boolean {
  return event.type === 'boot.loader' && event.message?.startsWith('memtest.') === true;
}

/** Whether a file was asked for and did not arrive whole. */
export function isBrokenOff(event: { done?: number | undefined; total?: number | undefined }): boolean {
  return event.done !== undefined && event.total !== undefined && event.done < event.total;
}

/**
 * Puts events into boots, the one that began first in front. Each event of a machine is in exactly one boot, and the order
 * is kept; what is of no machine is in none. What was known by its MAC alone counts to the blade that it became.
 * @param events in the order of their numbers
 */
export function bootsOf(events: readonly RecordedEvent[]): Boot[] {
  const names = new Map<string, string>();
  for (const event of events) {
    if (!('mac' in event && 'blade' in event)) continue;
    if (event.mac !== undefined && event.blade !== undefined) names.set(event.mac, event.blade);
  }
  const boots: OpenBoot[] = [];
  const newest = new Map<string, OpenBoot>();
  const byKernel = new Map<string, OpenBoot>();
  for (const event of events) {
    const machine = machineOf(event, names);
    if (machine === undefined) continue;
    const told = kernelBoot(event);
    // A blade that finds no root tells it later, perhaps after it was switched on again.
    let boot = told === undefined ? undefined : byKernel.get(`${machine} ${told}`);
    const current = newest.get(machine);
    boot ??= current !== undefined && !beginsAnother(current, event) ? current : undefined;
    if (boot === undefined) {
      boot = { machine, events: [], reached: -1, up: false, kernel: undefined };
      boots.push(boot);
      newest.set(machine, boot);
    }
    if (told !== undefined) byKernel.set(`${machine} ${told}`, boot);
    add(boot, event);
  }
  return boots.map(({ machine, events: its }) => ({ machine, events: its }));
}

interface OpenBoot extends Boot {
  /** The index of the furthest station. */
  reached: number;
  up: boolean;
  /** The kernel's boot_id, once it is known. */
  kernel: string | undefined;
}

function machineOf(event: RecordedEvent, names: ReadonlyMap<string, string>): string | undefined {
  if ('blade' in event && event.blade !== undefined) return event.blade;
  if (!('mac' in event) || event.mac === undefined) return undefined;
  return names.get(event.mac) ?? event.mac;
}

function kernelBoot(event: RecordedEvent): string | undefined {
  return event.type === 'blade.step' || event.type === 'blade.up' ? event.boot : undefined;
}

function add(boot: OpenBoot, event: RecordedEvent): void {
  boot.events.push(event);
  const station = stationOf(event);
  if (station !== undefined) boot.reached = Math.max(boot.reached, STATIONS.indexOf(station));
  boot.kernel ??= kernelBoot(event);
  if (event.type === 'blade.up') boot.up = true;
}

/** A machine that is back at an earlier station than it was at has started over. */
function beginsAnother(boot: OpenBoot, event: RecordedEvent): boolean {
  const told = kernelBoot(event);
  if (told !== undefined) return boot.up || (boot.kernel !== undefined && boot.kernel !== told);
  const station = stationOf(event);
  if (station === undefined) return false;
  if (boot.up) return true;
  const last = boot.events.at(-1);
  const silence = last === undefined ? 0 : event.time - last.time;
  if (station === 'DHCP' && silence > SILENCE_MS) return true;
  return boot.reached > furthestBefore(event, station);
}

/**
 * How far a boot may have come when this happens in it: firmware asks first, iPXE asks again after it was loaded, loaders
 * come in parts, scripts and the files that they name are asked for again when they did not arrive.
 */
function furthestBefore(event: RecordedEvent, station: Station): number {
  const at = (name: Station): number => STATIONS.indexOf(name);
  if (station === 'DHCP') {
    if (!('client' in event) || event.client === undefined) return at('initrd');
    return event.client === 'firmware' ? at('DHCP') : at('loader');
  }
  if (station === 'loader') return at('loader');
  return station === 'script' ? at('script') : at('initrd');
}
