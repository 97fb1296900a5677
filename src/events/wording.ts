/** Events in words, as a boot's story tells them. */
import { isBrokenOff } from './boots.ts';
import type { RecordedEvent, UpReport } from './catalogue.ts';

const CLIENTS = { firmware: ' by the firmware', ipxe: ' by iPXE', system: ' by the system' } as const;

/** What happened, on one line. */
export function describeEvent(event: RecordedEvent): string {
  const message = 'message' in event && event.message !== undefined ? `: ${event.message}` : '';
  switch (event.type) {
    case 'dhcp.unknown':
      return `asked for an address${event.client === undefined ? '' : CLIENTS[event.client]}, and got none${message}`;
    case 'boot.loader':
      return `loader${message}`;
    case 'boot.script':
      return `script${message}${event.reason === undefined ? '' : ` (${event.reason})`}`;
    case 'boot.kernel':
    case 'boot.initrd':
      return `${event.type.slice('boot.'.length)}${sizeOf(event)}${message}`;
    case 'boot.failed':
      return `could not be sent${message}`;
    case 'blade.step':
      return `${event.step} ${event.state}${message}`;
    case 'blade.up':
      return `up with release ${event.release} ${event.slot === undefined ? 'in memory' : `in slot ${event.slot}`}, from ${event.from}; services: ${event.services}${badText(event)}`;
    case 'blade.update':
      return `update ${event.state}${message}`;
    case 'blade.mirror':
      return event.message;
    default:
      if (event.type.startsWith('dhcp.') && 'mac' in event) {
        const client = 'client' in event && event.client !== undefined ? CLIENTS[event.client] : '';
        return `${event.type.slice('dhcp.'.length).toUpperCase()}${client}${message}`;
      }
      return `${event.type}${message}`;
  }
}

function badText({ bad }: UpReport): string {
  return bad === undefined ? '' : `; fell back, as release ${bad.release} was bad here: ${bad.reason}`;
}

function sizeOf(event: { done?: number | undefined; total?: number | undefined }): string {
  const { done, total } = event;
  if (done === undefined || total === undefined) return '';
  return isBrokenOff(event)
    ? `, broken off after ${megabytes(done)} of ${megabytes(total)}`
    : `, ${megabytes(total)}`;
}

function megabytes(count: number): string {
  return `${(count / 1e6).toFixed(1)} MB`;
}
