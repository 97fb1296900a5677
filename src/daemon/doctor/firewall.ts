/** Whether this machine's own packet filter lets boots in. */
import { errorCode } from '../../errors.ts';
import { run } from '../../system/run.ts';
import { SERVICE_PORTS, type Finding } from './finding.ts';

const CHECK = 'firewall';

export async function checkFirewall(): Promise<Finding> {
  const filters: [program: string, rules: string][] = [];
  for (const [program, args] of [
    ['nft', ['list', 'ruleset']],
    ['iptables-save', []],
  ] as const) {
    const rules = await rulesOf(program, [...args]);
    if (rules !== undefined) filters.push([program, rules]);
  }
  if (filters.length === 0) {
    const message = 'neither nft nor iptables is installed: what filters in another way cannot be seen';
    return { check: CHECK, level: 'ok', message };
  }
  const blocked = [...new Set(filters.flatMap(([, rules]) => blockedPorts(rules)))];
  const seen = filters.map(([program]) => program).join(' and ');
  if (blocked.length === 0)
    return { check: CHECK, level: 'ok', message: `${seen} shows nothing that stops a boot` };
  return {
    check: CHECK,
    level: 'warning',
    message: `${seen} shows rules by which this seems not to come in: ${blocked.join(', ')}`,
    hint: `let it in, such as: nft insert rule inet filter input udp dport { 67, 69, 4011 } accept; and TCP 8067`,
  };
}

async function rulesOf(program: string, args: string[]): Promise<string | undefined> {
  try {
    return (await run(program, args)).stdout;
  } catch (error) {
    if (errorCode(error) === 'PROGRAM_MISSING' || errorCode(error) === 'PROGRAM_FAILED') return undefined;
    throw error;
  }
}

/**
 * The services of which rules, as nft or iptables-save print them, look as if they stopped them: one that drops or rejects
 * the port, or a chain for input that drops what no rule accepts. What depends on addresses and marks is not worked out.
 */
export function blockedPorts(rules: string): string[] {
  const lines = rules.split('\n').map((line) => line.trim());
  const dropsTheRest = lines.some(
    (line) => /hook input .*policy drop/.test(line) || /^:INPUT (DROP|REJECT)/.test(line) || isDropAll(line),
  );
  return SERVICE_PORTS.filter(({ protocol, port }) => {
    const first = lines.find((line) => namesPort(line, protocol, port));
    return first === undefined ? dropsTheRest : !/\baccept\b|-j ACCEPT\b/.test(first);
  }).map(({ protocol, port, service }) => `${service} (${protocol} ${port})`);
}

function isDropAll(line: string): boolean {
  return /^-A INPUT -j (DROP|REJECT)\b/.test(line);
}

/** Whether a rule for this port settles what becomes of it. */
function namesPort(line: string, protocol: string, port: number): boolean {
  if (!/\b(accept|drop|reject)\b|-j (ACCEPT|DROP|REJECT)\b/.test(line)) return false;
  const [, ports] =
    new RegExp(String.raw`\b${protocol} dport (\{[^}]*\}|\S+)`).exec(line) ??
    new RegExp(String.raw`-p ${protocol}\b.*--dports? (\S+)`).exec(line) ??
    [];
  return (ports ?? '')
    .replaceAll(/[{}\s]/g, '')
    .split(',')
    .map((part) => part.split(/[-:]/).map((end) => NAMES[end] ?? Number(end)))
    .some(([from = NaN, to = from]) => from <= port && port <= to);
}

/** nft prints names of /etc/services with `-n` left out of older versions. */
const NAMES: Record<string, number> = { bootps: 67, tftp: 69 };
