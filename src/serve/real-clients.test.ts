/** DHCP and TFTP as busybox udhcpc and tftp, tftp-hpa, atftp and curl see them. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { CLIENT, cannotMakeSegment, Segment, SERVER, type Servers } from './segment.fixture.ts';

describe('with real clients on a wire of their own', { skip: cannotMakeSegment }, () => {
  const segment = new Segment('serve');
  let dir = '';
  let servers: Servers | undefined;
  const content = randomBytes(1_200_000);

  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'bladeroot-serve-'));
    await writeFile(join(dir, 'loader'), content);
    await writeFile(join(dir, 'udhcpc-script'), '#!/bin/sh\n[ "$1" = bound ] && env\nexit 0\n', {
      mode: 0o755,
    });
    await segment.create();
    servers = await segment.startServers({
      offers: {
        [CLIENT.mac]: {
          address: '10.99.0.11',
          subnetMask: '255.255.255.0',
          router: '10.99.0.254',
          dns: ['10.99.0.1'],
          hostName: 'web01',
          leaseSeconds: 600,
          bootFile: 'undionly.kpxe',
        },
      },
      files: { loader: join(dir, 'loader') },
    });
  });

  after(async () => {
    await servers?.stop();
    await segment.remove();
    await rm(dir, { recursive: true });
  });

  const udhcpc = async (...options: string[]): Promise<string> => {
    const often = ['-f', '-q', '-n', '-t', '2', '-T', '1', '-A', '1'];
    const script = ['-i', CLIENT.interface, '-s', join(dir, 'udhcpc-script')];
    return (await segment.runClient('udhcpc', [...often, ...script, ...options])).stdout;
  };

  test('DHCP-1: udhcpc gets its fixed address, name and boot file', async () => {
    const lease = await udhcpc('-O', 'bootfile', '-O', 'tftp', '-O', 'broadcast');
    const value = (name: string): string | undefined => new RegExp(`^${name}=(.*)$`, 'm').exec(lease)?.[1];
    assert.equal(value('ip'), '10.99.0.11');
    assert.equal(value('mask'), '24');
    assert.equal(value('router'), '10.99.0.254');
    assert.equal(value('dns'), '10.99.0.1');
    assert.equal(value('hostname'), 'web01');
    assert.equal(value('lease'), '600');
    assert.equal(value('serverid'), SERVER.address);
    assert.equal(value('boot_file'), 'undionly.kpxe');
    await servers?.until('dhcp.ack');
    assert.deepEqual(servers?.types.slice(0, 4), ['dhcp.discover', 'dhcp.offer', 'dhcp.request', 'dhcp.ack']);
  });

  test('DHCP-7: another client identifier gets the same address', async () => {
    assert.match(await udhcpc('-x', '61:ff1122334455'), /^ip=10\.99\.0\.11$/m);
    assert.match(await udhcpc('-C'), /^ip=10\.99\.0\.11$/m);
  });

  test('DHCP-6: a machine that is not of the fleet is left alone', async () => {
    await segment.setClientMac('52:54:00:00:00:ee');
    try {
      await assert.rejects(udhcpc('-t', '1'), { code: 'PROGRAM_FAILED' });
      await servers?.until('dhcp.unknown');
    } finally {
      await segment.setClientMac(CLIENT.mac);
    }
  });

  test('what is no DHCP packet is told as an event, and the next client is served', async () => {
    await segment.addClientAddress('10.99.0.50/24');
    await segment.runClient('bash', ['-c', `echo nonsense > /dev/udp/${SERVER.address}/67`]);
    await servers?.until('dhcp.malformed');
    assert.match(await udhcpc(), /^ip=10\.99\.0\.11$/m);
  });

  test('TFTP-18: tftp-hpa fetches a file, byte for byte, and is told of a missing one', async () => {
    const target = join(dir, 'fetched');
    await segment.runClient('tftp', ['-m', 'binary', SERVER.address, '-c', 'get', 'loader', target]);
    assert.ok((await readFile(target)).equals(content));
    const missing = await segment.runClient('tftp', [SERVER.address, '-c', 'get', 'nosuch', target]);
    assert.match(missing.stdout + missing.stderr, /no file nosuch/);
  });

  test('TFTP-18: busybox tftp fetches a file, with its own block size and with large blocks', async () => {
    for (const options of [[], ['-b', '1468']]) {
      const target = join(dir, 'busybox-fetched');
      await segment.runClient('busybox', [
        'tftp',
        '-g',
        '-r',
        'loader',
        '-l',
        target,
        ...options,
        SERVER.address,
      ]);
      assert.ok((await readFile(target)).equals(content), options.join(' '));
    }
    const missing = ['tftp', '-g', '-r', 'nosuch', '-l', join(dir, 'none'), SERVER.address];
    await assert.rejects(segment.runClient('busybox', missing), /no file nosuch|not found/i);
  });

  test('TFTP-18: atftp fetches a file, with its own block size, with large blocks and with windows', async () => {
    for (const option of [[], ['--option', 'blksize 1428'], ['--option', 'windowsize 8']]) {
      const target = join(dir, 'atftp-fetched');
      const what = ['--get', '--remote-file', 'loader', '--local-file', target];
      await segment.runClient('atftp', [...option, ...what, SERVER.address]);
      assert.ok((await readFile(target)).equals(content), option.join(' '));
    }
  });

  test('TFTP-19: curl fetches a file with small and with large blocks', async () => {
    for (const blksize of ['512', '1468', '65464']) {
      const target = join(dir, `curl-${blksize}`);
      const options = ['-sS', '--tftp-blksize', blksize, '-o', target];
      await segment.runClient('curl', [...options, `tftp://${SERVER.address}/loader`]);
      assert.ok((await readFile(target)).equals(content), blksize);
    }
  });
});
