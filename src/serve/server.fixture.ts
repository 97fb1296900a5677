/**
 * A program for tests: DHCP and TFTP servers in the network namespace it is started in, told by JSON in its argument. Each
 * event is a line of JSON on stdout, the first one says `ready`. It ends when its stdin does, so it never outlives a test.
 */
import { DhcpServer } from './dhcp.ts';
import type { DhcpOffer } from './dhcp-answer.ts';
import { TftpServer } from './tftp.ts';
import { servedFiles } from './tftp-files.ts';
import { TransferThread } from './transfer-thread.ts';

export interface FixtureSettings {
  interface: string;
  address: string;
  /** By MAC. */
  offers: Record<string, DhcpOffer>;
  /** Paths by name. */
  files: Record<string, string>;
}

const onEvent = (event: object): void => void process.stdout.write(`${JSON.stringify(event)}\n`);

const onError = (error: unknown): never => {
  throw error;
};

if (import.meta.main) {
  const settings: FixtureSettings = JSON.parse(process.argv[2] ?? '');
  const { address } = settings;
  const policy = ({ mac }: { mac: string }): DhcpOffer | undefined => settings.offers[mac];
  const dhcp = new DhcpServer({ interface: settings.interface, addresses: [address], policy, onEvent });
  const thread = new TransferThread({ onError });
  const tftp = new TftpServer({
    address,
    thread,
    files: servedFiles(new Map(Object.entries(settings.files))),
    onEvent,
  });
  await dhcp.start();
  await tftp.start();
  onEvent({ type: 'ready' });
  process.stdin.resume().once('end', async () => {
    await dhcp.stop();
    await tftp.stop();
    await thread.stop();
  });
}
