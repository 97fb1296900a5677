/**
 * The fields of a fleet: the only place where they are defined, with disk-fields.ts for those of disks. Types come from
 * here by inference, the JSON Schema for editors by json-schema.ts, the reference of docs/fleet.md by reference.ts.
 */
import { z } from 'zod';
import { disksSchema } from './disk-fields.ts';
import { expects, listOf, mapOf, strict, text } from './field-types.ts';

const label = (what: string, example: string) =>
  text(
    /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/,
    what,
    `1 to 63 lower-case letters, digits and inner hyphens (RFC 1123) such as ${example}`,
  );

/** An item of a list that is laid over those of the layers below: a name, or one with a sign (list-edit.ts). */
function edited(name: RegExp, what: string, right: string) {
  const pattern = new RegExp(`^(-\\*|[+-]?(${name.source}))$`);
  return text(pattern, what, `${right}; -NAME takes away what further layers add, -* all of it`);
}

const overlayName = edited(
  /[A-Za-z0-9][A-Za-z0-9_.-]*/,
  'the name of an overlay',
  'the name of a folder in overlays/ such as base',
);

const profileName = text(
  /^[A-Za-z0-9][A-Za-z0-9_.-]*$/,
  'the name of a profile',
  'letters, digits, hyphens and dots such as web',
);

/** `nginx.service` and `nginx` are one service: without its suffix, it is named alike on every service manager. */
const serviceName = edited(
  /[A-Za-z0-9_][A-Za-z0-9_.:@\\-]*/,
  'the name of a service',
  'the name by which the service manager of the image knows it, such as nginx or getty@tty1',
).transform((name) => name.replace(/\.service$/, ''));

const address = (what: string, example: string) => z.ipv4({ error: expects(what, example) });

const oneOrMore = z
  .union([profileName, z.array(profileName)], {
    error: expects(
      'the name of a profile or a list of names',
      'one such as web, or a list such as [web, mail]',
    ),
  })
  .transform((names) => (typeof names === 'string' ? [names] : names));

/** The public half of an age X25519 identity: Bech32 (BIP 173) with `age` before it. */
const recipient = text(
  /^age1[02-9ac-hj-np-z]{58}$/,
  'an age recipient',
  'what `bladeroot blade list --pending` or `age-keygen -y` shows, age1 and 58 letters and digits',
);

const templateValue: z.ZodType<z.core.util.JSONType> = z.lazy(() =>
  z.union(
    [
      z.string(),
      z.number(),
      z.boolean(),
      z.null(),
      z.array(templateValue),
      z.record(z.string(), templateValue),
    ],
    { error: expects('a value for templates', 'text, a number, true, false, a list or a map') },
  ),
);

/** A line of authorized_keys(5): options, the kind of key, the key in base64, and a comment. */
const authorizedKey = edited(
  /([^\s+-].* )?(ssh-(ed25519|rsa)|ecdsa-sha2-nistp(256|384|521)|sk-(ssh-ed25519|ecdsa-sha2-nistp256)@openssh\.com) AAAA[A-Za-z0-9+/]+=*( [^\n]*)?/,
  'a public key of SSH',
  'the line of a .pub file such as ssh-ed25519 AAAA… admin@example',
);

/** What a machine that boots from the network can do: the entries of its menu. */
export const BOOT_CHOICES = ['boot', 'local-disk', 'deploy', 'rescue'] as const;
export type BootChoice = (typeof BOOT_CHOICES)[number];

/** Where a blade has its root filesystem. */
const ROOTS = ['disk', 'ram'] as const;

/** A menu that is to be seen at all, up to an hour. */
const MAX_BOOT_TIMEOUT_S = 3600;

/** Which device the firmware of a UEFI machine starts first. */
export const BOOT_ORDERS = ['network-first', 'disk-first'] as const;
export type BootOrder = (typeof BOOT_ORDERS)[number];

const seconds = (least: number, most: number, example: number) => {
  const error = expects('a number of seconds', `a whole number from ${least} to ${most} such as ${example}`);
  return z.int({ error }).min(least, { error }).max(most, { error });
};

/** What must be so before a blade is taken for good; all of it counts. */
const health = strict({
  command: listOf(
    edited(/[^\s+-].*/, 'a command', 'one as /bin/sh takes it, such as /usr/local/bin/check-mail'),
    'commands such as [/usr/local/bin/check-mail]',
  )
    .default([])
    .describe('Commands that must end with 0'),
  http: listOf(
    edited(/https?:\/\/[^\s]+/, 'a URL', 'one such as http://localhost/health'),
    'URLs such as [http://localhost/health]',
  )
    .default([])
    .describe('URLs that must answer with a status from 200 to 399'),
  tcp: listOf(
    edited(
      /([A-Za-z0-9.-]+:)?[0-9]{1,5}/,
      'a TCP port',
      'the number of one of the blade such as 25 (in quotes), or HOST:PORT',
    ),
    'ports such as ["25", "localhost:3306"]',
  )
    .default([])
    .describe('TCP ports, of the blade or as HOST:PORT, that must take a connection'),
  unit: listOf(serviceName, 'services such as [nginx]').default([]).describe('Services that must be running'),
  mayFail: listOf(serviceName, 'services such as [smartd]')
    .default([])
    .describe('Services that may have failed: any other that has makes the blade unhealthy'),
  timeout: seconds(10, 3600, 300)
    .optional()
    .describe('Seconds from the start of the services until all of it must be so; 300 when left out'),
  period: seconds(1, 600, 5).optional().describe('Seconds between two looks; 5 when left out'),
});

/** What `defaults`, a profile and a blade can all say; the nearest to the blade wins. */
const settings = {
  overlays: listOf(overlayName, 'folders of overlays/ such as [base, web]')
    .default([])
    .describe('Folders of overlays/ that are laid over the image, in this order'),
  services: strict({
    start: listOf(serviceName, 'services such as [nginx]')
      .default([])
      .describe('Services that start at boot'),
    stop: listOf(serviceName, 'services such as [nginx]')
      .default([])
      .describe('Services of the image that do not start at boot'),
  })
    .prefault({})
    .describe('Which services of the image start at boot'),
  kernelArgs: listOf(
    edited(/[^\s]+/, 'a kernel argument', 'text without spaces such as console=ttyS0'),
    'kernel arguments such as [console=ttyS0]',
  )
    .default([])
    .describe('Arguments added to the kernel command line, in this order'),
  vars: mapOf(
    text(
      /^[A-Za-z_][A-Za-z0-9_]*$/,
      'the name of a variable',
      'letters, digits and underscores such as role',
    ),
    templateValue,
    'variables such as { role: web }',
  )
    .default({})
    .describe('Values for templates: {{ vars.role }}'),
  pin: z
    .union([z.int().positive(), z.literal('latest')], {
      error: expects('a release', 'the number of one such as 17, or latest'),
    })
    .optional()
    .describe('The release that is run whatever is published: its number, or latest, as without a pin'),
  root: z
    .enum(ROOTS, { error: expects('where the root filesystem lies', 'disk or ram') })
    .optional()
    .describe(
      'Where the root filesystem lies: disk, the default, or ram, unpacked into memory anew at every boot, without a disk',
    ),
  disks: disksSchema.prefault({}).describe('Which disk a blade has its slots on, and how it is divided'),
  boot: strict({
    default: z
      .enum(BOOT_CHOICES, {
        error: expects('an entry of the boot menu', `one of ${BOOT_CHOICES.join(', ')}`),
      })
      .optional()
      .describe(
        'What happens by itself: boot (what the root says, the default), local-disk (as boot, where root is ram), deploy or rescue',
      ),
    timeout: z
      .int({ error: expects('a number of seconds', 'a whole number such as 5') })
      .min(0, { error: expects('a number of seconds', '0 for no menu, or a whole number such as 5') })
      .max(MAX_BOOT_TIMEOUT_S, { error: expects('a number of seconds', `at most ${MAX_BOOT_TIMEOUT_S}`) })
      .optional()
      .describe('Seconds for which the boot menu is shown; 0, the default: there is none'),
  })
    .prefault({})
    .describe('The menu on the screen of a blade that boots from the network'),
  health: health
    .prefault({})
    .describe('What must be so before a blade that has a new release takes it for good, or else falls back'),
  bootOrder: z
    .enum(BOOT_ORDERS, {
      error: expects('an order in which the firmware boots', `one of ${BOOT_ORDERS.join(', ')}`),
    })
    .optional()
    .describe(
      'On UEFI, what the firmware is kept told: network-first or disk-first; left out, its order is left alone',
    ),
  timezone: text(
    /^[A-Za-z][A-Za-z0-9_+-]*(\/[A-Za-z0-9][A-Za-z0-9_+-]*)*$/,
    'a time zone',
    'one of the tz database such as Europe/Berlin',
  )
    .optional()
    .describe("The time zone; left out, the image's stays"),
  ssh: strict({
    authorizedKeys: listOf(authorizedKey, 'public keys such as [ssh-ed25519 AAAA… admin@example]')
      .default([])
      .describe('Public keys that may log in as root, as in authorized_keys(5)'),
  })
    .prefault({})
    .describe('Who may log in by SSH'),
  // Who can fetch a release can guess at the hash: one that is computed in no time is none.
  rootPassword: text(
    /^([!*]|\$(?!1\$|3\$|md5)[a-z0-9]+\$[!-9;-~]+)$/,
    'the hash of a password that is hard to guess by it',
    "what `mkpasswd` or `openssl passwd -6` prints, in quotes such as '$6$…', or '*' for none; md5crypt ($1$) is refused",
  )
    .optional()
    .describe("The hash of root's password (crypt(5)); left out, the image's stays"),
};

const network = strict({
  subnet: z
    .cidrv4({
      error: expects('an IPv4 subnet', 'its first address and its prefix length such as 10.77.0.0/24'),
    })
    .describe('The subnet of the blades'),
  gateway: address('an IPv4 address', 'the address of the router such as 10.77.0.1')
    .optional()
    .describe('The router; left out, blades reach their own subnet only'),
  dns: listOf(
    address('an IPv4 address', 'the address of a name server such as 10.77.0.1'),
    'addresses such as [10.77.0.1]',
  )
    .default([])
    .describe("Name servers, in order of preference; left out, the image's own resolv.conf stays"),
  domain: text(
    /^(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$/,
    'a domain name',
    'lower-case labels such as lab.example',
  )
    .optional()
    .describe('The domain that host names are completed with'),
  mode: z
    .enum(['server', 'proxy', 'off'], {
      error: expects('what the root does there about DHCP', 'server, proxy or off'),
    })
    .default('server')
    .describe(
      'server: the root is the DHCP server; proxy: another one gives addresses, the root tells what to boot; off: the root is silent',
    ),
  pool: strict({
    from: address('an IPv4 address', 'the first address such as 10.77.0.200').describe('The first address'),
    to: address('an IPv4 address', 'the last address such as 10.77.0.250').describe('The last address'),
  })
    .optional()
    .describe(
      'Addresses for machines that are no blades yet; those of blades, router and root in it are left out by themselves. Left out, unknown machines get no answer',
    ),
  proxyDelay: z
    .int({ error: expects('a time in milliseconds', 'a whole number from 0 to 10000 such as 500') })
    .min(0, { error: expects('a time in milliseconds', 'a whole number from 0 to 10000 such as 500') })
    .max(10_000, { error: expects('a time in milliseconds', 'a whole number from 0 to 10000 such as 500') })
    .optional()
    .describe('Milliseconds before a proxy answers; some ROMs miss an instant answer'),
});

/** A profile: what `profiles.NAME`, or the file profiles/NAME.yaml, has. */
export const profileSchema = strict({
  extends: oneOrMore
    .optional()
    .describe('Profiles that this one is based on; later ones win over earlier ones'),
  ...settings,
});

/** A blade, likewise. */
export const bladeSchema = strict({
  mac: text(
    /^[0-9A-Fa-f][02468ACEace]([:-][0-9A-Fa-f]{2}){5}$/,
    'a MAC address',
    'six pairs of hex digits such as 52:54:00:12:34:56',
  )
    .transform((mac) => mac.toLowerCase().replaceAll('-', ':'))
    .optional()
    .describe('The network card that the blade boots from'),
  serial: text(
    /^[!-~]([ -~]{0,126}[!-~])?$/,
    'a serial number',
    'what `bladeroot blade list --pending` shows, in quotes such as "4QX0P33"',
  )
    .optional()
    .describe('Instead of mac: the serial number that the machine has in SMBIOS'),
  guid: text(
    /^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$/,
    'a GUID',
    'the UUID of SMBIOS such as 4c4c4544-0034-3010-8048-b7c04f4e4d32',
  )
    .transform((guid) => guid.toLowerCase())
    .optional()
    .describe('Instead of mac: the UUID that the machine has in SMBIOS'),
  address: address('an IPv4 address', 'four numbers such as 10.77.0.11').describe(
    "The blade's fixed address in the subnet",
  ),
  profile: oneOrMore.optional().describe('Profiles of the blade; later ones win over earlier ones'),
  recipient: recipient
    .optional()
    .describe("The blade's accepted identity, to which its secrets are encrypted; `blade approve` writes it"),
  ...settings,
});

const profiles = mapOf(profileName, profileSchema, '"NAME: { … }" lines, one for each profile')
  .default({})
  .describe('What blades of a kind share, by name');
const blades = mapOf(
  label('the name of a blade', 'web01'),
  bladeSchema,
  '"NAME: { mac: …, address: … }" lines',
).default({});

const networkName = label('the name of a network', 'rack2');

export const fleetSchema = strict({
  name: label('the name of a fleet', 'lab').describe('The name of the fleet'),
  network: network.describe('The network that the blades boot from and live in'),
  networks: mapOf(networkName, network, '"NAME: { subnet: … }" lines, one for each further network')
    .default({})
    .describe('Further networks, by name; a blade is in the one whose subnet has its address'),
  secrets: strict({
    recovery: listOf(recipient, 'recipients such as [age1…]')
      .default([])
      .describe('Identities kept away from all machines, which can read every secret'),
  })
    .prefault({})
    .describe('Who can read the secrets of overlays/NAME/secrets/ beside the blades that they are for'),
  defaults: strict(settings).prefault({}).describe('What every blade has'),
  profiles,
  blades: blades.describe('The servers of the fleet, by host name'),
});

/**
 * A fleet of which parts are missing, so that what is there can be checked all the same. It knows no fields of its own.
 */
export const draftSchema = z.object({
  network: network.partial().prefault({}),
  networks: z.record(z.string(), network.partial()).default({}),
  defaults: strict(settings).prefault({}),
  profiles,
  blades: z.record(z.string(), bladeSchema.partial({ address: true })).default({}),
});

/** Everything that `fleet.yaml` says, with what it leaves out filled in. */
export type Fleet = z.output<typeof fleetSchema>;
export type Draft = z.output<typeof draftSchema>;
export type Network = Fleet['network'];
export type Profile = Fleet['profiles'][string];
export type Settings = Fleet['defaults'];
export type Blade = Fleet['blades'][string];
export type Health = Settings['health'];
