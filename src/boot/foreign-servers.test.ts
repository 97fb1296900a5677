/** dnsmasq, Kea and ISC dhcpd themselves, started with what is printed for them, answer what each firmware asks. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { CLIENT, cannotMakeSegment, Segment, SERVER } from '../serve/segment.fixture.ts';
import type { PipedChild } from '../system/run.ts';
import { foreignConfig, type ForeignServer } from './foreign-config.ts';

const URL = `http://${SERVER.address}:8067`;
const SCRIPT = `${URL}/boot/\${netX/mac:hexhyp}/script.ipxe`;
const boot = {
  address: SERVER.address,
  url: URL,
  networks: [
    {
      name: 'main',
      subnet: '10.99.0.0/24',
      dns: [],
      blades: [{ name: 'web01', mac: CLIENT.mac, address: '10.99.0.11' }],
    },
  ],
};

/** What udhcpc sends in the firmware's place: vendor class, and options by their number, in hex. */
const PXE = ['-V', 'PXEClient:Arch:00000:UNDI:002001'];
const arch = (number: string): string[] => ['-x', `0x5d:${number}`];
const IPXE = ['-x', '0x4d:69505845'];

const CLIENTS: { firmware: string; says: string[]; file: string; http?: true; hidden?: ForeignServer }[] = [
  { firmware: 'BIOS', says: [...PXE, ...arch('0000')], file: 'undionly.kpxe' },
  { firmware: 'a ROM from before option 93', says: PXE, file: 'undionly.kpxe' },
  { firmware: 'UEFI that says 7', says: [...PXE, ...arch('0007')], file: 'snponly.efi' },
  { firmware: 'UEFI that says 9', says: [...PXE, ...arch('0009')], file: 'snponly.efi' },
  { firmware: 'UEFI on ARM64', says: [...PXE, ...arch('000b')], file: 'ipxe-arm64.efi' },
  {
    firmware: 'UEFI HTTP boot',
    says: ['-V', 'HTTPClient:Arch:00016:UNDI:003001', ...arch('0010')],
    file: `${URL}/boot/loaders/snponly.efi`,
    http: true,
  },
  { firmware: 'iPXE', says: [...PXE, ...arch('0007'), ...IPXE, '-x', '0xaf:130101'], file: SCRIPT },
  {
    firmware: 'iPXE without HTTP',
    says: [...PXE, ...arch('0000'), ...IPXE, '-x', '0xaf:150101'],
    file: 'undionly.kpxe',
    // It cannot look into option 175, as its lines say.
    hidden: 'dnsmasq',
  },
];

type Start = (segment: Segment, directory: string, text: string) => Promise<PipedChild>;

const STARTS: Record<ForeignServer, Start> = {
  async dnsmasq(segment, directory, text) {
    const file = join(directory, 'dnsmasq.conf');
    await writeFile(file, text);
    const own = ['--port=0', `--interface=${SERVER.interface}`, '--bind-interfaces', '--user=root'];
    const files = [`--dhcp-leasefile=${directory}/leases`, '--pid-file=', '-C', file];
    return segment.startOther('dnsmasq', ['--keep-in-foreground', '--log-facility=-', ...own, ...files]);
  },
  async kea(segment, directory, text) {
    const { Dhcp4 } = JSON.parse(text.replace(/^\/\/.*$/m, ''));
    const own = {
      'interfaces-config': { interfaces: [SERVER.interface] },
      'lease-database': { type: 'memfile', persist: false },
    };
    const file = join(directory, 'kea.json');
    await writeFile(file, JSON.stringify({ Dhcp4: { ...Dhcp4, ...own } }));
    const env = { KEA_PIDFILE_DIR: directory, KEA_LOCKFILE_DIR: directory };
    return segment.startOther('kea-dhcp4', ['-c', file], env);
  },
  async isc(segment, directory, text) {
    const file = join(directory, 'dhcpd.conf');
    await writeFile(file, `authoritative;\n${text}`);
    await writeFile(join(directory, 'leases'), '');
    const files = ['-cf', file, '-lf', join(directory, 'leases'), '--no-pid'];
    return segment.startOther('dhcpd', ['-4', '-f', ...files, SERVER.interface]);
  },
};

for (const server of ['dnsmasq', 'kea', 'isc'] as const) {
  describe(`with ${server} as the DHCP server`, { skip: cannotMakeSegment }, () => {
    const segment = new Segment(`foreign-${server}`);
    let child: PipedChild | undefined;
    let directory = '';
    let script = '';

    before(async () => {
      directory = await mkdtemp(join(tmpdir(), 'bladeroot-foreign-'));
      script = join(directory, 'udhcpc-script');
      await writeFile(script, '#!/bin/sh\n[ "$1" = bound ] && env\nexit 0\n', { mode: 0o755 });
      await segment.create();
      child = await STARTS[server](segment, directory, foreignConfig(server, boot));
    });

    after(async () => {
      child?.kill('SIGTERM');
      await child?.done.catch(() => undefined);
      await segment.remove();
      await rm(directory, { recursive: true });
    });

    for (const { firmware, says, file, http, hidden } of CLIENTS) {
      test(`${firmware} is sent to ${file}`, { skip: hidden === server }, async () => {
        const often = ['-f', '-q', '-n', '-t', '10', '-T', '1', '-i', CLIENT.interface, '-s', script];
        const asked = ['-O', 'bootfile', '-O', 'tftp', '-O', '60', ...says];
        const { stdout } = await segment.runClient('udhcpc', [...often, ...asked]);
        const value = (name: string): string | undefined =>
          new RegExp(`^${name}=(.*)$`, 'm').exec(stdout)?.[1];
        assert.equal(value('ip'), '10.99.0.11');
        assert.equal(value('bootfile') ?? value('boot_file'), file);
        if (http === true) {
          assert.equal(value('vendor'), 'HTTPClient');
        } else if (!file.includes(':')) {
          assert.equal(value('siaddr'), SERVER.address);
        }
      });
    }
  });
}
