/** DHCP: full exchanges by perfdhcp, which speaks as a relay for machines that nobody knows, so that leases are made. */
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { BladerootError } from '../../src/errors.ts';
import { empty } from '../folder.ts';
import { POOL, startPeer, startRoot, udpPort, type RunningServer } from './servers.ts';
import type { BootPart, BootSetting } from './setting.ts';
import { CLIENT, NETMASK, SERVER, SUBNET } from './wire.ts';

/** Of all packets, as a part: with more than this lost, a rate is not reached. */
const DROPS = 0.001;
const CLIENTS = 20_000;
const STEP_SECONDS = 5;

interface Exchange {
  wanted: number;
  /** Exchanges a second that were begun, and that came to their end. */
  begun: number;
  reached: number;
  drops: number;
  /** Part of the packets sent. */
  dropRatio: number;
}

export async function benchDhcp(setting: BootSetting): Promise<BootPart> {
  const steady = await withServer(await startRoot(setting), () => exchange(setting, 1000, 20));
  const ours = await withServer(await startRoot(setting), () => highest(setting));
  const kea = await withServer(await startKea(setting), () => highest(setting));
  const dnsmasq = await withServer(await startDnsmasq(setting), () => highest(setting));
  const what = 'DHCP, most exchanges';
  const rate = { what, unit: 'per second' as const, ours: ours.best };
  return {
    rows: [
      {
        what: 'DHCP, lost of 1,000/s for 20 s',
        unit: 'files',
        ours: steady.drops,
        beside: 'all',
        theirs: 40_000,
        goal: 0,
      },
      { ...rate, beside: 'Kea, memfile', theirs: kea.best, least: 1 },
      { ...rate, beside: 'dnsmasq', theirs: dnsmasq.best, least: 10 },
    ],
    runs: { steady, ours, kea, dnsmasq },
  };
}

async function withServer<T>(server: RunningServer, measure: () => Promise<T>): Promise<T> {
  try {
    return await measure();
  } finally {
    await server.stop();
  }
}

/** Raises the rate by a fifth until too much is lost. A rate that the generator itself does not reach is the end, too. */
async function highest(setting: BootSetting): Promise<{ best: number; steps: Exchange[] }> {
  const steps: Exchange[] = [];
  let best = 0;
  for (let wanted = 100; ; wanted = Math.round(wanted * (wanted < 1000 ? 1.6 : 1.2))) {
    let step = await exchange(setting, wanted, STEP_SECONDS);
    // A second chance: it may have been the machine.
    if (step.dropRatio >= DROPS) step = await exchange(setting, wanted, STEP_SECONDS);
    steps.push(step);
    if (step.dropRatio >= DROPS) break;
    best = Math.max(best, step.reached);
    if (step.begun < wanted * 0.9) break;
  }
  return { best, steps };
}

async function exchange(setting: BootSetting, wanted: number, seconds: number): Promise<Exchange> {
  const load = ['-r', `${wanted}`, '-p', `${seconds}`, '-R', `${CLIENTS}`, '-b', 'mac=02:00:00:00:00:00'];
  const command = ['perfdhcp', '-4', ...load, '-W', '1000000', '-l', CLIENT.device, SERVER.address];
  // It ends with 3 when anything was lost.
  const { stdout } = await setting.wire.runClient(
    ['bash', '-c', '"$@" || [ $? = 3 ]', 'bench', ...command],
    setting.signal,
  );
  const result = readExchange(stdout, wanted, seconds);
  setting.onProgress(`  ${wanted}/s: ${result.reached.toFixed(0)}/s, ${result.drops} lost`);
  return result;
}

const sum = (counts: number[]): number => counts.reduce((total, count) => total + count, 0);

/** What perfdhcp prints: the packets of both halves of the exchange. The rate that it prints counts its last wait, too. */
export function readExchange(text: string, wanted: number, seconds: number): Exchange {
  const numbers = (name: string): number[] =>
    [...text.matchAll(new RegExp(`^${name}: (\\d+)`, 'gm'))].map(([, number]) => Number(number));
  const sent = numbers('sent packets');
  const [begun = 0] = sent;
  const ended = numbers('received packets')[1];
  if (begun === 0 || ended === undefined) {
    throw new BladerootError('BENCH_PERFDHCP', `perfdhcp tells no packets: ${text.slice(0, 200)}`);
  }
  const drops = sum(numbers('drops'));
  return { wanted, begun: begun / seconds, reached: ended / seconds, drops, dropRatio: drops / sum(sent) };
}

async function startKea(setting: BootSetting): Promise<RunningServer> {
  const home = join(setting.work, 'kea');
  await empty(home);
  const dhcp4 = {
    'interfaces-config': { interfaces: [SERVER.device], 'dhcp-socket-type': 'udp' },
    'lease-database': { type: 'memfile', persist: true, name: join(home, 'leases.csv'), 'lfc-interval': 0 },
    'valid-lifetime': 3600,
    'multi-threading': { 'enable-multi-threading': true },
    subnet4: [{ id: 1, subnet: SUBNET, pools: [{ pool: `${POOL.from} - ${POOL.to}` }] }],
    loggers: [{ name: 'kea-dhcp4', severity: 'ERROR', output_options: [{ output: 'stderr' }] }],
  };
  await writeFile(join(home, 'kea.json'), JSON.stringify({ Dhcp4: dhcp4 }));
  const places = [`KEA_PIDFILE_DIR=${home}`, `KEA_LOCKFILE_DIR=${home}`];
  const command = ['env', ...places, 'kea-dhcp4', '-c', join(home, 'kea.json')];
  return await startPeer(setting, 'Kea', command, udpPort(67));
}

async function startDnsmasq(setting: BootSetting): Promise<RunningServer> {
  const home = join(setting.work, 'dnsmasq');
  await mkdir(home, { recursive: true });
  await chmod(home, 0o777);
  const range = `--dhcp-range=${POOL.from},${POOL.to},${NETMASK},1h`;
  const leases = ['--dhcp-lease-max=40000', `--dhcp-leasefile=${join(home, 'leases')}`];
  const lean = ['--no-ping', '--quiet-dhcp', '--dhcp-authoritative'];
  const command = [...DNSMASQ, range, ...leases, ...lean, `--interface=${SERVER.device}`];
  return await startPeer(setting, 'dnsmasq', command, udpPort(67));
}

/** In the foreground, without DNS and without anybody's configuration. */
export const DNSMASQ = ['dnsmasq', '-k', '--port=0', '--conf-file=/dev/null', '--user=root', '--pid-file='];
