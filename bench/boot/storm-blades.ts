/**
 * A program: `storm-blades.ts BLADES SECONDS`. As many simulated blades are switched on, evenly within so many seconds.
 * Each wants an address (DISCOVER, REQUEST), a loader by TFTP, its script, HEAD of a kernel and its first 64 KiB, and
 * speaks from the address that it was given. Prints JSON: how many came through, and their times in seconds.
 */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { request, type IncomingMessage } from 'node:http';
import { setTimeout as wait } from 'node:timers/promises';
import { decodeDhcp, encodeDhcp, BROADCAST_FLAG, type DhcpPacket } from '../../src/net/dhcp.ts';
import { addresses, DHCP_MESSAGE, DHCP_OPTION } from '../../src/net/dhcp-options.ts';
import { SIZES } from './setting.ts';
import { fetchByTftp } from './tftp-client.ts';
import { bladeMac, SERVER } from './wire.ts';

const [blades = '', within = ''] = process.argv.slice(2);
/** As long as iPXE waits, and then it doubles. */
const FIRST_WAIT_MS = 1000;
const TRIES = 6;
const HTTP_TIMEOUT_MS = 60_000;
const HEAD_BYTES = 65_536;
const NONE = '0.0.0.0';

const socket = createSocket({ type: 'udp4', recvBufferSize: 2 ** 22 });
const waiting = new Map<number, (packet: DhcpPacket) => void>();
socket.on('message', (bytes) => {
  const packet = decodeDhcp(bytes);
  if (packet.op === 2) waiting.get(packet.xid)?.(packet);
});
socket.bind(68);
await once(socket, 'listening');
socket.setBroadcast(true);

async function ask(packet: DhcpPacket, answerType: number): Promise<DhcpPacket> {
  const bytes = encodeDhcp(packet);
  for (let attempt = 0; attempt < TRIES; attempt++) {
    const { promise, resolve } = Promise.withResolvers<DhcpPacket>();
    waiting.set(packet.xid, (answer) => {
      if (answer.options.get(DHCP_OPTION.messageType)?.[0] === answerType) resolve(answer);
    });
    socket.send(bytes, 67, '255.255.255.255');
    const late = new AbortController();
    const timeout = wait(FIRST_WAIT_MS * 2 ** attempt, undefined, { signal: late.signal }).catch(
      () => undefined,
    );
    const answer = await Promise.race([promise, timeout]);
    late.abort();
    waiting.delete(packet.xid);
    if (answer !== undefined) return answer;
  }
  throw new Error('no DHCP answer');
}

async function getAddress(number: number): Promise<string> {
  const chaddr = Buffer.alloc(16);
  chaddr.set(Buffer.from(bladeMac(number).replaceAll(':', ''), 'hex'));
  const packet = (type: number, ...more: [number, Buffer][]): DhcpPacket => ({
    op: 1,
    htype: 1,
    hlen: 6,
    hops: 0,
    xid: 4096 + number,
    secs: 0,
    flags: BROADCAST_FLAG,
    ciaddr: NONE,
    yiaddr: NONE,
    siaddr: NONE,
    giaddr: NONE,
    chaddr,
    sname: '',
    file: '',
    options: new Map([
      [DHCP_OPTION.messageType, Buffer.of(type)],
      [DHCP_OPTION.vendorClass, Buffer.from('PXEClient:Arch:00000:UNDI:002001')],
      [DHCP_OPTION.clientArch, Buffer.of(0, 0)],
      ...more,
    ]),
  });
  const offer = await ask(packet(DHCP_MESSAGE.discover), DHCP_MESSAGE.offer);
  const server = offer.options.get(DHCP_OPTION.serverIdentifier) ?? addresses([SERVER.address]);
  const wanted: [number, Buffer][] = [
    [DHCP_OPTION.serverIdentifier, server],
    [DHCP_OPTION.requestedAddress, addresses([offer.yiaddr])],
  ];
  return (await ask(packet(DHCP_MESSAGE.request, ...wanted), DHCP_MESSAGE.ack)).yiaddr;
}

/** Bytes of the body, once the answer has the status that is wanted. */
async function http(
  path: string,
  status: number,
  options: { localAddress: string; method?: string; headers?: Record<string, string> },
): Promise<number> {
  const signal = AbortSignal.timeout(HTTP_TIMEOUT_MS);
  const asked = request(`http://${SERVER.address}:8067${path}`, { ...options, agent: false, signal }).end();
  const [response]: IncomingMessage[] = await once(asked, 'response');
  let size = 0;
  for await (const chunk of response ?? []) size += Buffer.byteLength(chunk);
  if (response?.statusCode !== status) throw new Error(`${path}: ${response?.statusCode ?? 'nothing'}`);
  return size;
}

function require(size: number, wanted: number): void {
  if (size !== wanted) throw new Error(`${size} bytes instead of ${wanted}`);
}

/** Seconds from power button to the first bytes of the kernel. */
async function boot(number: number): Promise<number> {
  await wait((number / Number(blades)) * Number(within) * 1000);
  const begun = performance.now();
  const localAddress = await getAddress(number);
  const loader = { server: SERVER.address, port: 69, file: 'loader', from: localAddress };
  require(await fetchByTftp(loader), SIZES.loader);
  const path = `/boot/blade${number}`;
  await http(`${path}/script.ipxe`, 200, { localAddress });
  await http(`${path}/vmlinuz`, 200, { localAddress, method: 'HEAD' });
  const headers = { Range: `bytes=0-${HEAD_BYTES - 1}` };
  require(await http(`${path}/vmlinuz`, 206, { localAddress, headers }), HEAD_BYTES);
  return (performance.now() - begun) / 1000;
}

const begun = performance.now();
const all = await Promise.allSettled(Array.from({ length: Number(blades) }, (_, number) => boot(number)));
const seconds = (performance.now() - begun) / 1000;
const times = all.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : [])).sort((a, b) => a - b);
const failures = all.flatMap((one) => (one.status === 'rejected' ? [String(one.reason)] : []));
const at = (part: number): number => times[Math.ceil(times.length * part) - 1] ?? Number.NaN;
const reasons = [...new Set(failures)].slice(0, 5);
const result = { through: times.length, seconds, median: at(0.5), p99: at(0.99), reasons };
process.stdout.write(`${JSON.stringify(result)}\n`);
socket.close();
