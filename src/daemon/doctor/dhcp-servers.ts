/** Who else answers DHCP on a wire: found by asking, as a machine that boots from the network does. */
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { BladerootError, errorCode } from '../../errors.ts';
import { BROADCAST_FLAG, decodeDhcp, encodeDhcp, type DhcpPacket } from '../../net/dhcp.ts';
import { DHCP_MESSAGE, DHCP_OPTION, readAddress, uint8 } from '../../net/dhcp-options.ts';
import { openDeviceSocket } from '../../serve/device-socket.ts';
import type { ServeInterface } from '../interface.ts';
import type { Finding } from './finding.ts';

const SERVER_PORT = 67;
const CLIENT_PORT = 68;
/** Long enough for a server that first looks whether an address is in use (a ping of one second). */
const LISTEN_MS = 3000;

interface Heard {
  server: string;
  /** Undefined for a proxy, which offers a boot file and no address. */
  offered: string | undefined;
}

export async function checkDhcpServers({ name, addresses, networks }: ServeInterface): Promise<Finding> {
  const check = 'other DHCP servers';
  try {
    const heard = (await askForServers(name)).filter(({ server }) => !addresses.includes(server));
    const isOnlyGuest = networks.every(({ mode }) => mode !== 'server');
    const who = [...new Set(heard.map(describe))].join('; ');
    if (isOnlyGuest) return judgeHost(name, heard, who);
    if (heard.length === 0) return { check, level: 'ok', message: `none on ${name} offers anything` };
    return {
      check,
      level: 'warning',
      message: `on ${name}, ${who}`,
      hint: 'a machine takes the offer that comes first: switch that server off on this wire, or let bladeroot be a proxy beside it (network.mode in fleet.yaml)',
    };
  } catch (error) {
    if (!(error instanceof BladerootError)) throw error;
    const hint = 'stop the DHCP client of this interface while this is checked, and be root';
    return { check, level: 'warning', message: `cannot be looked for: ${error.message}`, hint };
  }
}

/** In the modes proxy and off another server has to give out the addresses. */
function judgeHost(name: string, heard: Heard[], who: string): Finding {
  const check = 'other DHCP servers';
  if (heard.some(({ offered }) => offered !== undefined))
    return { check, level: 'ok', message: `on ${name}, as it should be, ${who}` };
  return {
    check,
    level: 'warning',
    message: `nobody on ${name} gives out addresses, and bladeroot is not to (network.mode in fleet.yaml)`,
    hint: 'start the DHCP server of that network, or write mode: server',
  };
}

function describe({ server, offered }: Heard): string {
  return offered === undefined
    ? `${server} is a PXE proxy`
    : `${server} gives out addresses (such as ${offered})`;
}

/** Sends a DISCOVER as PXE firmware does, twice, and returns who made an offer. @throws as `openDeviceSocket` */
async function askForServers(device: string): Promise<Heard[]> {
  const socket = await openDeviceSocket(device, CLIENT_PORT, 'The DHCP client of doctor');
  const question = discover();
  const heard: Heard[] = [];
  socket.onMessage = (bytes) => {
    const offer = offerIn(bytes, question.xid);
    if (offer !== undefined) heard.push(offer);
  };
  try {
    for (let asked = 0; asked < 2; asked++) {
      socket.send(encodeDhcp(question), { address: '255.255.255.255', port: SERVER_PORT });
      await sleep(LISTEN_MS / 2);
    }
  } finally {
    await socket.close();
  }
  return heard;
}

/** From an address that no machine has (locally administered), so that nothing is taken from anybody. */
function discover(): DhcpPacket {
  const mac = Buffer.concat([Buffer.of(0x02), randomBytes(5)]);
  const unset = '0.0.0.0';
  return {
    op: 1,
    htype: 1,
    hlen: 6,
    hops: 0,
    xid: randomBytes(4).readUInt32BE(),
    secs: 0,
    flags: BROADCAST_FLAG,
    ciaddr: unset,
    yiaddr: unset,
    siaddr: unset,
    giaddr: unset,
    chaddr: Buffer.concat([mac, Buffer.alloc(10)]),
    sname: '',
    file: '',
    options: new Map([
      [DHCP_OPTION.messageType, uint8(DHCP_MESSAGE.discover)],
      // RFC 4578: without these a proxy does not answer.
      [DHCP_OPTION.vendorClass, Buffer.from('PXEClient:Arch:00007:UNDI:003016')],
      [DHCP_OPTION.clientArch, Buffer.of(0, 7)],
    ]),
  };
}

function offerIn(bytes: Buffer, xid: number): Heard | undefined {
  try {
    const packet = decodeDhcp(bytes);
    const server = readAddress(packet.options.get(DHCP_OPTION.serverIdentifier));
    if (packet.op !== 2 || packet.xid !== xid || server === undefined) return undefined;
    return { server, offered: packet.yiaddr === '0.0.0.0' ? undefined : packet.yiaddr };
  } catch (error) {
    // Somebody else's nonsense on the wire.
    if (errorCode(error) === 'DHCP_MALFORMED') return undefined;
    throw error;
  }
}
