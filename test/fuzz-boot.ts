/**
 * `npm run fuzz:boot`: random and mutated packets through all that reads packets. Nothing may throw but what the codecs
 * declare, every answer must be a packet again, and no packet may take long.
 *
 *     npm run fuzz:boot -- --count 10000000
 *     npm run fuzz:boot -- --seed 12345 --from 678 --count 1     # one packet once more
 */
import { parseArgs } from 'node:util';
import { errorCode } from '../src/errors.ts';
import { decodeDhcp, encodeDhcp, type DhcpPacket } from '../src/net/dhcp.ts';
import { DHCP_OPTION, readSubOptions, readUserClass } from '../src/net/dhcp-options.ts';
import { replyAddress } from '../src/net/reply-address.ts';
import { decodeTftp, encodeTftp } from '../src/net/tftp.ts';
import { answerDhcp, maxReplySize, type DhcpFacts, type DhcpOffer } from '../src/serve/dhcp-answer.ts';
import { agreeTerms } from '../src/serve/tftp-terms.ts';

export interface FuzzOptions {
  seed: number;
  /** The number of the first packet. Each depends on the seed and its own number only. */
  from: number;
  count: number;
  /** Bytes of the longest packet; what one frame of 1500 bytes carries when left out. Fragments can make it 65,507. */
  longest?: number;
  onProgress?: (done: number) => void;
}

export interface FuzzResult {
  /** How many packets the codecs took for well-formed, by kind. */
  read: { dhcp: number; tftp: number; answers: number };
  slowestMs: number;
}

/** @throws Error naming seed and number of the packet at which something was wrong */
export function fuzzBoot({ seed, from, count, longest = 1472, onProgress }: FuzzOptions): FuzzResult {
  const result: FuzzResult = { read: { dhcp: 0, tftp: 0, answers: 0 }, slowestMs: 0 };
  for (let number = from; number < from + count; number++) {
    const bytes = packet(new Random(seed, number)).subarray(0, longest);
    try {
      const milliseconds = timed(() => pass(bytes, result.read));
      result.slowestMs = Math.max(result.slowestMs, milliseconds);
      if (milliseconds > LONGEST_MS) requireFast(bytes);
    } catch (error) {
      const replay = `--seed ${seed} --from ${number} --count 1 --longest ${longest}`;
      throw new Error(`packet ${number} (${replay}): ${bytes.toString('hex', 0, 1472)}`, { cause: error });
    }
    if ((number - from) % 100_000 === 99_999) onProgress?.(number - from + 1);
  }
  return result;
}

/** Far more than any packet needs, and less than what a reader whose work grows as the square of its input would take. */
const LONGEST_MS = 20;

/** A slow one may be the garbage collector, or another process: one that is slow again and again is not. */
function requireFast(bytes: Buffer): void {
  const counts = { dhcp: 0, tftp: 0, answers: 0 };
  const best = Math.min(...Array.from({ length: 5 }, () => timed(() => pass(bytes, counts))));
  if (best > LONGEST_MS) throw new Error(`it takes ${best.toFixed(1)} ms`);
}

function timed(work: () => void): number {
  const begun = performance.now();
  work();
  return performance.now() - begun;
}

function pass(bytes: Buffer, read: FuzzResult['read']): void {
  // The end of a packet: its head is nothing that stands in an option.
  const value = bytes.subarray(-255);
  readUserClass(value);
  readSubOptions(value);
  const request = unless('DHCP_MALFORMED', () => decodeDhcp(bytes));
  if (request !== undefined) {
    read.dhcp++;
    if (answer(request)) read.answers++;
  }
  const said = unless('TFTP_MALFORMED', () => decodeTftp(bytes));
  if (said === undefined) return;
  read.tftp++;
  if (said.type !== 'rrq') return;
  const { blksize, windowsize } = agreeTerms(said, bytes.length, 1500);
  if (blksize < 8 || blksize > 1468 || windowsize < 1 || windowsize > 64) throw new Error('wild terms');
  decodeTftp(encodeTftp(said));
}

/** Whether there is one; it must be a packet that can be sent, and no longer than the client can take. */
function answer(request: DhcpPacket): boolean {
  const said = answerDhcp(request, FACTS, () => OFFER);
  if (!('reply' in said)) return false;
  replyAddress(said.reply);
  const maxSize = maxReplySize(request);
  const bytes = encodeDhcp(said.reply, { maxSize });
  if (decodeDhcp(bytes).xid !== request.xid) throw new Error('the answer is to another request');
  return true;
}

function unless<T>(code: string, read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (errorCode(error) === code) return undefined;
    throw error;
  }
}

const FACTS: DhcpFacts = { addresses: ['10.99.0.1'], port: 67 };
const OFFER: DhcpOffer = {
  address: '10.99.0.11',
  subnetMask: '255.255.255.0',
  router: '10.99.0.254',
  dns: ['10.99.0.1'],
  hostName: 'web01',
  leaseSeconds: 3600,
  bootFile: 'undionly.kpxe',
};

/** SplitMix32, seeded by two numbers. */
class Random {
  #state: number;

  constructor(seed: number, number: number) {
    this.#state = Math.imul(seed, 0x9e3779b1) ^ Math.imul(number, 0x85ebca6b);
  }

  /** From 0 to below `limit`. */
  below(limit: number): number {
    this.#state = (this.#state + 0x9e3779b9) | 0;
    let mixed = this.#state ^ (this.#state >>> 16);
    mixed = Math.imul(mixed, 0x21f0aaad);
    mixed ^= mixed >>> 15;
    mixed = Math.imul(mixed, 0x735a2d97);
    mixed ^= mixed >>> 15;
    return (mixed >>> 0) % limit;
  }

  of<T>(list: readonly [T, ...T[]]): T {
    return list[this.below(list.length)] ?? list[0];
  }

  bytes(length: number): Buffer {
    const bytes = Buffer.allocUnsafe(length);
    for (let at = 0; at < length; at++) bytes[at] = this.below(256);
    return bytes;
  }
}

/** A tenth is noise; the rest are packets of real clients with some of their bytes changed. */
function packet(random: Random): Buffer {
  if (random.below(10) === 0) return random.bytes(random.below(random.of([8, 64, 700])));
  let bytes: Buffer = Buffer.from(random.of(SAMPLES));
  for (let changes = random.below(6); changes > 0; changes--) bytes = random.of(CHANGES)(bytes, random);
  return bytes;
}

const LONGEST_DATAGRAM = 65_507;

type Change = (bytes: Buffer, random: Random) => Buffer;

const CHANGES: [Change, ...Change[]] = [
  (bytes, random) => {
    if (bytes.length > 0) bytes[random.below(bytes.length)] = random.below(256);
    return bytes;
  },
  // Lengths and codes that mean something.
  (bytes, random) => {
    if (bytes.length > 0)
      bytes[random.below(bytes.length)] = random.of([0, 1, 52, 53, 77, 82, 175, 254, 255]);
    return bytes;
  },
  // In the options, where lengths are.
  (bytes, random) => {
    if (bytes.length > 240) bytes[240 + random.below(bytes.length - 240)] = random.below(256);
    return bytes;
  },
  (bytes, random) => bytes.subarray(0, random.below(bytes.length + 1)),
  (bytes, random) => Buffer.concat([bytes, random.bytes(random.below(64))]),
  // A part twice, or many times.
  (bytes, random) => {
    const at = random.below(bytes.length + 1);
    const part = bytes.subarray(at, at + random.below(80));
    const times = Array.from({ length: 1 + random.below(30) }, () => part);
    return Buffer.concat([bytes.subarray(0, at), ...times, bytes.subarray(at)]);
  },
  // As long as fragments make a datagram: rarely, since it costs as much as a hundred others.
  (bytes, random) => {
    const at = random.below(bytes.length + 1);
    const part = bytes.subarray(at, at + 1 + random.below(300));
    if (random.below(100) > 0 || part.length === 0) return bytes;
    const times = Array.from({ length: Math.ceil(LONGEST_DATAGRAM / part.length) }, () => part);
    return Buffer.concat([bytes.subarray(0, at), ...times]).subarray(0, LONGEST_DATAGRAM);
  },
  // The head of one, the tail of another.
  (bytes, random) => {
    const other = random.of(SAMPLES);
    return Buffer.concat([
      bytes.subarray(0, random.below(bytes.length + 1)),
      other.subarray(random.below(other.length)),
    ]);
  },
];

function dhcpSample(options: [code: number, value: Buffer][], fields: Partial<DhcpPacket> = {}): Buffer {
  const none = '0.0.0.0';
  const chaddr = Buffer.from('5254000000110000000000000000000000'.slice(0, 32), 'hex');
  const addresses = { ciaddr: none, yiaddr: none, siaddr: none, giaddr: none };
  return encodeDhcp({
    op: 1,
    htype: 1,
    hlen: 6,
    hops: 0,
    xid: 4660,
    secs: 4,
    flags: 32768,
    ...addresses,
    chaddr,
    sname: '',
    file: '',
    options: new Map(options),
    ...fields,
  });
}

const PXE: [number, Buffer][] = [
  [DHCP_OPTION.maxMessageSize, Buffer.of(5, 0xc0)],
  [DHCP_OPTION.clientArch, Buffer.of(0, 7)],
  [DHCP_OPTION.clientGuid, Buffer.alloc(17)],
  [DHCP_OPTION.vendorClass, Buffer.from('PXEClient:Arch:00007:UNDI:003016')],
];
const IPXE: [number, Buffer][] = [
  [DHCP_OPTION.userClass, Buffer.from('\x04iPXE')],
  [DHCP_OPTION.ipxe, Buffer.of(0x13, 1, 1, 0xb0, 1, 1, 255)],
];
const options = new Map([
  ['tsize', '0'],
  ['blksize', '1468'],
  ['windowsize', '16'],
]);
const SAMPLES: [Buffer, ...Buffer[]] = [
  dhcpSample([[DHCP_OPTION.messageType, Buffer.of(1)], ...PXE]),
  dhcpSample([[DHCP_OPTION.messageType, Buffer.of(1)], ...PXE, ...IPXE]),
  dhcpSample([
    [DHCP_OPTION.messageType, Buffer.of(3)],
    [DHCP_OPTION.serverIdentifier, Buffer.of(10, 99, 0, 1)],
    [DHCP_OPTION.requestedAddress, Buffer.of(10, 99, 0, 11)],
    ...PXE,
  ]),
  dhcpSample(
    [
      [DHCP_OPTION.messageType, Buffer.of(3)],
      [DHCP_OPTION.relayAgent, Buffer.of(1, 4, 1, 2, 3, 4)],
    ],
    { giaddr: '10.98.0.1', ciaddr: '10.99.0.11', hops: 1 },
  ),
  dhcpSample([[DHCP_OPTION.messageType, Buffer.of(8)]], { ciaddr: '10.99.0.11' }),
  encodeTftp({ type: 'rrq', file: 'undionly.kpxe', mode: 'octet', options }),
  encodeTftp({ type: 'wrq', file: '..\\..\\x', mode: 'netascii', options: new Map() }),
  encodeTftp({ type: 'ack', block: 65_535 }),
  encodeTftp({ type: 'data', block: 1, data: Buffer.alloc(512) }),
  encodeTftp({ type: 'error', code: 8, message: 'User aborted the transfer' }),
  encodeTftp({ type: 'oack', options }),
];

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      seed: { type: 'string', default: `${Date.now() % 2 ** 31}` },
      from: { type: 'string', default: '0' },
      count: { type: 'string', default: '10000000' },
      longest: { type: 'string', default: '1472' },
    },
  });
  const [seed, from, count] = [Number(values.seed), Number(values.from), Number(values.count)];
  const longest = Number(values.longest);
  // Millions of refusals, each with a stack that nobody reads; a single packet is asked for to see where it fails.
  if (count > 1) Error.stackTraceLimit = 0;
  process.stderr.write(`fuzz: ${count} packets, --seed ${seed} --from ${from}\n`);
  const onProgress = (done: number): void => {
    if (done % 1_000_000 === 0) process.stderr.write(`fuzz: ${done} of ${count}\n`);
  };
  process.stdout.write(`${JSON.stringify(fuzzBoot({ seed, from, count, longest, onProgress }))}\n`);
}
