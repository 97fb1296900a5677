import assert from 'node:assert/strict';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { test, type TestContext } from 'node:test';
import { decodeTftp, encodeTftp } from '../net/tftp.ts';
import { TransferThread, type SendOrder } from './transfer-thread.ts';

test('a thread that dies fails what it was to send, is told of, and the next file is sent by another', async (t) => {
  const errors: unknown[] = [];
  process.env['THREAD_DIES'] = 'yes';
  const thread = new TransferThread({
    onError: (error) => errors.push(error),
    program: new URL('transfer-thread.fixture.ts', import.meta.url),
  });
  t.after(() => thread.stop());
  const died = { code: 'TFTP_THREAD', message: /has ended: that is how it is today$/ };
  await assert.rejects(send(thread, (await orderFor(t)).order), died);
  assert.equal(errors.length, 1);
  await assert.rejects(Promise.reject(errors[0]), died);

  delete process.env['THREAD_DIES'];
  await send(thread, (await orderFor(t)).order);
  assert.equal(errors.length, 1);
});

test('one that is stopped ends what it is sending, and that is no error of its own', async (t) => {
  const thread = new TransferThread({ onError: assert.ifError });
  const { order, socket } = await orderFor(t, { answers: false });
  const { promise: begun, resolve: onPacket } = Promise.withResolvers<void>();
  socket.once('message', () => onPacket());
  const sending = assert.rejects(send(thread, order), { code: 'TFTP_THREAD' });
  await begun;
  await thread.stop();
  await sending;
});

test('an address that is not this machine is the error of one transfer, and no other', async (t) => {
  const thread = new TransferThread({ onError: assert.ifError });
  t.after(() => thread.stop());
  const { order } = await orderFor(t);
  await assert.rejects(send(thread, { ...order, address: '192.0.2.1' }), { code: 'NO_ADDRESS' });
  await send(thread, order);
});

async function send(thread: TransferThread, order: SendOrder): Promise<void> {
  await thread.send(order, new AbortController().signal, () => undefined);
}

/** To send three bytes to a client that is there. */
async function orderFor(
  t: TestContext,
  { answers } = { answers: true },
): Promise<{ order: SendOrder; socket: Socket }> {
  const socket = createSocket('udp4');
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  t.after(() => socket.close());
  socket.on('message', (bytes, from) => {
    const packet = decodeTftp(bytes);
    if (packet.type === 'data' && answers)
      socket.send(encodeTftp({ type: 'ack', block: packet.block }), from.port, from.address);
  });
  const terms = { blksize: 512, windowsize: 1, oack: new Map() };
  const content = { bytes: Buffer.from('abc') };
  const to = { address: '127.0.0.1', client: socket.address() };
  return { order: { ...to, content, size: 3, terms, timeoutMs: 1000, tries: 6 }, socket };
}
