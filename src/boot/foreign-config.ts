/** What another DHCP server has to say so that its clients boot from this root: text, to be put into its files. */
import { parseSubnet } from '../net/ipv4.ts';
import { BOOTABLE } from './firmware.ts';
import { LOADERS_PATH } from './plan.ts';

export const FOREIGN_SERVERS = ['dnsmasq', 'kea', 'isc'] as const;
export type ForeignServer = (typeof FOREIGN_SERVERS)[number];

export interface ForeignBoot {
  /** The root's address, where TFTP is. */
  address: string;
  /** The root's base URL, without a slash at its end. */
  url: string;
  networks: ForeignNetwork[];
}

export interface ForeignNetwork {
  name: string;
  /** Such as `10.77.0.0/24`. */
  subnet: string;
  gateway?: string;
  dns: string[];
  domain?: string;
  blades: { name: string; mac: string; address: string }[];
}

/** The lines for one kind of server; each is whole, so that the server's own check takes it. */
export function foreignConfig(server: ForeignServer, boot: ForeignBoot): string {
  const write = { dnsmasq: dnsmasqConfig, kea: keaConfig, isc: iscConfig }[server];
  return write(boot);
}

/**
 * Where iPXE finds its script when it is not us who tell it: iPXE puts the address of the card that it booted from in
 * the place of the variable (ipxe.org/cfg/netX), so that one line serves all blades, those to come included.
 */
function scriptUrl(url: string): string {
  return `${url}/boot/\${netX/mac:hexhyp}/script.ipxe`;
}

interface Loader {
  /** `uefi-x64` or `uefi-x64-http`. */
  name: string;
  file: string;
  http: boolean;
  architectures: number[];
}

/** Each loader once, with all architectures that want it. */
function loaders(): Loader[] {
  const byName = new Map<string, Loader>();
  for (const { arch, firmware, loader, http } of BOOTABLE) {
    const name = http ? `${firmware}-http` : firmware;
    const known = byName.get(name) ?? { name, file: loader, http, architectures: [] };
    byName.set(name, { ...known, architectures: [...known.architectures, arch] });
  }
  return [...byName.values()];
}

function bootFile({ url }: ForeignBoot, { file, http }: Loader): string {
  return http ? `${url}${LOADERS_PATH}${file}` : file;
}

/** For clients from before option 93: a PC with BIOS. */
const OLDEST = 'undionly.kpxe';

/** dnsmasq cannot look into option 175, so that an iPXE without HTTP is not told from one with it. */
function dnsmasqConfig(boot: ForeignBoot): string {
  const lines = [
    `# bladeroot: network boot from ${boot.url}`,
    '# An iPXE in a ROM that has no HTTP gets a URL that it cannot fetch: boot such cards by UEFI, or with another ROM.',
    'dhcp-userclass=set:bladeroot-ipxe,iPXE',
    'dhcp-vendorclass=set:bladeroot-pxe,PXEClient',
    'dhcp-match=set:bladeroot-arch,option:client-arch',
    ...loaders().flatMap(({ name, architectures }) =>
      architectures.map((arch) => `dhcp-match=set:bladeroot-${name},option:client-arch,${arch}`),
    ),
    '# Spares iPXE its wait for a proxy.',
    'dhcp-option=tag:bladeroot-ipxe,encap:175,176,1b',
    '# UEFI takes a URL only from a server that calls itself HTTPClient.',
    ...loaders()
      .filter(({ http }) => http)
      .map(({ name }) => `dhcp-option-force=tag:!bladeroot-ipxe,tag:bladeroot-${name},60,HTTPClient`),
  ];
  for (const network of boot.networks) lines.push('', ...dnsmasqNetwork(boot, network));
  return `${lines.join('\n')}\n`;
}

function dnsmasqNetwork(boot: ForeignBoot, network: ForeignNetwork): string[] {
  const { name, subnet, gateway, dns, domain, blades } = network;
  const tag = `bladeroot-net-${name}`;
  const { network: first, mask } = parseSubnet(subnet);
  const option = (what: string, value: string): string => `dhcp-option=tag:${tag},option:${what},${value}`;
  const notIpxe = `dhcp-boot=tag:${tag},tag:!bladeroot-ipxe`;
  return [
    `# Network ${name}. If there is a dhcp-range for ${subnet} already, put set:${tag} into that one instead.`,
    `dhcp-range=set:${tag},${first},static,${mask}`,
    ...(gateway === undefined ? [] : [option('router', gateway)]),
    ...(dns.length === 0 ? [] : [option('dns-server', dns.join(','))]),
    ...(domain === undefined ? [] : [option('domain-name', domain)]),
    `dhcp-boot=tag:${tag},tag:bladeroot-ipxe,${scriptUrl(boot.url)}`,
    ...loaders().map((loader) => {
      const file = bootFile(boot, loader);
      return `${notIpxe},tag:bladeroot-${loader.name},${file}${loader.http ? '' : `,,${boot.address}`}`;
    }),
    `${notIpxe},tag:bladeroot-pxe,tag:!bladeroot-arch,${OLDEST},,${boot.address}`,
    ...blades.map((blade) => `dhcp-host=${blade.mac},${blade.address},${blade.name}`),
  ];
}

/** Kea's client classes are for all its subnets; the first one that has a boot file wins. */
function keaConfig(boot: ForeignBoot): string {
  const isPxe = "substring(option[60].hex,0,9) == 'PXEClient'";
  const isIpxe = "member('bladeroot-ipxe')";
  const classes = [
    {
      name: 'bladeroot-ipxe',
      // A feature that says HTTP: other iPXEs get ours first.
      test: 'option[175].option[19].exists',
      'boot-file-name': scriptUrl(boot.url),
      'option-data': [{ space: 'bladeroot-ipxe', name: 'no-pxedhcp', data: '1', 'always-send': true }],
    },
    ...loaders().map((loader) => {
      const known = loader.architectures.map((arch) => `option[93].hex == ${hex16(arch)}`).join(' or ');
      return {
        name: `bladeroot-${loader.name}`,
        test: `not ${isIpxe} and (${known})`,
        'boot-file-name': bootFile(boot, loader),
        ...(loader.http
          ? { 'option-data': [{ name: 'vendor-class-identifier', data: 'HTTPClient', 'always-send': true }] }
          : { 'next-server': boot.address }),
      };
    }),
    {
      name: 'bladeroot-oldest',
      test: `not ${isIpxe} and not option[93].exists and ${isPxe}`,
      'boot-file-name': OLDEST,
      'next-server': boot.address,
    },
  ];
  const definitions = [
    { name: 'bladeroot-ipxe', code: 175, space: 'dhcp4', type: 'empty', encapsulate: 'bladeroot-ipxe' },
    { name: 'http', code: 19, space: 'bladeroot-ipxe', type: 'uint8' },
    { name: 'no-pxedhcp', code: 176, space: 'bladeroot-ipxe', type: 'uint8' },
  ];
  const subnets = boot.networks.map((network, index) => keaSubnet(network, index + 1));
  const config = { 'option-def': definitions, 'client-classes': classes, subnet4: subnets };
  return `// bladeroot: network boot from ${boot.url}; to be merged into kea-dhcp4.conf.\n${JSON.stringify({ Dhcp4: config }, null, 2)}\n`;
}

function keaSubnet({ subnet, gateway, dns, domain, blades }: ForeignNetwork, id: number): object {
  const options = [
    ...(gateway === undefined ? [] : [{ name: 'routers', data: gateway }]),
    ...(dns.length === 0 ? [] : [{ name: 'domain-name-servers', data: dns.join(', ') }]),
    ...(domain === undefined ? [] : [{ name: 'domain-name', data: domain }]),
  ];
  const reservations = blades.map(({ name, mac, address }) => ({
    'hw-address': mac,
    'ip-address': address,
    hostname: name,
  }));
  return { id, subnet, 'option-data': options, reservations };
}

function hex16(number: number): string {
  return `0x${number.toString(16).padStart(4, '0')}`;
}

function iscConfig(boot: ForeignBoot): string {
  const lines = [
    `# bladeroot: network boot from ${boot.url}`,
    'option bladeroot-arch code 93 = unsigned integer 16;',
    'option space bladeroot-ipxe;',
    'option bladeroot-ipxe-encap code 175 = encapsulate bladeroot-ipxe;',
    'option bladeroot-ipxe.http code 19 = unsigned integer 8;',
    'option bladeroot-ipxe.no-pxedhcp code 176 = unsigned integer 8;',
    ...boot.networks.flatMap((network) => ['', ...iscSubnet(boot, network)]),
  ];
  return `${lines.join('\n')}\n`;
}

function iscSubnet(boot: ForeignBoot, network: ForeignNetwork): string[] {
  const { name, subnet, gateway, dns, domain, blades } = network;
  const { network: first, mask } = parseSubnet(subnet);
  const rules = loaders().flatMap((loader) => [
    `} elsif ${loader.architectures.map((arch) => `option bladeroot-arch = ${octets(arch)}`).join(' or ')} {`,
    `  filename "${bootFile(boot, loader)}";`,
    loader.http ? '  option vendor-class-identifier "HTTPClient";' : `  next-server ${boot.address};`,
  ]);
  const body = [
    ...(gateway === undefined ? [] : [`option routers ${gateway};`]),
    ...(dns.length === 0 ? [] : [`option domain-name-servers ${dns.join(', ')};`]),
    ...(domain === undefined ? [] : [`option domain-name "${domain}";`]),
    'if exists bladeroot-ipxe.http {',
    `  filename "${scriptUrl(boot.url)}";`,
    '  option bladeroot-ipxe.no-pxedhcp 1;',
    ...rules,
    '} elsif not exists bladeroot-arch and substring (option vendor-class-identifier, 0, 9) = "PXEClient" {',
    `  filename "${OLDEST}";`,
    `  next-server ${boot.address};`,
    '}',
    ...blades.map(
      (blade) =>
        `host ${blade.name} { hardware ethernet ${blade.mac}; fixed-address ${blade.address}; option host-name "${blade.name}"; }`,
    ),
  ];
  return [
    `# Network ${name}. If ${subnet} is declared already, put what is in the braces into that declaration.`,
    `subnet ${first} netmask ${mask} {`,
    ...body.map((line) => `  ${line}`),
    '}',
  ];
}

/** A number of 16 bits as dhcpd compares it: a plain number after `=` is none to it, and never equal. */
function octets(number: number): string {
  return [number >> 8, number & 255].map((octet) => octet.toString(16).padStart(2, '0')).join(':');
}
