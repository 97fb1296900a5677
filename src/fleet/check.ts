import ipaddr from 'ipaddr.js';
import { didYouMean, nameList } from './nearest.ts';
import type { Draft, Settings } from './schema.ts';
import type { Path } from './source.ts';

/** A fault, and where in the fleet it stands. */
export interface Fault {
  path: Path;
  message: string;
}

/** What a check may need to know beside the fleet itself. */
export interface Surroundings {
  /** Names of the folders in overlays/. */
  overlays: readonly string[];
  /** The names of all profiles, of those with other faults as well. */
  profiles: readonly string[];
  /** Whether something has a fault of its own, and so is not there to be looked at. */
  faulty(path: Path): boolean;
  /** Says where something stands, as `line 12` or `profiles/web.yaml:3`. */
  place(path: Path): string;
}

/** What is wrong between the fields of a fleet, each of which is right by itself. Pure. */
export function checkFleet(draft: Draft, around: Surroundings): Fault[] {
  const layers: [Path, Settings][] = [
    [['defaults'], draft.defaults],
    ...Object.entries(draft.profiles).map(([name, profile]): [Path, Settings] => [
      ['profiles', name],
      profile,
    ]),
    ...Object.entries(draft.blades).map(([name, blade]): [Path, Settings] => [['blades', name], blade]),
  ];
  return [
    ...checkNetwork(draft),
    ...checkAddresses(draft),
    ...checkUnique(draft, 'mac', around),
    ...checkUnique(draft, 'serial', around),
    ...checkUnique(draft, 'guid', around),
    ...checkUnique(draft, 'address', around),
    ...checkNames(draft),
    ...checkIdentities(draft, around),
    ...checkProfileNames(draft, around),
    ...checkCycles(draft),
    ...layers.flatMap(([path, settings]) => [
      ...checkOverlays(path, settings, around),
      ...checkServices(path, settings),
    ]),
  ];
}

interface Subnet {
  text: string;
  first: string;
  last: string;
  /** Why no host can have this address; undefined when one can. */
  refuses(address: string): string | undefined;
}

function subnetOf(text: string): Subnet {
  const first = ipaddr.IPv4.networkAddressFromCIDR(text).toString();
  const last = ipaddr.IPv4.broadcastAddressFromCIDR(text).toString();
  const subnet = ipaddr.IPv4.parseCIDR(text);
  return {
    text,
    first,
    last,
    refuses(address) {
      if (!ipaddr.IPv4.parse(address).match(subnet)) return `is not in the subnet ${text}`;
      if (address === first) return `is the address of the subnet ${text} itself`;
      return address === last ? `is the broadcast address of the subnet ${text}` : undefined;
    },
  };
}

/** A subnet of /31 or /32 has no room for a root and a blade beside network and broadcast address. */
const LONGEST_PREFIX = 30;

function checkNetwork({ network: { subnet: text, gateway } }: Draft): Fault[] {
  if (text === undefined) return [];
  const faults: Fault[] = [];
  const path = ['network', 'subnet'];
  const prefixLength = ipaddr.IPv4.parseCIDR(text)[1];
  const subnet = subnetOf(text);
  if (prefixLength > LONGEST_PREFIX) {
    faults.push({
      path,
      message: `${text} has no room for blades; write a prefix length of at most ${LONGEST_PREFIX}`,
    });
  } else if (!text.startsWith(`${subnet.first}/`)) {
    const message = `${text} does not start at its first address; write ${subnet.first}/${prefixLength}`;
    faults.push({ path, message });
  }
  const refused = gateway === undefined ? undefined : subnet.refuses(gateway);
  if (refused !== undefined) {
    faults.push({ path: ['network', 'gateway'], message: `${gateway} ${refused}; write ${between(subnet)}` });
  }
  return faults;
}

function between({ first, last }: Subnet): string {
  return `an address between ${first} and ${last}`;
}

function checkAddresses({ network, blades }: Draft): Fault[] {
  if (network.subnet === undefined) return [];
  const subnet = subnetOf(network.subnet);
  return Object.entries(blades).flatMap(([name, { address }]) => {
    const refused = address === undefined ? undefined : subnet.refuses(address);
    if (refused === undefined) return [];
    return [
      { path: ['blades', name, 'address'], message: `${address} ${refused}; write ${between(subnet)}` },
    ];
  });
}

function checkUnique(
  { blades }: Draft,
  field: 'mac' | 'serial' | 'guid' | 'address',
  { place }: Surroundings,
): Fault[] {
  const owners = new Map<string, string>();
  return Object.entries(blades).flatMap(([name, { [field]: value }]) => {
    if (value === undefined) return [];
    const owner = owners.get(value);
    if (owner === undefined) {
      owners.set(value, name);
      return [];
    }
    const first = `blade ${owner} has it already (${place(['blades', owner, field])})`;
    return [
      { path: ['blades', name, field], message: `${value} stands twice: ${first}; each blade needs its own` },
    ];
  });
}

function checkProfileNames({ profiles, blades }: Draft, around: Surroundings): Fault[] {
  const uses: [Path, string[] | undefined][] = [
    ...Object.entries(profiles).map(([name, p]): [Path, string[] | undefined] => [
      ['profiles', name, 'extends'],
      p.extends,
    ]),
    ...Object.entries(blades).map(([name, b]): [Path, string[] | undefined] => [
      ['blades', name, 'profile'],
      b.profile,
    ]),
  ];
  return uses.flatMap(([path, names]) =>
    (names ?? []).flatMap((name, index) =>
      around.profiles.includes(name)
        ? []
        : [
            {
              path: [...path, index],
              message: `there is no profile ${name}${didYouMean(name, around.profiles)}; profiles: ${nameList(around.profiles)}`,
            },
          ],
    ),
  );
}

/** Each cycle once, at the `extends` of the profile of it that stands first. */
function checkCycles({ profiles }: Draft): Fault[] {
  const faults: Fault[] = [];
  const done = new Set<string>();
  const walk = (name: string, chain: string[]): void => {
    const start = chain.indexOf(name);
    if (start >= 0) {
      const circle = [...chain.slice(start), name].join(' → ');
      const message = `goes round in a circle (${circle}); take one of them out`;
      faults.push({ path: ['profiles', name, 'extends'], message });
      return;
    }
    if (done.has(name)) return;
    const parents = Object.hasOwn(profiles, name) ? profiles[name]?.extends : undefined;
    for (const parent of parents ?? []) walk(parent, [...chain, name]);
    done.add(name);
  };
  for (const name of Object.keys(profiles)) walk(name, []);
  return faults;
}

function checkOverlays(path: Path, { overlays }: Settings, around: Surroundings): Fault[] {
  return overlays.flatMap((name, index) =>
    around.overlays.includes(name)
      ? []
      : [
          {
            path: [...path, 'overlays', index],
            message: `there is no folder overlays/${name}${didYouMean(name, around.overlays)}; folders: ${nameList(around.overlays)}`,
          },
        ],
  );
}

function checkServices(path: Path, { services: { start, stop } }: Settings): Fault[] {
  return stop.flatMap((name, index) =>
    start.includes(name)
      ? [
          {
            path: [...path, 'services', 'stop', index],
            message: `${name} is in start as well; leave it in one of the two`,
          },
        ]
      : [],
  );
}

/** What stands in the URLs of a machine without a name (boot/unknown-script.ts). */
const NO_BLADE = 'unknown';

function checkNames({ blades }: Draft): Fault[] {
  if (!Object.hasOwn(blades, NO_BLADE)) return [];
  const message = `${NO_BLADE} is what machines without a name are called; give the blade another name`;
  return [{ path: ['blades', NO_BLADE], message }];
}

/** One word says which machine a blade is: several could mean several machines. */
function checkIdentities({ blades }: Draft, { faulty }: Surroundings): Fault[] {
  return Object.entries(blades).flatMap(([name, blade]): Fault[] => {
    const path = ['blades', name];
    const words = IDENTITIES.filter((word) => blade[word] !== undefined || faulty([...path, word]));
    const [first, second] = words;
    if (first === undefined) {
      const message = 'does not say which machine it is; write its mac, or its serial or guid';
      return [{ path, message }];
    }
    if (second === undefined) return [];
    return [
      { path: [...path, second], message: `${first} says already which machine it is; leave one of them` },
    ];
  });
}

const IDENTITIES = ['mac', 'serial', 'guid'] as const;
