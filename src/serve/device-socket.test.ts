import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { test } from 'node:test';
import { openDeviceSocket } from './device-socket.ts';

test('a socket on a device hears what comes in there', async () => {
  const socket = await openDeviceSocket('lo', 0, 'test');
  const sender = createSocket('udp4');
  try {
    const { promise: heard, resolve } = Promise.withResolvers<Buffer>();
    socket.onMessage = resolve;
    sender.send('hello', socket.port, '127.0.0.1');
    assert.equal(String(await heard), 'hello');
  } finally {
    sender.close();
    await socket.close();
  }
});

test('an interface that does not exist is named, and those that exist', async () => {
  await assert.rejects(openDeviceSocket('nosuch0', 67, 'DHCP'), {
    code: 'NO_INTERFACE',
    message: /nosuch0/,
    hint: /\blo\b/,
  });
});

test('a port in use is an error, whoever has it, with the way to find out', async () => {
  const first = await openDeviceSocket('lo', 0, 'test');
  const { port } = first;
  try {
    await assert.rejects(openDeviceSocket('lo', port, 'DHCP'), {
      code: 'PORT_IN_USE',
      message: new RegExp(`DHCP .*port ${port} on lo`),
      hint: /ss -lunp/,
    });
  } finally {
    await first.close();
  }
});

const skip = process.geteuid?.() === 0 ? false : 'only root can become somebody else';
test('without root rights the error says to run it as root', { skip }, async () => {
  process.seteuid?.('nobody');
  // It binds before it waits for anything, so the rights are back before anything else runs.
  const opening = openDeviceSocket('lo', 67, 'DHCP');
  process.seteuid?.('root');
  await assert.rejects(opening, { code: 'NOT_ROOT', hint: /as root/ });
});
