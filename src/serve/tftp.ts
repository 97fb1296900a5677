/** The TFTP server: read-only, each transfer on a socket of its own. It prints nothing; see `onEvent`. */
import { describeError, errorCode } from '../errors.ts';
import { decodeTftp, encodeTftp, TFTP_ERROR, type TftpPacket, type TftpRequest } from '../net/tftp.ts';
import { inheritedSocket } from './activation.ts';
import { bindError } from './bind-error.ts';
import { asNetascii, type TftpFile, type TftpFiles } from './tftp-files.ts';
import { agreeTerms } from './tftp-terms.ts';
import { TransferSocket } from './transfer-socket.ts';
import type { TransferThread } from './transfer-thread.ts';
import { holdStorm, openUdp, UdpSocket, type Endpoint } from './udp.ts';

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
  /** What sends them; it is to run for longer than the server does. */
  thread: TransferThread;
  onEvent: (event: TftpEvent) => void;
  /** Of the clients' wire, in bytes; 1500 when left out. */
  mtu?: number;
  /** Milliseconds before the first repetition; 1000 when left out. */
  timeoutMs?: number;
  /** How often a packet is sent before the client is given up; 6 when left out. */
  tries?: number;
  /** Transfers at once; 5000 when left out. One address has a quarter of them at most. */
  limit?: number;
}

interface Transfer {
  /** The packet that began it, and when, by `performance.now()`. */
  request: Buffer;
  begunAt: number;
  /** Whether the client has said anything since its request. */
  heard: boolean;
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
  #socket: UdpSocket | undefined;

  constructor(options: TftpServerOptions) {
    this.#options = { port: 69, mtu: 1500, timeoutMs: 1000, tries: 6, limit: 5000, ...options };
  }

  /** The port that it listens at, once it has started. */
  get port(): number {
    return this.#socket?.port ?? this.#options.port;
  }

  /** @throws BladerootError `PORT_IN_USE`, `NOT_ROOT`, `NO_ADDRESS`, `LISTEN_FAILED` */
  async start(): Promise<void> {
    const { address, port, onEvent } = this.#options;
    const socket = await listen(address, port);
    socket.onMessage = (bytes, from) => this.#receive(bytes, from);
    socket.onError = (error) => onEvent({ type: 'tftp.failed', reason: error.message });
    this.#socket = socket;
  }

  /** Ends all transfers and waits until they have ended. */
  async stop(): Promise<void> {
    const socket = this.#socket;
    this.#socket = undefined;
    await socket?.close();
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
    if (packet.type === 'rrq' || packet.type === 'wrq') this.#begin(packet, bytes, client);
  }

  #begin(request: TftpRequest, bytes: Buffer, client: Endpoint): void {
    const key = `${client.address}:${client.port}`;
    const running = this.#transfers.get(key);
    // The same request once more, because our answer was slow or lost: that will be repeated anyway.
    if (running !== undefined && (!running.heard || isRepeated(running, bytes))) return;
    running?.abort.abort(new Error('the client began another transfer'));

    if (!this.#makeRoomFor(client)) {
      const reason = 'too many transfers at once';
      const refusal = encodeTftp({ type: 'error', code: TFTP_ERROR.undefined, message: reason });
      this.#socket?.send(refusal, client);
      const about = { client: client.address, file: nameOf(request) };
      this.#options.onEvent({ type: 'tftp.refused', ...about, reason });
      return;
    }
    const transfer: Transfer = {
      request: bytes,
      begunAt: performance.now(),
      heard: false,
      abort: new AbortController(),
      ended: Promise.resolve(),
    };
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
    const { onEvent } = this.#options;
    const about = { client: client.address, file: nameOf(request) };
    try {
      await this.#answer(request, client, about, transfer);
    } catch (error) {
      const type = errorCode(error) === 'TFTP_CANCELLED' ? 'tftp.cancelled' : 'tftp.failed';
      onEvent({ type, ...about, reason: describeError(error) });
    }
  }

  async #answer(
    request: TftpRequest,
    client: Endpoint,
    about: { client: string; file: string },
    transfer: Transfer,
  ): Promise<void> {
    const { address, mtu, timeoutMs, tries, thread, onEvent } = this.#options;
    if (request.type === 'wrq') {
      const reason = 'this server is read-only';
      this.#refuse(client, TFTP_ERROR.accessViolation, reason);
      onEvent({ type: 'tftp.refused', ...about, reason });
      return;
    }
    if (request.mode !== 'octet' && request.mode !== 'netascii') {
      const reason = `there is no mode ${JSON.stringify(request.mode)}`;
      this.#refuse(client, TFTP_ERROR.illegalOperation, reason);
      onEvent({ type: 'tftp.refused', ...about, reason });
      return;
    }
    const opened = await this.#open(about.file, request.mode, client, transfer.abort.signal);
    if (opened === undefined) {
      this.#refuse(client, TFTP_ERROR.notFound, `no file ${about.file}`);
      onEvent({ type: 'tftp.missing', ...about });
      return;
    }
    try {
      const { size, content } = opened;
      onEvent({ type: 'tftp.start', ...about, size });
      const terms = agreeTerms(request, size, mtu);
      const order = { address, client, content, size, terms, timeoutMs, tries };
      await thread.send(order, transfer.abort.signal, () => {
        transfer.heard = true;
        this.#unheard.delete(transfer);
      });
      onEvent({ type: 'tftp.done', ...about, size });
    } finally {
      await opened.close();
    }
  }

  /** Undefined when there is no such file; the client is told of any other reason why it cannot have it. */
  async #open(
    name: string,
    mode: 'octet' | 'netascii',
    client: Endpoint,
    signal: AbortSignal,
  ): Promise<TftpFile | undefined> {
    let opened: TftpFile | undefined;
    try {
      opened = await this.#options.files.open(name);
      signal.throwIfAborted();
      return opened === undefined || mode === 'octet' ? opened : { ...opened, ...asNetascii(opened) };
    } catch (error) {
      await opened?.close();
      this.#refuse(client, TFTP_ERROR.undefined, describeError(error));
      throw error;
    }
  }

  /** Answers with an error from a port of its own, and is done with it. */
  #refuse(client: Endpoint, code: number, message: string): void {
    const socket = TransferSocket.open(this.#options.address, client);
    socket.post(encodeTftp({ type: 'error', code, message }));
    socket.close();
  }
}

/**
 * Whether a request was under way with the one before it, while this server was too busy to answer: to begin anew would
 * break off what the client has begun to fetch. One that comes later is of a machine that has started over, by the same port.
 */
function isRepeated({ request, begunAt }: Transfer, bytes: Buffer): boolean {
  return performance.now() - begunAt < REPEATED_MS && request.equals(bytes);
}

/** No firmware asks again so soon: EDK2 does after 4 seconds, and what waits with its first request is read with it. */
const REPEATED_MS = 1000;

function nameOf({ file }: TftpRequest): string {
  return file.replaceAll('\\', '/').replace(/^\/+/, '');
}

async function listen(address: string, port: number): Promise<UdpSocket> {
  // Port 0 is any that is free: no socket that systemd could have opened.
  const inherited = port === 0 ? undefined : inheritedSocket('udp', port, address);
  const fd = inherited?.fd ?? openUdp(address, port);
  if (typeof fd !== 'number') {
    const where = `${address} port ${port}`;
    throw bindError(fd.errno, { service: 'TFTP', where, port, protocol: 'udp' });
  }
  holdStorm(fd);
  return await UdpSocket.over(fd);
}
