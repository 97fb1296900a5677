/** A fleet folder of a thousand blades with fifty files each, such as an administrator could have written. */
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

export const BLADES = 1000;
/** Of base and a profile together, what is built in not counted. */
export const FILES = 50;
const BASE_FILES = 30;
/** Every tenth blade is one of `db`. */
const PROFILES = ['web', 'web', 'web', 'web', 'web', 'web', 'web', 'mail', 'mail', 'db'];

/** Writes the folder, which is there and empty. */
export async function writeFleetFolder(directory: string): Promise<void> {
  await writeFile(join(directory, 'fleet.yaml'), fleetYaml());
  await writeOverlay(directory, 'base', BASE_FILES);
  for (const profile of new Set(PROFILES)) await writeOverlay(directory, profile, FILES - BASE_FILES);
}

/** Changes a file that only blades of `db` have. @returns how many these are */
export async function changeDatabase(directory: string, round: number): Promise<number> {
  await writeFile(join(directory, 'overlays/db/etc/app-db/0.conf'), `# changed\nround = ${round}\n`);
  return BLADES / PROFILES.length;
}

function fleetYaml(): string {
  const blades = Array.from({ length: BLADES }, (_, number) => {
    const [high, low] = [number >> 8, number & 0xff];
    const mac = [0x52, 0x54, 0, 0x77, high, low].map((byte) => byte.toString(16).padStart(2, '0')).join(':');
    const profile = PROFILES[number % PROFILES.length] ?? '';
    return `  blade${number}: { mac: '${mac}', address: 10.77.${4 + high}.${low}, profile: ${profile}, vars: { rack: ${number % 40} } }`;
  });
  return `name: bench
network: { subnet: 10.77.0.0/16, gateway: 10.77.0.1, dns: [10.77.0.1, 10.77.0.2], domain: bench.example }
defaults: { overlays: [base], services: { start: [ssh] } }
profiles:
  web: { overlays: [web], services: { start: [nginx] }, vars: { role: web } }
  mail: { overlays: [mail], services: { stop: [nginx] }, vars: { role: mail } }
  db: { overlays: [db], services: { stop: [nginx] }, vars: { role: db } }
blades:
${blades.join('\n')}
`;
}

/** Every fifth file is a template of the blade, one lists all blades, one adds lines to a file of the image. */
async function writeOverlay(directory: string, name: string, files: number): Promise<void> {
  for (let number = 0; number < files; number++) {
    const [path, content] = fileOf(name, number);
    const full = join(directory, 'overlays', name, path);
    await mkdir(dirname(full), { recursive: true });
    await writeFile(full, content);
  }
}

function fileOf(name: string, number: number): [path: string, content: string] {
  const path = `etc/app-${name}/${number}.conf`;
  if (number === 1) return [`${path}.liquid`, ALL_BLADES];
  if (number === 2) return [name === 'base' ? 'etc/profile.append' : 'etc/nanorc.append', `# ${name}\n`];
  return number % 5 === 3 ? [`${path}.liquid`, OWN] : [path, `# setting ${number}\nkey = value\n`.repeat(60)];
}

const ALL_BLADES = `{% for b in blades %}{% if b.vars.role == 'db' %}server {{ b.name }} {{ b.address }}
{% endif %}{% endfor %}`;

const OWN = `# {{ blade.name }} of {{ fleet.name }}
{% for service in blade.services.start %}watch {{ service }}
{% endfor %}listen {{ blade.address }}
name {{ blade.name }}.{{ network.domain }}
{% if vars.role == 'web' %}rack {{ vars.rack }}{% else %}role {{ vars.role }}{% endif %}
{% for server in network.dns %}resolver {{ server }}
{% endfor %}`;
