/** The TFTP server: read-only, each transfer on a socket of its own. It prints nothing; see `onEvent`. */
import type { Socket } from 'node:dgram';
import { once } from 'node:events';
import { describeError, errorCode } from '../errors.ts';
import { decodeTftp, encodeTftp, TFTP_ERROR, type TftpPacket, type TftpRequest } from '../net/tftp.ts';
import { inheritedSocket } from './activation.ts';
import { bindError } from './bind-error.ts';
import { asNetascii, type TftpFiles } from './tftp-files.ts';
import { agreeTerms } from './tftp-terms.ts';
import { TftpPeer } from './tftp-peer.ts';
import { sendFile } from './tftp-transfer.ts';
import { TransferSocket, type Endpoint } from './transfer-socket.ts';
import { dgramSocket, holdStorm, openUdp } from './udp.ts';

/** `client` is an address; `file` a name as the client sent it, without leading slashes. */
export type TftpEvent =
  | { type: 'tftp.start'; client: string; file: string; size: number }
  | { type: 'tftp.done'; client: string; file: string; size: number }
  | { type: 'tftp.missing'; client: string; file: string }
  /** It wanted to write, or in a mode that there is not, or too much at once. */
  | { type: 'tftp.refused'; client: string; file: string; reason: string }
  /** The client ended it, which is its good right: EDK2 first asks for the size only. */
  | { type: 'tftp.cancelled'; client: string; file: string; reason: string }
  /** Without client where it is the server's own socket that failed. */
  | { type: 'tftp.failed'; client?: string; file?: string; reason: string }
  | { type: 'tftp.malformed'; client: string; reason: string };

export interface TftpServerOptions {
  /** This machine's address to listen at. */
  address: string;
  /** 69 when left out; 0 takes any that is free. */
  port?: number;
  files: TftpFiles;
  onEvent: (event: TftpEvent) => void;
  /** Of the clients' wire, in bytes; 1500 when left out. */
  mtu?: number;
  /** Milliseconds before a repetition; 1000 when left out. */
  timeoutMs?: number;
  /** How often a packet is sent before the client is given up; 6 when left out. */
  tries?: number;
  /** Transfers at once; 5000 when left out. One address has a quarter of them at most. */
  limit?: number;
}

interface Transfer {
  peer: TftpPeer | undefined;
  abort: AbortController;
  ended: Promise<void>;
}

/** Serves from `start` to `stop`. */
export class TftpServer {
  readonly #options: Required<TftpServerOptions>;
  /** By the client's address and port. */
  readonly #transfers = new Map<string, Transfer>();
  /** How many of them each address has. */
  readonly #counts = new Map<string, number>();
  /** Those whose client has not said anything since its request, the oldest first. */
  readonly #unheard = new Set<Transfer>();
  #socket: Socket | undefined;

  constructor(options: TftpServerOptions) {
    this.#options = { port: 69, mtu: 1500, timeoutMs: 1000, tries: 6, limit: 5000, ...options };
  }

  /** The port that it listens at, once it has started. */
  get port(): number {
    return this.#socket?.address().port ?? this.#options.port;
  }

  /** @throws BladerootError `PORT_IN_USE`, `NOT_ROOT`, `NO_ADDRESS`, `LISTEN_FAILED` */
  async start(): Promise<void> {
    const { address, port, onEvent } = this.#options;
    const socket = await listen(address, port);
    socket.on('message', (bytes, from) => this.#receive(bytes, from));
    socket.on('error', (error) => onEvent({ type: 'tftp.failed', reason: error.message }));
    this.#socket = socket;
  }

  /** Ends all transfers and waits until they have ended. */
  async stop(): Promise<void> {
    const socket = this.#socket;
    this.#socket = undefined;
    if (socket !== undefined) await close(socket);
    const transfers = [...this.#transfers.values()];
    for (const { abort } of transfers) abort.abort(new Error('the server stops'));
    await Promise.all(transfers.map(({ ended }) => ended));
  }

  #receive(bytes: Buffer, client: Endpoint): void {
    let packet: TftpPacket;
    try {
      packet = decodeTftp(bytes);
    } catch (error) {
      this.#options.onEvent({ type: 'tftp.malformed', client: client.address, reason: describeError(error) });
      return;
    }
    if (packet.type === 'rrq' || packet.type === 'wrq') this.#begin(packet, client);
  }

  #begin(request: TftpRequest, client: Endpoint): void {
    const key = `${client.address}:${client.port}`;
    const running = this.#transfers.get(key);
    // The same request once more, because our answer was slow or lost: that will be repeated anyway.
    if (running !== undefined && running.peer?.heard !== true) return;
    running?.abort.abort(new Error('the client began another transfer'));

    if (!this.#makeRoomFor(client)) {
      const reason = 'too many transfers at once';
      const refusal = encodeTftp({ type: 'error', code: TFTP_ERROR.undefined, message: reason });
      this.#socket?.send(refusal, client.port, client.address, () => undefined);
      const about = { client: client.address, file: nameOf(request) };
      this.#options.onEvent({ type: 'tftp.refused', ...about, reason });
      return;
    }
    const transfer: Transfer = { peer: undefined, abort: new AbortController(), ended: Promise.resolve() };
    this.#transfers.set(key, transfer);
    this.#unheard.add(transfer);
    this.#count(client, 1);
    transfer.ended = this.#serve(request, client, transfer).finally(() => {
      if (this.#transfers.get(key) === transfer) this.#transfers.delete(key);
      this.#unheard.delete(transfer);
      this.#count(client, -1);
    });
  }

  /**
   * Whether one more may begin. Where there are too many, the oldest client that never answered gives way: requests under
   * invented addresses must not keep out those who are there.
   */
  #makeRoomFor({ address }: Endpoint): boolean {
    const { limit } = this.#options;
    if ((this.#counts.get(address) ?? 0) >= Math.ceil(limit / 4)) return false;
    if (this.#transfers.size < limit) return true;
    const [oldest] = this.#unheard;
    if (oldest === undefined) return false;
    this.#unheard.delete(oldest);
    oldest.abort.abort(new Error('others need the room, and the client never answered'));
    return true;
  }

  #count({ address }: Endpoint, change: number): void {
    const count = (this.#counts.get(address) ?? 0) + change;
    if (count === 0) this.#counts.delete(address);
    else this.#counts.set(address, count);
  }

  /** Never rejects: how it ended is an event. */
  async #serve(request: TftpRequest, client: Endpoint, transfer: Transfer): Promise<void> {
    const file = nameOf(request);
    const { onEvent } = this.#options;
    const about = { client: client.address, file };
    let socket: TransferSocket | undefined;
    try {
      socket = await TransferSocket.open(this.#options.address, client);
      transfer.peer = new TftpPeer(socket, client, () => this.#unheard.delete(transfer));
      await this.#answer({ ...request, file }, about, transfer.peer, transfer.abort.signal);
    } catch (error) {
      const reason = describeError(error);
      if (errorCode(error) === 'TFTP_CANCELLED') {
        onEvent({ type: 'tftp.cancelled', ...about, reason });
      } else {
        await transfer.peer?.send({ type: 'error', code: TFTP_ERROR.undefined, message: reason });
        onEvent({ type: 'tftp.failed', ...about, reason });
      }
    }
    await socket?.close();
  }

  async #answer(
    request: TftpRequest,
    about: { client: string; file: string },
    peer: TftpPeer,
    signal: AbortSignal,
  ): Promise<void> {
    const { files, mtu, timeoutMs, tries, onEvent } = this.#options;
    if (request.type === 'wrq') {
      const reason = 'this server is read-only';
      await peer.send({ type: 'error', code: TFTP_ERROR.accessViolation, message: reason });
      onEvent({ type: 'tftp.refused', ...about, reason });
      return;
    }
    if (request.mode !== 'octet' && request.mode !== 'netascii') {
      const reason = `there is no mode ${JSON.stringify(request.mode)}`;
      await peer.send({ type: 'error', code: TFTP_ERROR.illegalOperation, message: reason });
      onEvent({ type: 'tftp.refused', ...about, reason });
      return;
    }
    const opened = await files.open(request.file);
    if (opened === undefined) {
      await peer.send({ type: 'error', code: TFTP_ERROR.notFound, message: `no file ${request.file}` });
      onEvent({ type: 'tftp.missing', ...about });
      return;
    }
    try {
      const file = request.mode === 'netascii' ? await asNetascii(opened) : opened;
      onEvent({ type: 'tftp.start', ...about, size: file.size });
      await sendFile(peer, file, agreeTerms(request, file.size, mtu), { timeoutMs, tries, signal });
      onEvent({ type: 'tftp.done', ...about, size: file.size });
    } finally {
      await opened.close();
    }
  }
}

function nameOf({ file }: TftpRequest): string {
  return file.replaceAll('\\', '/').replace(/^\/+/, '');
}

async function listen(address: string, port: number): Promise<Socket> {
  // Port 0 is any that is free: no socket that systemd could have opened.
  const inherited = port === 0 ? undefined : inheritedSocket('udp', port, address);
  const fd = inherited?.fd ?? openUdp(address, port);
  if (typeof fd !== 'number') {
    const where = `${address} port ${port}`;
    throw bindError(fd.errno, { service: 'TFTP', where, port, protocol: 'udp' });
  }
  holdStorm(fd);
  return await dgramSocket(fd);
}

async function close(socket: Socket): Promise<void> {
  const closed = once(socket, 'close');
  socket.close();
  await closed;
}
