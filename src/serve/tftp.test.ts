import assert from 'node:assert/strict';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { after, test, type TestContext } from 'node:test';
import { decodeTftp, encodeTftp, type TftpPacket } from '../net/tftp.ts';
import { TftpServer, type TftpEvent, type TftpServerOptions } from './tftp.ts';
import type { TftpFiles } from './tftp-files.ts';
import { TransferThread } from './transfer-thread.ts';

const thread = new TransferThread({ onError: assert.ifError });
after(() => thread.stop());

test('TFTP-18: a client that asks for the size, cancels and comes back is served', async (t) => {
  const { server, events } = await serve(t, { loader: Buffer.alloc(700, 'a') });
  const first = await Client.request(t, server, 'loader', { tsize: '0' });
  assert.deepEqual(await first.next(), { type: 'oack', options: new Map([['tsize', '700']]) });
  first.answer({ type: 'error', code: 8, message: 'User aborted the transfer' });
  await events.until('tftp.cancelled');
  const second = await Client.request(t, server, 'loader', { tsize: '0', blksize: '1468' });
  assert.equal((await second.fetch()).length, 700);
  await events.until('tftp.done');
  assert.ok(!events.seen.some(({ type }) => type === 'tftp.failed'));
});

test('TFTP-20: block numbers wrap after 65,535', async (t) => {
  const content = Buffer.alloc(8 * 65_540 + 3, 'wrapping');
  const { server } = await serve(t, { large: content });
  const client = await Client.request(t, server, 'large', { blksize: '8', windowsize: '16' });
  assert.ok((await client.fetch()).equals(content));
});

test('TFTP-20: a file that is a multiple of the block size ends with an empty block, an empty file is one', async (t) => {
  const { server } = await serve(t, { even: Buffer.alloc(1024, 'e'), empty: Buffer.alloc(0) });
  const even = await Client.request(t, server, 'even');
  assert.equal((await even.fetch()).length, 1024);
  assert.deepEqual(even.blocks, [1, 2, 3]);
  const empty = await Client.request(t, server, 'empty');
  assert.equal((await empty.fetch()).length, 0);
  assert.deepEqual(empty.blocks, [1]);
});

test('TFTP-20: a packet from another port gets error 5 and disturbs nothing', async (t) => {
  const { server } = await serve(t, { loader: Buffer.alloc(1000, 'a') });
  const client = await Client.request(t, server, 'loader');
  await client.next();
  const stranger = await Client.open(t, client.peer);
  stranger.answer({ type: 'ack', block: 1 });
  const refusal = await stranger.next();
  assert.ok(refusal.type === 'error' && refusal.code === 5);
  client.answer({ type: 'ack', block: 1 });
  const second = await client.next();
  assert.ok(second.type === 'data' && second.block === 2 && second.data.length === 488);
});

test("TFTP-20: a duplicate ACK does not send the next block twice (Sorcerer's Apprentice)", async (t) => {
  const { server, events } = await serve(
    t,
    { loader: Buffer.alloc(5 * 512 + 1, 'a') },
    { timeoutMs: 60_000 },
  );
  const client = await Client.request(t, server, 'loader');
  for (let block = 1; block <= 6; block++) {
    const packet = await client.next();
    assert.ok(packet.type === 'data' && packet.block === block);
    client.answer({ type: 'ack', block });
    client.answer({ type: 'ack', block });
  }
  await events.until('tftp.done');
  assert.equal(client.pending, 0);
});

test('a request that was repeated while its answer was on the way breaks nothing off; another one does', async (t) => {
  const files = { loader: Buffer.alloc(1400, 'a'), other: Buffer.alloc(10) };
  const { server, events } = await serve(t, files, { timeoutMs: 60_000 });
  const client = await Client.request(t, server, 'loader');
  assert.equal(blockOf(await client.next()), 1);
  client.answer({ type: 'ack', block: 1 });
  assert.equal(blockOf(await client.next()), 2);
  const transfer = client.peer;
  const askAgain = (options: Record<string, string>): void => {
    client.peer = { address: '127.0.0.1', port: server.port };
    client.answer({ type: 'rrq', file: 'loader', mode: 'octet', options: new Map(Object.entries(options)) });
  };
  askAgain({});
  // The server reads one request after the other.
  assert.equal((await (await Client.request(t, server, 'other')).fetch()).length, 10);
  client.peer = transfer;
  client.answer({ type: 'ack', block: 2 });
  assert.equal(blockOf(await client.next()), 3);
  askAgain({ blksize: '1024' });
  const failed = await events.until('tftp.failed');
  assert.match('reason' in failed ? failed.reason : '', /the client began another transfer/);
});

test('TFTP-20: a lost last ACK is no failure', async (t) => {
  const { server, events } = await serve(t, { loader: Buffer.alloc(600, 'a') }, { timeoutMs: 5, tries: 3 });
  const client = await Client.request(t, server, 'loader');
  await client.next();
  client.answer({ type: 'ack', block: 1 });
  await events.until('tftp.done');
});

test('a client that is gone is given up', async (t) => {
  const { server, events } = await serve(t, { loader: Buffer.alloc(600, 'a') }, { timeoutMs: 5, tries: 3 });
  await Client.request(t, server, 'loader', { blksize: '1024' });
  const failed = await events.until('tftp.failed');
  assert.match('reason' in failed ? failed.reason : '', /did not answer 3 times/);
});

test('a lost block is sent again after the time that the client asked for, from the last block it has', async (t) => {
  const { server } = await serve(t, { loader: Buffer.alloc(8 * 6, 'a') }, { timeoutMs: 5 });
  const client = await Client.request(t, server, 'loader', { blksize: '8', windowsize: '4' });
  await client.next();
  client.answer({ type: 'ack', block: 0 });
  for (const block of [1, 2, 3, 4]) assert.deepEqual(blockOf(await client.next()), block);
  client.answer({ type: 'ack', block: 2 });
  for (const block of [3, 4, 5, 6]) assert.deepEqual(blockOf(await client.next()), block);
});

test('TFTP-20: the first block of a window is lost: it comes again after two turnarounds, not after the timeout', async (t) => {
  const { server } = await serve(t, { loader: Buffer.alloc(8 * 12, 'a') }, { timeoutMs: 600_000 });
  const client = await Client.request(t, server, 'loader', { blksize: '8', windowsize: '4' });
  await client.next();
  client.answer({ type: 'ack', block: 0 });
  for (const block of [1, 2, 3, 4]) assert.equal(blockOf(await client.next()), block);
  client.answer({ type: 'ack', block: 4 });
  for (const block of [5, 6, 7, 8]) assert.equal(blockOf(await client.next()), block);
  // As if 5 had been lost.
  client.answer({ type: 'ack', block: 4 });
  for (const block of [5, 6, 7, 8]) assert.equal(blockOf(await client.next()), block);
});

test('TFTP-20: an ACK of what was never sent moves nothing', async (t) => {
  const { server } = await serve(t, { loader: Buffer.alloc(2000, 'a') }, { timeoutMs: 600_000 });
  const client = await Client.request(t, server, 'loader');
  assert.equal(blockOf(await client.next()), 1);
  for (const block of [2, 3, 40_000, 65_535]) client.answer({ type: 'ack', block });
  client.answer({ type: 'ack', block: 1 });
  assert.equal(blockOf(await client.next()), 2);
  assert.equal(client.pending, 0);
});

test('TFTP-22: one address has a quarter of all transfers at most, and is told so', async (t) => {
  const { server, events } = await serve(t, { loader: Buffer.alloc(2000) }, { limit: 8, timeoutMs: 60_000 });
  const first = await Client.request(t, server, 'loader');
  await first.next();
  const second = await Client.request(t, server, 'loader');
  await second.next();
  const third = await Client.request(t, server, 'loader');
  const refused = await third.next();
  assert.ok(refused.type === 'error' && refused.message === 'too many transfers at once');
  await events.until('tftp.refused');
  first.answer({ type: 'error', code: 0, message: 'enough' });
  await events.until('tftp.cancelled');
  assert.equal((await (await Client.request(t, server, 'loader')).fetch()).length, 2000);
});

test('TFTP-22: where there is no room, the oldest client that never answered gives way, and nobody else', async (t) => {
  const { server, events } = await serve(t, { loader: Buffer.alloc(2000) }, { limit: 4, timeoutMs: 60_000 });
  const from = async (last: number): Promise<Client> =>
    await Client.request(t, server, 'loader', {}, `127.0.0.${last}`);
  const clients: Client[] = [];
  for (const last of [11, 12, 13, 14]) {
    const client = await from(last);
    assert.equal(blockOf(await client.next()), 1);
    clients.push(client);
  }
  const [first, second, third, fourth] = clients;
  first?.answer({ type: 'ack', block: 1 });
  assert.equal(blockOf((await first?.next()) ?? { type: 'ack', block: 0 }), 2);

  const fifth = await from(15);
  const told = await second?.next();
  assert.ok(told?.type === 'error' && /others need the room/.test(told.message));
  assert.equal((await fifth.fetch()).length, 2000);
  const failed = await events.until('tftp.failed');
  assert.equal(failed.type === 'tftp.failed' && failed.client, '127.0.0.12');
  await events.until('tftp.done');

  // Those who have answered stay: with four of them there is no room.
  for (const client of [third, fourth]) {
    client?.answer({ type: 'ack', block: 1 });
    assert.equal(blockOf((await client?.next()) ?? { type: 'ack', block: 0 }), 2);
  }
  const last = await from(16);
  assert.equal(blockOf(await last.next()), 1);
  last.answer({ type: 'ack', block: 1 });
  assert.equal(blockOf(await last.next()), 2);
  const refused = await (await from(17)).next();
  assert.ok(refused.type === 'error' && refused.message === 'too many transfers at once');
});

test('TFTP-20: backslashes and leading slashes in names are accepted', async (t) => {
  const { server } = await serve(t, { 'boot/loader': Buffer.from('here') });
  for (const name of ['boot/loader', '/boot/loader', '\\boot\\loader', '//boot\\loader']) {
    const client = await Client.request(t, server, name);
    assert.equal(String(await client.fetch()), 'here', name);
  }
});

test('TFTP-21: a missing file is error 1 at once, ways out of the served names too', async (t) => {
  const { server, events } = await serve(t, { loader: Buffer.from('x') });
  for (const name of ['revocations.efi', '../loader', '/etc/passwd', 'loader/..']) {
    const client = await Client.request(t, server, name, { tsize: '0' });
    const packet = await client.next();
    assert.ok(packet.type === 'error' && packet.code === 1, name);
  }
  assert.equal(events.seen.filter(({ type }) => type === 'tftp.missing').length, 4);
});

test('PXE-25: what shim asks for beside itself is error 1 at once: there is no second stage and no list of revocations', async (t) => {
  const { server } = await serve(t, { 'snponly.efi': Buffer.from('x') });
  for (const name of ['grubx64.efi', '/grubx64.efi', 'revocations.efi', 'efi\\boot\\revocations.efi']) {
    const packet = await (await Client.request(t, server, name, { tsize: '0', blksize: '1468' })).next();
    assert.ok(packet.type === 'error' && packet.code === 1, name);
  }
});

test('TFTP-21: writing is refused', async (t) => {
  const { server } = await serve(t, {});
  const client = await Client.open(t, { address: '127.0.0.1', port: server.port });
  client.answer({ type: 'wrq', file: 'loader', mode: 'octet', options: new Map() });
  const packet = await client.next();
  assert.ok(packet.type === 'error' && packet.code === 2);
});

test('bytes that are no TFTP are told as an event, and the server lives on', async (t) => {
  const { server, events } = await serve(t, { loader: Buffer.from('x') });
  const noise = createSocket('udp4');
  t.after(() => noise.close());
  noise.send('?', server.port, '127.0.0.1');
  await events.until('tftp.malformed');
  assert.equal(String(await (await Client.request(t, server, 'loader')).fetch()), 'x');
});

test('stop ends every transfer and tells the client', async (t) => {
  const { server, events } = await serve(t, { loader: Buffer.alloc(5000) }, { timeoutMs: 60_000 });
  const client = await Client.request(t, server, 'loader');
  await client.next();
  await server.stop();
  const packet = await client.next();
  assert.ok(packet.type === 'error' && packet.message === 'the server stops');
  assert.equal(events.seen.at(-1)?.type, 'tftp.failed');
});

test('a port in use and an address of another machine are clear errors', async (t) => {
  const { server } = await serve(t, {});
  const again = new TftpServer({ ...quiet, address: '127.0.0.1', port: server.port });
  await assert.rejects(again.start(), { code: 'PORT_IN_USE', hint: /ss -lunp/ });
  const elsewhere = new TftpServer({ ...quiet, address: '192.0.2.1', port: 0 });
  await assert.rejects(elsewhere.start(), { code: 'NO_ADDRESS' });
});

const quiet = { files: memoryFiles({}), thread, onEvent: () => undefined };

function memoryFiles(contents: Record<string, Buffer>): TftpFiles {
  return {
    async open(name) {
      const bytes = contents[name];
      if (bytes === undefined) return undefined;
      return {
        size: bytes.length,
        content: { bytes },
        close: async () => undefined,
      };
    },
  };
}

/** What a server told, and waiting for what it will tell. */
class Events {
  readonly seen: TftpEvent[] = [];
  #changed = Promise.withResolvers<void>();

  readonly add = (event: TftpEvent): void => {
    this.seen.push(event);
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  };

  async until(type: TftpEvent['type']): Promise<TftpEvent> {
    for (;;) {
      const found = this.seen.find((event) => event.type === type);
      if (found !== undefined) return found;
      await this.#changed.promise;
    }
  }
}

async function serve(
  t: TestContext,
  contents: Record<string, Buffer>,
  options: Partial<TftpServerOptions> = {},
): Promise<{ server: TftpServer; events: Events }> {
  const events = new Events();
  const files = memoryFiles(contents);
  const server = new TftpServer({
    address: '127.0.0.1',
    port: 0,
    files,
    thread,
    onEvent: events.add,
    ...options,
  });
  await server.start();
  t.after(() => server.stop());
  return { server, events };
}

function blockOf(packet: TftpPacket): number | undefined {
  return packet.type === 'data' ? packet.block : undefined;
}

/** A client that says just what a test wants it to say. */
class Client {
  /** Where the server's last packet came from. */
  peer: { address: string; port: number };
  /** Numbers of the data blocks that came. */
  readonly blocks: number[] = [];
  readonly #socket: Socket;
  readonly #inbox: TftpPacket[] = [];

  constructor(socket: Socket, peer: { address: string; port: number }) {
    this.#socket = socket;
    this.peer = peer;
    socket.on('message', (bytes, from) => {
      this.peer = from;
      this.#inbox.push(decodeTftp(bytes));
    });
  }

  static async open(
    t: TestContext,
    peer: { address: string; port: number },
    from = '127.0.0.1',
  ): Promise<Client> {
    const socket = createSocket('udp4');
    socket.bind(0, from);
    await once(socket, 'listening');
    t.after(() => socket.close());
    return new Client(socket, peer);
  }

  static async request(
    t: TestContext,
    server: TftpServer,
    file: string,
    options: Record<string, string> = {},
    from = '127.0.0.1',
  ): Promise<Client> {
    const client = await Client.open(t, { address: '127.0.0.1', port: server.port }, from);
    client.answer({ type: 'rrq', file, mode: 'octet', options: new Map(Object.entries(options)) });
    return client;
  }

  /** Packets that have come and were not asked for. */
  get pending(): number {
    return this.#inbox.length;
  }

  answer(packet: TftpPacket): void {
    this.#socket.send(encodeTftp(packet), this.peer.port, this.peer.address);
  }

  async next(): Promise<TftpPacket> {
    for (;;) {
      const packet = this.#inbox.shift();
      if (packet !== undefined) return packet;
      await once(this.#socket, 'message');
    }
  }

  /** Takes the file to its end, acknowledging as RFC 7440 says. */
  async fetch(): Promise<Buffer> {
    const parts: Buffer[] = [];
    let blksize = 512;
    let windowsize = 1;
    for (;;) {
      const packet = await this.next();
      if (packet.type === 'oack') {
        blksize = Number(packet.options.get('blksize') ?? blksize);
        windowsize = Number(packet.options.get('windowsize') ?? windowsize);
        this.answer({ type: 'ack', block: 0 });
        continue;
      }
      assert.ok(packet.type === 'data', JSON.stringify(packet));
      if (packet.block !== ((parts.length + 1) & 0xffff)) continue;
      parts.push(packet.data);
      this.blocks.push(packet.block);
      const ended = packet.data.length < blksize;
      if (ended || parts.length % windowsize === 0) this.answer({ type: 'ack', block: packet.block });
      if (ended) return Buffer.concat(parts);
    }
  }
}
