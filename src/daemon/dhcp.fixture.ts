/**
 * A program for tests: DHCP as a root does it, in the network namespace it is started in, told by JSON in its argument.
 * Each event is a line of JSON on stdout, the first one says `ready`. It ends when its stdin does.
 */
import { bladeIndex } from '../release/blade-index.ts';
import { sampleStatement } from '../release/release.fixture.ts';
import type { ReleaseStatement } from '../release/statement.ts';
import { openDatabase } from '../state/database.ts';
import { LeaseRepository } from '../state/leases.ts';
import { DhcpServices } from './dhcp-services.ts';
import { chooseInterfaces } from './interface.ts';

export interface DhcpFixture {
  stateDirectory: string;
  release: Partial<ReleaseStatement>;
}

const tell = (event: object): void => void process.stdout.write(`${JSON.stringify(event)}\n`);

if (import.meta.main) {
  const settings: DhcpFixture = JSON.parse(process.argv[2] ?? '');
  const release = sampleStatement(settings.release);
  const database = openDatabase(settings.stateDirectory);
  const leases = new LeaseRepository(database);
  const services = new DhcpServices({
    release: () => release,
    bladeOf: (mac) => bladeIndex(release).byMac.get(mac),
    leases,
    urlAt: (address) => `http://${address}:8067`,
    onEvent: tell,
    onMalformed: (from, reason) => tell({ type: 'dhcp.malformed', from, reason }),
    onError: (reason, doing) => tell({ type: doing, reason }),
  });
  for (const one of chooseInterfaces([], release)) await services.serve(one);
  tell({ type: 'ready' });
  process.stdin.resume().once('end', async () => {
    await services.stop();
    await leases.close();
    database.close();
  });
}
