/** A program for tests: `transfer-socket.fixture.ts PACKETS SIZE LAST` prints the result of `exchange` as JSON. */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { TransferSocket } from './transfer-socket.ts';

/** Sends so many numbered packets over the loopback interface; returns the sizes of what arrived, once all are there. */
export async function exchange(packets: number, size: number, last: number): Promise<number[]> {
  const client = createSocket({ type: 'udp4', recvBufferSize: 2 ** 20 });
  client.bind(0, '127.0.0.1');
  await once(client, 'listening');
  const socket = TransferSocket.open('127.0.0.1', client.address());
  const arrived: number[] = [];
  const all = Promise.withResolvers<void>();
  client.on('message', (bytes) => {
    if (bytes[0] !== arrived.length) all.reject(new Error(`${bytes[0]} came at place ${arrived.length}`));
    arrived.push(bytes.length);
    if (arrived.length === packets) all.resolve();
  });
  const bytes = Buffer.alloc((packets - 1) * size + last);
  for (let number = 0; number < packets; number++) bytes[number * size] = number;
  socket.post(bytes, size);
  try {
    await all.promise;
    return arrived;
  } finally {
    socket.close();
    client.close();
  }
}

if (import.meta.main) {
  const [packets = 0, size = 0, last = 0] = process.argv.slice(2).map(Number);
  process.stdout.write(JSON.stringify(await exchange(packets, size, last)));
}
