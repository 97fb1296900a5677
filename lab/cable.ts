/**
 * What the cable of a machine does to its frames, where it is no plain one: it loses some, delivers them late, or hides from
 * servers that the machine's ROM is iPXE. Userspace does it (`cable-program.ts`), because netem is missing in many kernels.
 * What is decided here is pure.
 */
import type { Cable, MachineState } from './state.ts';

/** UDP ports on the observer's loopback: QEMU's two ends, and the cable's end of each. */
export interface CablePorts {
  inside: number;
  cableInside: number;
  outside: number;
  cableOutside: number;
}

export interface CableSettings extends Cable {
  /** Whether a ROM that is iPXE is to pass for one that is not, until it has asked for a loader. */
  hidesIpxe: boolean;
}

/** What a machine's cable is to do; undefined for a plain one. */
export function cableOf(request: MachineState['request']): CableSettings | undefined {
  const hidesIpxe = request.netboot === 'chained-ipxe';
  if (request.cable === undefined && !hidesIpxe) return undefined;
  return { loss: 0, delayMs: 0, ...request.cable, hidesIpxe };
}

/** By the number in the name of the machine's tap, which no other machine of the lab has. */
export function cablePorts(tap: string): CablePorts {
  const first = 20_000 + 4 * Number(/\d+$/.exec(tap)?.[0] ?? 0);
  return { inside: first, cableInside: first + 1, outside: first + 2, cableOutside: first + 3 };
}

const IPV4 = 0x0800;
const UDP = 17;
const ETHERNET_BYTES = 14;
const DHCP_SERVER = 67;
const PXE_SERVER = 4011;
const TFTP_SERVER = 69;
/** Where the options of a DHCP packet begin. */
const OPTIONS_AT = 240;
const PAD = 0;
const END = 255;
/** User class, in which iPXE gives its name; and the option with its features. */
const IPXE_MARKS = new Set([77, 175]);

/** Hides a ROM's iPXE from its first DISCOVER to its request for a loader; what it loads may say what it is. */
export class PlainRom {
  #hiding = true;

  /** Changes a frame of the machine's in place. */
  pass(frame: Buffer): void {
    const udp = udpOf(frame);
    if (!this.#hiding || udp === undefined) return;
    const port = udp.readUInt16BE(2);
    if (port === TFTP_SERVER) this.#hiding = false;
    if (port === DHCP_SERVER || port === PXE_SERVER) hideIpxe(udp);
  }
}

/** Puts padding in the place of all by which iPXE can be known. `udp` begins with its header. */
function hideIpxe(udp: Buffer): void {
  const packet = udp.subarray(8, udp.readUInt16BE(4));
  for (let at = OPTIONS_AT; at < packet.length;) {
    const code = packet.readUInt8(at);
    if (code === END) break;
    const next = code === PAD ? at + 1 : at + 2 + (packet[at + 1] ?? 0);
    if (IPXE_MARKS.has(code)) packet.fill(PAD, at, Math.min(next, packet.length));
    at = next;
  }
  // None is allowed over IPv4 (RFC 768).
  udp.writeUInt16BE(0, 6);
}

/** The UDP datagram in an Ethernet frame; undefined where there is none, or a fragment of one. */
function udpOf(frame: Buffer): Buffer | undefined {
  if (frame.length < ETHERNET_BYTES + 20 || frame.readUInt16BE(12) !== IPV4) return undefined;
  const ip = frame.subarray(ETHERNET_BYTES);
  const fragmented = (ip.readUInt16BE(6) & 0x3fff) !== 0;
  if (ip.readUInt8(9) !== UDP || fragmented) return undefined;
  const udp = ip.subarray((ip.readUInt8(0) & 0x0f) * 4);
  return udp.length >= 8 ? udp : undefined;
}
