/** A program: carries a machine's frames between QEMU and its segment, as `cable.ts` says, until it is killed. */
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { PlainRom, type CablePorts, type CableSettings } from './cable.ts';

const HOST = '127.0.0.1';
const BUFFER_BYTES = 4 << 20;

interface Settings extends CableSettings {
  ports: CablePorts;
}

if (import.meta.main) {
  const { ports, loss, delayMs, hidesIpxe }: Settings = JSON.parse(process.argv[2] ?? '');
  const inside = await open(ports.cableInside);
  const outside = await open(ports.cableOutside);
  const rom = hidesIpxe ? new PlainRom() : undefined;
  const carry = (frame: Buffer, to: Socket, port: number): void => {
    if (Math.random() < loss) return;
    // A machine that is off refuses what is sent to it, as a cable with nothing at its end loses it.
    const send = (): void => to.send(frame, port, HOST, () => undefined);
    if (delayMs === 0) send();
    else setTimeout(send, delayMs);
  };
  inside.on('message', (frame) => {
    rom?.pass(frame);
    carry(frame, outside, ports.outside);
  });
  outside.on('message', (frame) => carry(frame, inside, ports.inside));
}

async function open(port: number): Promise<Socket> {
  const socket = createSocket({ type: 'udp4', recvBufferSize: BUFFER_BYTES });
  // A port at which QEMU does not listen yet, or any more.
  socket.on('error', (error) => process.stderr.write(`cable: ${error.message}\n`));
  socket.bind(port, HOST);
  await once(socket, 'listening');
  return socket;
}
