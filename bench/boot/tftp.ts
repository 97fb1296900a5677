/** TFTP: one client with a large file, and many at once with a small one. */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { BladerootError } from '../../src/errors.ts';
import { run } from '../../src/system/run.ts';
import { DNSMASQ } from './dhcp.ts';
import { startPeer, startRoot, udpPort, type RunningServer } from './servers.ts';
import { servedIn, SIZES, type BootPart, type BootSetting } from './setting.ts';
import { SERVER } from './wire.ts';

const CLIENTS = 500;
const WINDOW = 16;
const MEMORY_LIMIT = 200e6;
const SAMPLE_EVERY_MS = 100;

interface Figures {
  /** Seconds of one client, of each round. */
  single: number[];
  windowed: number[];
  crowd: { whole: number; seconds: number; peakBytes: number };
}

export async function benchTftp(setting: BootSetting): Promise<BootPart> {
  const ours = await figures(setting, () => startRoot(setting), true);
  const dnsmasq = await figures(setting, () => startDnsmasq(setting), false);
  const hpa = await figures(setting, () => startHpa(setting), false);
  const single = { what: 'TFTP, 100 MB', unit: 'seconds' as const, ours: least(ours.single) };
  const crowd = { what: `TFTP, ${CLIENTS} clients, 1 MB each`, unit: 'seconds' as const };
  return {
    rows: [
      { ...single, beside: 'dnsmasq', theirs: least(dnsmasq.single), goal: 1 },
      { ...single, beside: 'tftpd-hpa', theirs: least(hpa.single), goal: 1 },
      {
        what: `TFTP, 100 MB, window of ${WINDOW}`,
        unit: 'seconds',
        ours: least(ours.windowed),
        beside: 'dnsmasq, without',
        theirs: least(dnsmasq.single),
        goal: 0.333,
      },
      { ...crowd, ours: ours.crowd.seconds, beside: 'dnsmasq', theirs: dnsmasq.crowd.seconds, goal: 1 },
      { ...crowd, ours: ours.crowd.seconds, beside: 'tftpd-hpa', theirs: hpa.crowd.seconds },
      { ...crowd, unit: 'files', ours: ours.crowd.whole, beside: 'all', theirs: CLIENTS, least: 1 },
      {
        what: `TFTP, ${CLIENTS} clients, memory`,
        unit: 'bytes',
        ours: ours.crowd.peakBytes,
        beside: 'limit',
        theirs: MEMORY_LIMIT,
        goal: 1,
      },
    ],
    runs: { ours, dnsmasq, hpa },
  };
}

const least = (seconds: number[]): number => Math.min(...seconds);

async function figures(
  setting: BootSetting,
  start: () => Promise<RunningServer>,
  hasWindows: boolean,
): Promise<Figures> {
  const server = await start();
  try {
    const single: number[] = [];
    const windowed: number[] = [];
    for (let round = 0; round < setting.rounds; round++) {
      single.push(await fetchOne(setting, server.name, 1));
      if (hasWindows) windowed.push(await fetchOne(setting, server.name, WINDOW));
    }
    return { single, windowed, crowd: await fetchMany(setting, server) };
  } finally {
    await server.stop();
  }
}

/** By atftp, which is written in C and knows windows, for all servers alike. */
async function fetchOne(setting: BootSetting, name: string, windowsize: number): Promise<number> {
  const target = join(setting.work, 'fetched');
  const windows = windowsize === 1 ? [] : ['--option', `windowsize ${windowsize}`];
  const get = ['-g', '-r', 'big', '-l', target, SERVER.address, '69'];
  const begun = performance.now();
  await setting.wire.runClient(
    ['timeout', '120', 'atftp', '--option', 'blksize 1468', ...windows, ...get],
    setting.signal,
  );
  const seconds = (performance.now() - begun) / 1000;
  await run('cmp', [target, join(servedIn(setting), 'big')]);
  await run('rm', [target]);
  setting.onProgress(`  ${name}, window of ${windowsize}: ${seconds.toFixed(2)} s`);
  return seconds;
}

async function fetchMany(setting: BootSetting, server: RunningServer): Promise<Figures['crowd']> {
  const program = fileURLToPath(new URL('tftp-crowd.ts', import.meta.url));
  const file = [`${SERVER.address}`, '69', 'small', `${SIZES.small}`];
  let peakBytes = 0;
  const timer = setInterval(() => (peakBytes = Math.max(peakBytes, server.memory())), SAMPLE_EVERY_MS);
  try {
    const command = [process.execPath, program, `${CLIENTS}`, ...file];
    const { stdout } = await setting.wire.runClient(command, setting.signal);
    setting.onProgress(`  ${server.name}: ${stdout.trim()}`);
    return { ...readCrowd(stdout), peakBytes };
  } finally {
    clearInterval(timer);
  }
}

function readCrowd(text: string): { whole: number; seconds: number } {
  const said: unknown = JSON.parse(text);
  if (typeof said === 'object' && said !== null && 'whole' in said && 'seconds' in said) {
    return { whole: Number(said.whole), seconds: Number(said.seconds) };
  }
  throw new BladerootError('BENCH_CROWD', `the clients say ${text.slice(0, 200)}`);
}

async function startDnsmasq(setting: BootSetting): Promise<RunningServer> {
  const options = ['--enable-tftp', `--tftp-root=${servedIn(setting)}`, '--tftp-max=1000'];
  const command = [...DNSMASQ, ...options, `--interface=${SERVER.device}`];
  return await startPeer(setting, 'dnsmasq', command, udpPort(69));
}

async function startHpa(setting: BootSetting): Promise<RunningServer> {
  const command = ['in.tftpd', '--foreground', '--address', `${SERVER.address}:69`, '--user', 'root'];
  const served = ['--secure', servedIn(setting)];
  return await startPeer(setting, 'tftpd-hpa', [...command, ...served], udpPort(69));
}
