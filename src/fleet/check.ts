import { addedBy, editOf, TAKE_ALL } from './list-edit.ts';
import { didYouMean, nameList } from './nearest.ts';
import { checkNetworks, networksOfDraft, outside, subnetOf, type Subnet } from './check-networks.ts';
import { checkDisks } from './check-disks.ts';
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
  /** Says where something stands for who reads about another place: `line 12` in the same file, or `profiles/web.yaml:3`. */
  place(path: Path, from: Path): string;
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
    ...checkNetworks(draft, around),
    ...checkAddresses(draft),
    ...checkUnique(draft, 'mac', around),
    ...checkUnique(draft, 'serial', around),
    ...checkUnique(draft, 'guid', around),
    ...checkUnique(draft, 'address', around),
    ...checkUnique(draft, 'recipient', around),
    ...checkNames(draft),
    ...checkIdentities(draft, around),
    ...checkProfileNames(draft, around),
    ...checkCycles(draft),
    ...checkDisks(draft, around),
    ...layers.flatMap(([path, settings]) => [
      ...checkOverlays(path, settings, around),
      ...checkServices(path, settings),
      ...checkEdits(path, settings),
    ]),
  ];
}

/** A blade is in the network whose subnet has its address, so any of them will do. */
function checkAddresses(draft: Draft): Fault[] {
  const subnets = networksOfDraft(draft).flatMap(([, { subnet }]) =>
    subnet === undefined ? [] : [subnetOf(subnet)],
  );
  if (subnets.length === 0) return [];
  return Object.entries(draft.blades).flatMap(([name, { address }]) => {
    if (address === undefined) return [];
    const refused = refusal(subnets, address);
    return refused === undefined ? [] : [{ path: ['blades', name, 'address'], message: refused }];
  });
}

function refusal(subnets: Subnet[], address: string): string | undefined {
  const [only] = subnets;
  const home = subnets.find((subnet) => subnet.has(address)) ?? (subnets.length === 1 ? only : undefined);
  if (home !== undefined) return outside(home, address);
  return `${address} is in none of the fleet's subnets (${subnets.map(({ text }) => text).join(', ')}); write an address in one of them, or add its network to networks`;
}

function checkUnique(
  { blades }: Draft,
  field: 'mac' | 'serial' | 'guid' | 'address' | 'recipient',
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
    const path = ['blades', name, field];
    const first = `blade ${owner} has it already (${place(['blades', owner, field], path)})`;
    return [{ path, message: `${value} stands twice: ${first}; each blade needs its own` }];
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
  return overlays.flatMap((item, index) => {
    const { name } = editOf(item);
    if (item === TAKE_ALL || around.overlays.includes(name)) return [];
    const message = `there is no folder overlays/${name}${didYouMean(name, around.overlays)}; folders: ${nameList(around.overlays)}`;
    return [{ path: [...path, 'overlays', index], message }];
  });
}

function checkServices(path: Path, { services: { start, stop } }: Settings): Fault[] {
  const started = addedBy(start);
  return stop.flatMap((item, index) => {
    const { kind, name } = editOf(item);
    if (kind === 'take' || !started.includes(name)) return [];
    const message = `${name} is in start as well; leave it in one of the two`;
    return [{ path: [...path, 'services', 'stop', index], message }];
  });
}

/** The lists whose items may have signs, and where they stand in a layer. */
export function editedLists({ overlays, services, kernelArgs, health, ssh }: Settings): [Path, string[]][] {
  return [
    [['overlays'], overlays],
    [['services', 'start'], services.start],
    [['services', 'stop'], services.stop],
    [['kernelArgs'], kernelArgs],
    [['health', 'command'], health.command],
    [['health', 'http'], health.http],
    [['health', 'tcp'], health.tcp],
    [['health', 'unit'], health.unit],
    [['health', 'mayFail'], health.mayFail],
    [['ssh', 'authorizedKeys'], ssh.authorizedKeys],
  ];
}

/** What one list both adds and takes away. */
function checkEdits(path: Path, settings: Settings): Fault[] {
  return editedLists(settings).flatMap(([field, list]) => {
    const added = addedBy(list);
    return list.flatMap((item, index) => {
      const { kind, name } = editOf(item);
      if (kind === 'add' || !added.includes(name)) return [];
      const message = `${item} takes away what the same list adds; leave one of the two`;
      return [{ path: [...path, ...field, index], message }];
    });
  });
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
