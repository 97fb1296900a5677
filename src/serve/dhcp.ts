/** The DHCP server: sockets around `answerDhcp`. It prints nothing; what happens is told to `onEvent`. */
import { describeError, errorCode } from '../errors.ts';
import { decodeDhcp, encodeDhcp, type DhcpPacket } from '../net/dhcp.ts';
import { DHCP_MESSAGE } from '../net/dhcp-options.ts';
import { DHCP_SERVER_PORT, PXE_SERVER_PORT, replyAddress, type ReplyAddress } from '../net/reply-address.ts';
import { openDeviceSocket } from './device-socket.ts';
import { answerDhcp, maxReplySize } from './dhcp-answer.ts';
import type { DhcpAnswer, DhcpPolicy, DhcpQuestion, DhcpReply } from './dhcp-answer.ts';
import { dhcpClient, messageType, type DhcpClient } from './dhcp-client.ts';
import { Paced } from './paced.ts';
import { Rarely } from './rarely.ts';
import { RouterWait } from './router-wait.ts';
import type { Endpoint, UdpSocket } from './udp.ts';

export type DhcpEvent =
  /** A client said something that is meant for us or for anyone. `address`: the one that it gives back or refuses. */
  | { type: SaidType; mac: string; client: DhcpClient; address?: string }
  /** Without `address`, only what to boot was told. */
  | { type: 'dhcp.offer' | 'dhcp.ack'; mac: string; address?: string; bootFile?: string }
  | { type: 'dhcp.nak'; mac: string; reason: string }
  /** The policy does not know this client, so it got no answer. */
  | { type: 'dhcp.unknown'; mac: string; client: DhcpClient }
  /** It got no answer for that reason; told once a minute for each. */
  | { type: 'dhcp.foreign' | 'dhcp.exhausted'; mac: string; reason: string }
  /** The client took the offer of the server at `address`; told once in ten minutes for each server. */
  | { type: 'dhcp.other-server'; mac: string; address: string; question: DhcpQuestion }
  /** Bytes that are no DHCP packet, dropped. */
  | { type: 'dhcp.malformed'; from: string; reason: string }
  /** An answer could not be made or sent. */
  | { type: 'dhcp.failed'; mac?: string; reason: string };

type SaidType = 'dhcp.discover' | 'dhcp.request' | 'dhcp.inform' | 'dhcp.decline' | 'dhcp.release';

/** Where it is kept which addresses are lent. */
export interface DhcpLeases {
  /** Resolves once it is sure to be remembered, and rejects when it cannot be. */
  grant(mac: string, address: string, network: string, seconds: number): Promise<void>;
  release(mac: string, address: string): Promise<void>;
  decline(mac: string, address: string): Promise<void>;
}

export interface DhcpServerOptions {
  /** The network device on which it answers, and on no other. */
  interface: string;
  /** This machine's own addresses there: clients know the server by the first, the policy may let it speak by others. */
  addresses: readonly [string, ...string[]];
  policy: DhcpPolicy;
  /** Needed by a policy that lends addresses. */
  leases?: DhcpLeases;
  onEvent: (event: DhcpEvent) => void;
}

/** Answers on one interface from `start` to `stop`; one object for each interface. */
export class DhcpServer {
  readonly #options: DhcpServerOptions;
  #addresses: readonly [string, ...string[]];
  readonly #sockets: UdpSocket[] = [];
  readonly #delayed = new Set<NodeJS.Timeout>();
  readonly #silences = new Rarely(MINUTE_MS);
  readonly #otherServers = new Rarely(10 * MINUTE_MS);
  readonly #granted = new Paced();
  #granting = 0;
  #routerWait: RouterWait | undefined;

  constructor(options: DhcpServerOptions) {
    this.#options = options;
    this.#addresses = options.addresses;
  }

  /** From here on by these addresses: the interface has got another one. */
  speakBy(addresses: readonly [string, ...string[]]): void {
    this.#addresses = addresses;
  }

  /** @throws BladerootError as `openDeviceSocket` does; nothing is left open then */
  async start(): Promise<void> {
    try {
      for (const port of [DHCP_SERVER_PORT, PXE_SERVER_PORT] as const) {
        const socket = await openDeviceSocket(this.#options.interface, port, 'DHCP');
        this.#sockets.push(socket);
        socket.onMessage = (bytes, from) => this.#receive(bytes, from, socket, port);
        socket.onError = (error) => this.#failed(undefined, error.message);
      }
      this.#routerWait = RouterWait.open(this.#options.interface);
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  async stop(): Promise<void> {
    for (const timer of this.#delayed) clearTimeout(timer);
    this.#delayed.clear();
    this.#granted.stop();
    this.#routerWait?.close();
    this.#routerWait = undefined;
    for (const socket of this.#sockets.splice(0)) await socket.close();
  }

  #receive(bytes: Buffer, from: Endpoint, socket: UdpSocket, port: 67 | 4011): void {
    let mac: string | undefined;
    try {
      const request = decodeDhcp(bytes);
      const client = dhcpClient(request);
      mac = client.mac;
      const here = { addresses: this.#addresses, port };
      const answer = answerDhcp(request, here, this.#options.policy, client);
      this.#tell(request, client, answer);
      if ('reply' in answer) {
        const to = port === PXE_SERVER_PORT ? bootReplyAddress(request, from) : replyAddress(answer.reply);
        this.#reply(request, client.mac, answer, socket, to);
        // Behind a relay it is on another wire.
        if (client.isIpxe && request.giaddr === UNSET) this.#routerWait?.end(client.mac);
      }
    } catch (error) {
      const reason = describeError(error);
      // One bad packet, or a policy that fails for one client, must not end the service of all others.
      if (errorCode(error) === 'DHCP_MALFORMED')
        this.#options.onEvent({ type: 'dhcp.malformed', from: from.address, reason });
      else this.#failed(mac, reason);
    }
  }

  /** What is to be told and kept of a request, whether or not it is answered. */
  #tell(request: DhcpPacket, client: DhcpClient, answer: DhcpAnswer): void {
    const { onEvent, leases } = this.#options;
    const { mac } = client;
    if (answer.kind === 'ignored') return;
    if (answer.kind === 'unknown') {
      onEvent({ type: 'dhcp.unknown', mac, client });
      return;
    }
    if (answer.kind === 'other-server') {
      const { address, question } = answer;
      if (this.#otherServers.first(address)) onEvent({ type: 'dhcp.other-server', mac, address, question });
      return;
    }
    const said = SAID[messageType(request) ?? 0];
    const address = 'address' in answer ? answer.address : undefined;
    if (said !== undefined) onEvent({ type: said, mac, client, ...(address !== undefined && { address }) });
    if (answer.kind === 'silent') {
      const { silence, about, reason } = answer.silence;
      if (this.#silences.first(about)) onEvent({ type: `dhcp.${silence}`, mac, reason });
    }
    if (address === undefined || leases === undefined) return;
    if (answer.kind === 'declined') this.#keep(mac, leases.decline(mac, address));
    if (answer.kind === 'released') this.#keep(mac, leases.release(mac, address));
  }

  /** An address that is lent is acknowledged once that is kept; a proxy may be told to wait. */
  #reply(request: DhcpPacket, mac: string, answer: DhcpReply, socket: UdpSocket, to: ReplyAddress): void {
    const send = (): void => this.#send(request, mac, answer, socket, to);
    const offer = answer.kind === 'nak' ? undefined : answer.offer;
    if (offer !== undefined && 'proxy' in offer) {
      if (offer.delay === undefined || offer.delay === 0) send();
      else this.#later(send, offer.delay);
      return;
    }
    const { leases } = this.#options;
    const isLent = answer.kind === 'ack' && offer?.lentBy !== undefined && answer.reply.yiaddr !== UNSET;
    if (offer?.lentBy === undefined || !isLent || leases === undefined) {
      send();
      return;
    }
    // While the disk does not keep up, what is dropped is asked again by its client.
    if (this.#granting >= MOST_WAITING) return;
    this.#granting += 1;
    const kept = leases.grant(mac, offer.address, offer.lentBy, offer.leaseSeconds + MARGIN_SECONDS);
    this.#keep(
      mac,
      kept.then(() => this.#granted.do(send)).finally(() => (this.#granting -= 1)),
    );
  }

  #keep(mac: string, kept: Promise<void>): void {
    kept.catch((error: unknown) => this.#failed(mac, `the lease could not be kept: ${describeError(error)}`));
  }

  #later(send: () => void, delayMs: number): void {
    if (this.#delayed.size >= MOST_WAITING) return;
    const timer = setTimeout(() => {
      this.#delayed.delete(timer);
      send();
    }, delayMs);
    this.#delayed.add(timer);
  }

  #send(request: DhcpPacket, mac: string, answer: DhcpReply, socket: UdpSocket, to: ReplyAddress): void {
    if (!this.#sockets.includes(socket)) return;
    const bytes = encodeDhcp(answer.reply, { maxSize: maxReplySize(request) });
    socket.send(bytes, to, (error) => {
      if (error === null) this.#options.onEvent(sentEvent(mac, answer));
      else this.#failed(mac, `no answer could be sent to ${to.address}: ${error.message}`);
    });
  }

  #failed(mac: string | undefined, reason: string): void {
    this.#options.onEvent({ type: 'dhcp.failed', reason, ...(mac !== undefined && { mac }) });
  }
}

const UNSET = '0.0.0.0';
const MINUTE_MS = 60_000;
/** Answers that wait for the disk or for their time. */
const MOST_WAITING = 10_000;
/** A client counts from when it asked, and some ask to renew in the last moment. */
const MARGIN_SECONDS = 10;

const SAID: Record<number, SaidType> = {
  [DHCP_MESSAGE.discover]: 'dhcp.discover',
  [DHCP_MESSAGE.request]: 'dhcp.request',
  [DHCP_MESSAGE.inform]: 'dhcp.inform',
  [DHCP_MESSAGE.decline]: 'dhcp.decline',
  [DHCP_MESSAGE.release]: 'dhcp.release',
};

/** A client on port 4011 has an address, and waits at the port from which it asked (PXE 2.1 §2.2.3). */
function bootReplyAddress(request: DhcpPacket, from: Endpoint): ReplyAddress {
  return { address: request.ciaddr === UNSET ? from.address : request.ciaddr, port: from.port };
}

function sentEvent(mac: string, answer: DhcpReply): DhcpEvent {
  if (answer.kind === 'nak') return { type: 'dhcp.nak', mac, reason: answer.reason };
  const { bootFile } = answer.offer;
  return {
    type: `dhcp.${answer.kind}`,
    mac,
    ...('address' in answer.offer && { address: answer.offer.address }),
    ...(bootFile !== undefined && { bootFile }),
  };
}
