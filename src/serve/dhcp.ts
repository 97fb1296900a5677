/** The DHCP server: a socket around `answerDhcp`. It prints nothing; what happens is told to `onEvent`. */
import type { Socket } from 'node:dgram';
import { once } from 'node:events';
import { describeError, errorCode } from '../errors.ts';
import { decodeDhcp, encodeDhcp, type DhcpPacket } from '../net/dhcp.ts';
import { DHCP_MESSAGE } from '../net/dhcp-options.ts';
import { DHCP_SERVER_PORT, replyAddress } from '../net/reply-address.ts';
import { openDeviceSocket } from './device-socket.ts';
import { answerDhcp, dhcpClient, maxReplySize, messageType } from './dhcp-answer.ts';
import type { DhcpClient, DhcpPolicy, DhcpReply } from './dhcp-answer.ts';

export type DhcpEvent =
  /** A client said something that is meant for us or for anyone. */
  | { type: SaidType; mac: string; client: DhcpClient }
  | { type: 'dhcp.offer' | 'dhcp.ack'; mac: string; address: string; bootFile?: string }
  | { type: 'dhcp.nak'; mac: string; reason: string }
  /** The policy does not know this client, so it got no answer. */
  | { type: 'dhcp.unknown'; mac: string; client: DhcpClient }
  /** Bytes that are no DHCP packet, dropped. */
  | { type: 'dhcp.malformed'; from: string; reason: string }
  /** An answer could not be made or sent. */
  | { type: 'dhcp.failed'; mac?: string; reason: string };

type SaidType = 'dhcp.discover' | 'dhcp.request' | 'dhcp.inform' | 'dhcp.decline' | 'dhcp.release';

export interface DhcpServerOptions {
  /** The network device on which it answers, and on no other. */
  interface: string;
  /** This machine's own address there; clients know the server by it. */
  address: string;
  policy: DhcpPolicy;
  onEvent: (event: DhcpEvent) => void;
}

/** Answers on one interface from `start` to `stop`; one object for each interface. */
export class DhcpServer {
  readonly #options: DhcpServerOptions;
  #socket: Socket | undefined;

  constructor(options: DhcpServerOptions) {
    this.#options = options;
  }

  /** @throws BladerootError as `openDeviceSocket` does */
  async start(): Promise<void> {
    const socket = await openDeviceSocket(this.#options.interface, DHCP_SERVER_PORT, 'DHCP');
    socket.on('message', (bytes, from) => this.#receive(bytes, from.address));
    socket.on('error', (error) => this.#options.onEvent({ type: 'dhcp.failed', reason: error.message }));
    this.#socket = socket;
  }

  async stop(): Promise<void> {
    const socket = this.#socket;
    if (socket === undefined) return;
    this.#socket = undefined;
    const closed = once(socket, 'close');
    socket.close();
    await closed;
  }

  #receive(bytes: Buffer, from: string): void {
    let mac: string | undefined;
    try {
      const request = decodeDhcp(bytes);
      mac = dhcpClient(request).mac;
      this.#answer(request, mac);
    } catch (error) {
      const reason = describeError(error);
      // One bad packet, or a policy that fails for one client, must not end the service of all others.
      if (errorCode(error) === 'DHCP_MALFORMED')
        this.#options.onEvent({ type: 'dhcp.malformed', from, reason });
      else this.#failed(mac, reason);
    }
  }

  #answer(request: DhcpPacket, mac: string): void {
    const { address, policy, onEvent } = this.#options;
    const answer = answerDhcp(request, address, policy);
    if (answer.kind === 'ignored') return;
    const client = dhcpClient(request);
    if (answer.kind === 'unknown') {
      onEvent({ type: 'dhcp.unknown', mac, client });
      return;
    }
    const said = SAID[messageType(request) ?? 0];
    if (said !== undefined) onEvent({ type: said, mac, client });
    if ('reply' in answer) this.#send(request, answer.reply, mac, () => onEvent(sentEvent(mac, answer)));
  }

  #send(request: DhcpPacket, reply: DhcpPacket, mac: string, sent: () => void): void {
    const { address, port } = replyAddress(reply);
    const bytes = encodeDhcp(reply, { maxSize: maxReplySize(request) });
    this.#socket?.send(bytes, port, address, (error) => {
      if (error === null) sent();
      else this.#failed(mac, `no answer could be sent to ${address}: ${error.message}`);
    });
  }

  #failed(mac: string | undefined, reason: string): void {
    this.#options.onEvent({ type: 'dhcp.failed', reason, ...(mac !== undefined && { mac }) });
  }
}

const SAID: Record<number, SaidType> = {
  [DHCP_MESSAGE.discover]: 'dhcp.discover',
  [DHCP_MESSAGE.request]: 'dhcp.request',
  [DHCP_MESSAGE.inform]: 'dhcp.inform',
  [DHCP_MESSAGE.decline]: 'dhcp.decline',
  [DHCP_MESSAGE.release]: 'dhcp.release',
};

function sentEvent(mac: string, answer: DhcpReply): DhcpEvent {
  if (answer.kind === 'nak') return { type: 'dhcp.nak', mac, reason: answer.reason };
  const { address, bootFile } = answer.offer;
  return { type: `dhcp.${answer.kind}`, mac, address, ...(bootFile !== undefined && { bootFile }) };
}
