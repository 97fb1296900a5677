/**
 * A program for tests: sends one packet (hex) by UDP from a port of the network namespace it is started in, and prints every
 * packet that comes back, a line of JSON each. It ends half a second after the first, or when its time is over.
 */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { setTimeout as wait } from 'node:timers/promises';

export interface Asked {
  packet: string;
  to: string;
  port: number;
  from: number;
  /** Milliseconds. */
  wait: number;
}

export interface Heard {
  packet: string;
  from: string;
  port: number;
  /** Milliseconds after the packet was sent. */
  after: number;
}

if (import.meta.main) {
  const asked: Asked = JSON.parse(process.argv[2] ?? '');
  const socket = createSocket({ type: 'udp4', reuseAddr: true });
  socket.bind(asked.from);
  await once(socket, 'listening');
  socket.setBroadcast(true);
  const sent = performance.now();
  const first = Promise.withResolvers<void>();
  socket.on('message', (bytes, { address, port }) => {
    first.resolve();
    const heard: Heard = {
      packet: bytes.toString('hex'),
      from: address,
      port,
      after: performance.now() - sent,
    };
    process.stdout.write(`${JSON.stringify(heard)}\n`);
  });
  socket.send(Buffer.from(asked.packet, 'hex'), asked.port, asked.to);
  await Promise.race([first.promise, wait(asked.wait, undefined, { ref: false })]);
  await wait(500);
  socket.close();
}
