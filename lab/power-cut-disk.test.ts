import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { breakDisk, mendDisk, startPowerCutDisk } from './power-cut-disk.ts';

const [WRITE, FLUSH] = [1, 3];
const BLOCK = 4096;

/** The least of the NBD protocol (doc/proto.md of NBD) by which a disk is written to. */
class Client {
  readonly #socket: Socket;
  #received = Buffer.alloc(0);

  constructor(path: string) {
    this.#socket = connect(path);
    this.#socket.on('data', (bytes: Buffer) => (this.#received = Buffer.concat([this.#received, bytes])));
  }

  async begin(): Promise<void> {
    await this.#read(18);
    const hello = Buffer.alloc(4 + 16);
    // Fixed newstyle, no zeroes; then NBD_OPT_EXPORT_NAME with an empty name.
    hello.writeUInt32BE(3, 0);
    hello.write('IHAVEOPT', 4);
    hello.writeUInt32BE(1, 12);
    this.#socket.write(hello);
    await this.#read(10);
  }

  /** @returns errno, 0 when it was done */
  async write(block: number, byte: number): Promise<number> {
    return await this.#request(WRITE, block * BLOCK, Buffer.alloc(BLOCK, byte));
  }

  async flush(): Promise<number> {
    return await this.#request(FLUSH, 0, Buffer.alloc(0));
  }

  close(): void {
    this.#socket.destroy();
  }

  async #request(type: number, offset: number, data: Buffer): Promise<number> {
    const header = Buffer.alloc(28);
    header.writeUInt32BE(0x25609513, 0);
    header.writeUInt16BE(type, 6);
    header.writeBigUInt64BE(BigInt(offset), 16);
    header.writeUInt32BE(data.length, 24);
    this.#socket.write(Buffer.concat([header, data]));
    return (await this.#read(16)).readUInt32BE(4);
  }

  async #read(bytes: number): Promise<Buffer> {
    while (this.#received.length < bytes) await once(this.#socket, 'data');
    const read = this.#received.subarray(0, bytes);
    this.#received = this.#received.subarray(bytes);
    return read;
  }
}

test('a disk whose power is cut has what was flushed, and nothing of what was not; on demand a tenth of its requests fails', async (t) => {
  const base = await mkdtemp(join(tmpdir(), 'bladeroot-power-cut-'));
  t.after(async () => await rm(base, { recursive: true }));
  const [file, socket, log] = [join(base, 'disk'), join(base, 'socket'), join(base, 'log')];
  await writeFile(file, '');
  await truncate(file, 1024 * BLOCK);
  const disk = await startPowerCutDisk({ file, socket, log, outlive: false });
  const client = new Client(socket);
  try {
    await client.begin();
    assert.equal(await client.write(0, 1), 0);
    assert.equal(await client.flush(), 0);
    assert.equal(await client.write(0, 2), 0);
    assert.equal(await client.write(1, 3), 0);
    await breakDisk(file, 'write');
    const answers = new Set<number>();
    for (let block = 0; block < 500; block++) answers.add(await client.write(block, 4));
    assert.deepEqual(answers, new Set([0, 5]), 'done, or EIO');
    await mendDisk(file, 'write');
    for (let block = 0; block < 100; block++) assert.equal(await client.write(block, 5), 0);
  } finally {
    client.close();
    disk.kill('SIGKILL');
  }
  await disk.ended();
  const left = await readFile(file);
  assert.deepEqual([left.readUInt8(0), left.readUInt8(BLOCK), left.readUInt8(499 * BLOCK)], [1, 0, 0]);
});
