import { cpus, release, totalmem } from 'node:os';
import { run } from '../src/system/run.ts';

/** What figures hang on, beside the code. */
export interface Machine {
  cpu: string;
  cores: number;
  memoryBytes: number;
  kernel: string;
  /** Of the folder that the bench works in. */
  fileSystem: string;
  node: string;
  /** Versions of the peers' Debian packages. */
  packages: string[];
  /** Of bladeroot's source; `-dirty` where it is not as committed. */
  commit: string;
}

/** The peers of the bench of images. */
export const IMAGE_PACKAGES = ['tar', 'zstd', 'squashfs-tools', 'casync', 'zchunk'];
/** The peers, and the clients, of the bench of boot services. */
export const BOOT_PACKAGES = [
  'kea-dhcp4-server',
  'kea-admin',
  'dnsmasq-base',
  'tftpd-hpa',
  'nginx-light',
  'atftp',
  'curl',
];

/** @param directory the folder that the bench works in, within the checkout */
export async function machineHere(directory: string, peers: string[]): Promise<Machine> {
  const fileSystem = await run('stat', ['--file-system', '--format=%T', directory]);
  const packages = await run('dpkg-query', ['-W', '-f', '${Package} ${Version}\\n', ...peers]);
  const commit = await run('git', ['describe', '--always', '--dirty'], { cwd: directory });
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: cpus().length,
    memoryBytes: totalmem(),
    kernel: release(),
    fileSystem: fileSystem.stdout.trim(),
    node: process.version,
    packages: packages.stdout.trim().split('\n'),
    commit: commit.stdout.trim(),
  };
}
