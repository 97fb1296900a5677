/** The root: everything that it is made of, in the order in which it starts. */
import type { FastifyInstance } from 'fastify';
import { join } from 'node:path';
import { createApp } from '../api/app.ts';
import { planBoot } from '../boot/plan.ts';
import { errorCode } from '../errors.ts';
import { EventBus } from '../events/bus.ts';
import type { BladerootEvent, Booting, RecordedEvent } from '../events/catalogue.ts';
import { requireBootFiles } from '../release/boot-files.ts';
import { readPublicKey } from '../release/keys.ts';
import { ReleaseRepository } from '../release/repository.ts';
import { releaseToRun, type ReleaseStatement } from '../release/statement.ts';
import { inheritedSocket } from '../serve/activation.ts';
import { bindError } from '../serve/bind-error.ts';
import { answerBootRequest, type BootHttpOptions } from '../serve/boot-http.ts';
import { neighbourMac } from '../serve/neighbour.ts';
import { DroppedPackets } from '../serve/dropped.ts';
import { servedFiles, type TftpFiles } from '../serve/tftp-files.ts';
import { TftpServer, type TftpEvent } from '../serve/tftp.ts';
import { TransferThread } from '../serve/transfer-thread.ts';
import { DATABASE, openDatabase } from '../state/database.ts';
import { EventRepository } from '../state/events.ts';
import { MachineRepository } from '../state/machines.ts';
import { NextBoots } from '../state/next-boots.ts';
import { LeaseRepository } from '../state/leases.ts';
import { blobPath } from '../store/layout.ts';
import { CurrentRelease } from './current-release.ts';
import { DhcpServices } from './dhcp-services.ts';
import { chooseInterfaces } from './interface.ts';
import { KnownBlades } from './known-blades.ts';
import { makeRoomForNeighbours } from './neighbour-room.ts';
import { notServed, ServedInterfaces } from './served-interfaces.ts';
import { becomeUser, checkReadable, giveDatabase, userToBecome } from './privileges.ts';

/** Where every root answers HTTP: not 80, which belongs to what the blade is for. */
export const HTTP_PORT = 8067;

export interface RootOptions {
  stateDirectory: string;
  /** None: all that have an address in a network of the fleet. */
  interfaces?: readonly string[] | undefined;
  /** Whom to become once all ports are open, if this process is root's; undefined: nobody else. */
  user?: string;
  /** All that happens, as it happens. */
  onEvent(event: RecordedEvent): void;
  /** What failed without stopping the root. */
  onError(error: unknown, doing: string): void;
}

export interface Root {
  /** The base URL on the first interface. */
  url: string;
  interfaces: string[];
  release: number;
  stop(): Promise<void>;
}

/**
 * Starts all boot services for the newest release in the state directory.
 * @throws BladerootError `NO_RELEASE`, `SIGNATURE_INVALID`, `RELEASE_NOT_WHOLE`, `NO_INTERFACE`, `PORT_IN_USE`, `NO_USER`, `NOT_READABLE`, ...; nothing
 * is left running then.
 */
export async function startRoot(options: RootOptions): Promise<Root> {
  const stops: (() => Promise<void> | void)[] = [];
  const stop = async (): Promise<void> => {
    for (const end of stops.splice(0).reverse()) await end();
  };
  try {
    const { stateDirectory } = options;
    const user = options.user === undefined ? undefined : await userToBecome(options.user);
    const releases = new ReleaseRepository(stateDirectory, await readPublicKey(stateDirectory));
    const current = new CurrentRelease(releases, (error) => options.onError(error, 'reading a new release'));
    await current.start();
    stops.push(() => current.stop());
    const storeDirectory = join(stateDirectory, 'store');
    const interfaces = chooseInterfaces(options.interfaces ?? [], current.get().statement);

    const database = openDatabase(stateDirectory);
    stops.push(() => database.close());
    const events = new EventRepository(database);
    const machines = new MachineRepository(database);
    const nextBoots = new NextBoots(database);
    const leases = new LeaseRepository(database);
    stops.push(() => leases.close());
    // A full disk may cost the record of a boot, not the boot.
    const bus = new EventBus(events, Date.now, (error) => options.onError(error, 'recording events'));
    stops.push(bus.subscribe(options.onEvent));
    const note = (event: RecordedEvent): void => {
      try {
        nextBoots.heard(event);
      } catch (error) {
        // Then it is asked once more than was wanted.
        options.onError(error, 'noting that a blade has done what was asked of it');
      }
    };
    stops.push(bus.subscribe(note));
    stops.push(() => bus.flush());

    const release = (): ReleaseStatement => current.get().statement;
    const emit = (event: BladerootEvent): void => bus.emitSoon(event);
    const dropped = new DroppedPackets(options.onError);
    const known = new KnownBlades(release, machines);
    const loaders = loadersOf(release, storeDirectory);
    const thread = new TransferThread({ onError: (error) => options.onError(error, 'sending by TFTP') });
    stops.push(() => thread.stop());
    const whoIs = (at: string): Booting => known.who(at, neighbourMac);
    const listenAt = async (address: string): Promise<() => Promise<void>> => {
      const boot: BootHttpOptions = {
        storeDirectory,
        url: urlAt(address),
        current: () => current.get(),
        plan: (blade) => {
          const { name, root } = blade;
          const up = events.lastUp(name);
          const lastUp = up && { ...up, agentSince: events.agentSince(name, up.id) };
          return planBoot(releaseToRun(release(), blade), lastUp, root, nextBoots.get(name));
        },
        whoIs,
        onEvent: emit,
      };
      const app = createApp({
        bus,
        events,
        machines,
        current: release,
        dropped,
        answerFirst: (request, response) => answerBootRequest(request, response, boot),
        onError: options.onError,
      });
      const tftp = new TftpServer({
        address,
        files: loaders,
        thread,
        onEvent: (event) => {
          if (event.type === 'tftp.malformed') dropped.add('tftp', event.client, event.reason);
          const told = tftpEvent(event, whoIs);
          if (told !== undefined) emit(told);
        },
      });
      await tftp.start();
      const end = async (): Promise<void> => {
        await app.close();
        await tftp.stop();
      };
      await listenHttp(app, address).catch(async (error: unknown) => {
        await end();
        throw error;
      });
      return end;
    };
    const dhcp = new DhcpServices({
      release,
      bladeOf: (mac) => known.of(mac),
      leases,
      urlAt,
      onEvent: emit,
      onMalformed: (from, reason) => dropped.add('dhcp', from, reason),
      onError: options.onError,
    });
    const served = new ServedInterfaces({ listenAt, dhcp });
    stops.push(() => served.stop());
    for (const one of interfaces) await served.serve(one);

    await requireBootFiles(storeDirectory, release());
    makeRoomForNeighbours(release().blades.length);
    if (user !== undefined) {
      await giveDatabase(join(stateDirectory, DATABASE), user);
      becomeUser(user);
      const { kernel, sequence } = release();
      const files = [
        join(releases.directory, `${sequence}.json`),
        join(storeDirectory, blobPath(kernel.digest)),
      ];
      await checkReadable(files, user.name);
    }
    /** A release may have networks that the ones before had not. */
    const takeUp = async (): Promise<void> => {
      const wanted = chooseInterfaces(options.interfaces ?? [], release());
      for (const one of wanted.filter((each) => !served.has([each]))) {
        await served.serve(one).catch((error: unknown) => {
          emit({ type: 'root.not-serving', message: notServed(release().sequence, one, error) });
        });
      }
    };
    let takingUp = Promise.resolve();
    current.onNew(() => {
      takingUp = takingUp
        .then(takeUp)
        .catch((error: unknown) => options.onError(error, `taking up release ${release().sequence}`));
    });
    stops.push(() => takingUp);
    const url = urlAt(interfaces[0]?.addresses[0] ?? '');
    emit({ type: 'root.started', url, release: release().sequence });
    return { url, interfaces: interfaces.map(({ name }) => name), release: release().sequence, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Connections that the kernel keeps until Node takes them: a rack that is switched on together (net.core.somaxconn). */
const BACKLOG = 4096;

/** Node listens at the descriptor where systemd has opened one. */
async function listenHttp(app: FastifyInstance, address: string): Promise<void> {
  const inherited = inheritedSocket('tcp', HTTP_PORT, address);
  try {
    await app.listen({
      host: address,
      port: HTTP_PORT,
      backlog: BACKLOG,
      ...(inherited && { fd: inherited.fd }),
    });
  } catch (error) {
    const at = {
      service: 'HTTP',
      where: `${address} port ${HTTP_PORT}`,
      port: HTTP_PORT,
      protocol: 'tcp',
    } as const;
    throw bindError(errorCode(error), at, error);
  }
}

/** What the TFTP server tells, as an event of the fleet; undefined for what is no step of a boot. */
function tftpEvent(event: TftpEvent, whoIs: (address: string) => Booting): BladerootEvent | undefined {
  if (event.type === 'tftp.done') return { type: 'boot.loader', ...whoIs(event.client), message: event.file };
  if (event.type !== 'tftp.missing' && event.type !== 'tftp.failed') return undefined;
  if (event.client === undefined) return undefined;
  const why = event.type === 'tftp.missing' ? 'there is no such file' : event.reason;
  return {
    type: 'boot.failed',
    ...whoIs(event.client),
    message: `${event.file ?? 'a file'}: ${why}`,
  };
}

function urlAt(address: string): string {
  return `http://${address}:${HTTP_PORT}`;
}

/** What TFTP serves: the loaders of the release that is current when they are asked for. */
function loadersOf(release: () => ReleaseStatement, storeDirectory: string): TftpFiles {
  const servedOf = new WeakMap<ReleaseStatement, TftpFiles>();
  return {
    async open(name) {
      const current = release();
      let served = servedOf.get(current);
      if (served === undefined) {
        const loaders = Object.entries(current.loaders);
        served = servedFiles(
          new Map(loaders.map(([file, { digest }]) => [file, join(storeDirectory, blobPath(digest))])),
        );
        servedOf.set(current, served);
      }
      return await served.open(name);
    },
  };
}
