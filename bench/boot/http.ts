/** HTTP: one large file to one client over loopback, and many clients at once over the wire. */
import { join } from 'node:path';
import { writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { empty } from '../folder.ts';
import { HTTP, NGINX, PACK, startPeer, startRoot, tcpPort, type RunningServer } from './servers.ts';
import { servedIn, SIZES, type BootPart, type BootSetting } from './setting.ts';

const CLIENTS = 1000;
/** Bytes in a second: a link of 10 Gb/s is full. */
const GOAL = 1e9;
const SCRIPT_SECONDS = 0.2;

export async function benchHttp(setting: BootSetting): Promise<BootPart> {
  const ours = await startRoot(setting, ['taskset', '--cpu-list', '0']);
  const nginx = await startNginx(setting).catch(async (error: unknown) => {
    await ours.stop();
    throw error;
  });
  try {
    const speeds: Record<'ours' | 'nginx', number[]> = { ours: [], nginx: [] };
    for (let round = 0; round < setting.rounds; round++) {
      speeds.ours.push(await download(setting, `${HTTP}/store/${PACK}`));
      speeds.nginx.push(await download(setting, `${NGINX}/pack`));
    }
    const crowd = await manyClients(setting);
    const best = Math.max(...speeds.ours);
    const what = 'HTTP, a pack, one core, loopback';
    const speed = { what, unit: 'bytes per second' as const, ours: best };
    const beside = { beside: 'all', theirs: CLIENTS };
    return {
      rows: [
        { ...speed, beside: '10 Gb/s', theirs: GOAL, least: 1 },
        { ...speed, beside: 'nginx, sendfile', theirs: Math.max(...speeds.nginx) },
        { what: 'HTTP, kernels whole', unit: 'files', ours: crowd.whole, ...beside, least: 1 },
        {
          what: 'HTTP, slowest script meanwhile',
          unit: 'seconds',
          ours: crowd.slowestScript,
          beside: 'limit',
          theirs: SCRIPT_SECONDS,
          goal: 1,
        },
      ],
      runs: { speeds, crowd },
    };
  } finally {
    await nginx.stop();
    await ours.stop();
  }
}

async function download(setting: BootSetting, url: string): Promise<number> {
  const curl = ['curl', '-sS', '--fail', '-o', '/dev/null', '-w', '%{speed_download}', url];
  const { stdout } = await setting.wire.runBeside(['taskset', '--cpu-list', '1', ...curl], setting.signal);
  setting.onProgress(`  ${url}: ${(Number(stdout) / 1e9).toFixed(2)} GB/s`);
  return Number(stdout);
}

async function manyClients(setting: BootSetting): Promise<{ whole: number; slowestScript: number }> {
  const program = fileURLToPath(new URL('http-crowd.ts', import.meta.url));
  const url = `${HTTP}/boot/blade0`;
  const command = [process.execPath, program, `${CLIENTS}`, `${url}/vmlinuz`, `${SIZES.kernel}`];
  const { stdout } = await setting.wire.runClient([...command, `${url}/script.ipxe`], setting.signal);
  setting.onProgress(`  ${stdout.trim()}`);
  return JSON.parse(stdout);
}

async function startNginx(setting: BootSetting): Promise<RunningServer> {
  const home = join(setting.work, 'nginx');
  await empty(home);
  const server = `server { listen 8080; root ${servedIn(setting)}; access_log off; }`;
  const paths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((name) => `${name}_temp_path ${home};`)
    .join(' ');
  const http = `http { sendfile on; tcp_nopush on; ${paths} ${server} }`;
  const process = `user root; daemon off; worker_processes 1; worker_cpu_affinity 1; pid ${home}/pid; error_log stderr;`;
  await writeFile(join(home, 'nginx.conf'), `${process} events { worker_connections 4096; } ${http}`);
  const command = ['nginx', '-p', home, '-c', join(home, 'nginx.conf')];
  return await startPeer(setting, 'nginx', command, tcpPort(8080));
}
