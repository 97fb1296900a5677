/**
 * TFTP over a wire that loses packets. The wire is a relay and not tc's netem, which kernels for virtual machines often
 * lack: it drops every 20th packet (5 %), so every run loses the same ones, and it sends every 30th one twice.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test, type TestContext } from 'node:test';
import { run } from '../system/run.ts';
import { servedFiles } from './tftp-files.ts';
import { TftpServer } from './tftp.ts';
import { TransferThread } from './transfer-thread.ts';

const dir = await mkdtemp(join(tmpdir(), 'bladeroot-tftp-loss-'));
after(() => rm(dir, { recursive: true }));
const thread = new TransferThread({ onError: assert.ifError });
after(() => thread.stop());
const content = randomBytes(200_000);
await writeFile(join(dir, 'loader'), content);

test('TFTP-20: curl gets the file whole when 5 % of all packets are lost and some come twice', async (t) => {
  const wire = await lossyWire(t);
  const target = join(dir, 'curl');
  // With options it would ask for 6 seconds before each repetition.
  await run('curl', ['-sS', '--tftp-no-options', '-o', target, `tftp://127.0.0.1:${wire.port}/loader`]);
  assert.ok((await readFile(target)).equals(content));
  assert.ok(wire.lost() > 20, `${wire.lost()} lost`);
});

test('TFTP-20: tftp-hpa gets the file whole when 5 % of all packets are lost and some come twice', async (t) => {
  const wire = await lossyWire(t);
  const target = join(dir, 'tftp-hpa');
  await run('tftp', ['-m', 'binary', '127.0.0.1', String(wire.port), '-c', 'get', 'loader', target]);
  assert.ok((await readFile(target)).equals(content));
  assert.ok(wire.lost() > 20, `${wire.lost()} lost`);
});

/** A server and, before it, a relay for one client, which takes the relay's port for the server's. */
async function lossyWire(t: TestContext): Promise<{ port: number; lost: () => number }> {
  const files = servedFiles(new Map([['loader', join(dir, 'loader')]]));
  const server = new TftpServer({
    address: '127.0.0.1',
    port: 0,
    files,
    thread,
    timeoutMs: 20,
    onEvent: () => undefined,
  });
  await server.start();
  t.after(() => server.stop());
  const near = await socketFor(t);
  const far = await socketFor(t);
  let client = 0;
  let serverPort = server.port;
  let packets = 0;
  let lost = 0;
  const pass = (socket: Socket, bytes: Buffer, port: number): void => {
    packets++;
    if (packets % 20 === 0) lost++;
    else socket.send(bytes, port, '127.0.0.1');
    if (packets % 30 === 7) socket.send(bytes, port, '127.0.0.1');
  };
  near.on('message', (bytes, from) => {
    client = from.port;
    pass(far, bytes, serverPort);
  });
  far.on('message', (bytes, from) => {
    serverPort = from.port;
    pass(near, bytes, client);
  });
  return { port: near.address().port, lost: () => lost };
}

async function socketFor(t: TestContext): Promise<Socket> {
  const socket = createSocket('udp4');
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  t.after(() => socket.close());
  return socket;
}
