/** A TFTP client over the codec: it counts what it gets and keeps nothing of it (RFC 1350, 2348, 7440). */
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { decodeTftp, encodeTftp, type TftpPacket } from '../../src/net/tftp.ts';

export interface TftpFetch {
  server: string;
  port: number;
  file: string;
  /** The address to speak from; any when left out. */
  from?: string;
  windowsize?: number;
}

const AGAIN_MS = 1000;
const TRIES = 30;

/** Fetches a file; returns its size in bytes. Rejects when the server says an error or nothing for half a minute. */
export async function fetchByTftp({ server, port, file, from, windowsize = 1 }: TftpFetch): Promise<number> {
  const socket = createSocket({ type: 'udp4', lookup: (host, _options, done) => done(null, host, 4) });
  try {
    const bound = once(socket, 'listening');
    socket.bind(0, from);
    await bound;
    const options = new Map([['blksize', '1468']]);
    if (windowsize > 1) options.set('windowsize', `${windowsize}`);
    const request = encodeTftp({ type: 'rrq', file, mode: 'octet', options });
    return await receive(socket, request, { address: server, port });
  } finally {
    socket.close();
  }
}

async function receive(
  socket: Socket,
  request: Buffer,
  first: { address: string; port: number },
): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  let peer = first;
  let last = request;
  let [size, got, blksize, windowsize, tries] = [0, 0, 512, 1, 0];
  const say = (bytes: Buffer): void => {
    last = bytes;
    socket.send(bytes, peer.port, peer.address, () => undefined);
  };
  const timer = setInterval(() => {
    if (++tries > TRIES) reject(new Error('the server says nothing'));
    else say(last);
  }, AGAIN_MS);
  const take = (packet: TftpPacket): void => {
    if (packet.type === 'error') reject(new Error(packet.message));
    if (packet.type === 'oack') {
      blksize = Number(packet.options.get('blksize') ?? blksize);
      windowsize = Number(packet.options.get('windowsize') ?? windowsize);
      say(encodeTftp({ type: 'ack', block: 0 }));
    }
    if (packet.type !== 'data' || packet.block !== ((got + 1) & 0xffff)) return;
    got++;
    tries = 0;
    size += packet.data.length;
    const ended = packet.data.length < blksize;
    if (ended || got % windowsize === 0) {
      say(encodeTftp({ type: 'ack', block: packet.block }));
      timer.refresh();
    }
    if (ended) resolve(size);
  };
  socket.on('message', (bytes, sender) => {
    peer = sender;
    take(decodeTftp(bytes));
  });
  say(request);
  try {
    return await promise;
  } finally {
    clearInterval(timer);
  }
}
