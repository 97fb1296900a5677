/** The HTTP side of a boot: scripts, kernels, initrds, releases, and the store. Everything else is the API's. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { join } from 'node:path';
import { LOADERS_PATH, type BootPlan } from '../boot/plan.ts';
import { ipxeScript, NO_MENU, type ScriptFacts } from '../boot/script.ts';
import { sharedArgs, UNKNOWN, unknownScript } from '../boot/unknown-script.ts';
import type { BladerootEvent, Booting } from '../events/catalogue.ts';
import type { SignedRelease } from '../release/repository.ts';
import { bladeIndex } from '../release/blade-index.ts';
import { releaseToRun, type Blob, type ReleaseBlade, type ReleaseStatement } from '../release/statement.ts';
import type { Digest } from '../store/digest.ts';
import { blobPath, PUBLIC_FILE } from '../store/layout.ts';
import { sendFile, sendText } from './send-file.ts';

export interface BootHttpOptions {
  /** The directory of the store. */
  storeDirectory: string;
  /** This root's base URL, as blades reach it. */
  url: string;
  current(): SignedRelease;
  plan(blade: ReleaseBlade): BootPlan;
  /** Who speaks from an address. */
  whoIs(address: string): Booting;
  onEvent(event: BladerootEvent): void;
}

const STORE = '/store/';
const BOOT_FILE = /^\/boot\/([a-z0-9-]+)\/(script\.ipxe|vmlinuz|initrd)$/;

/** Where a blade gets its script. */
export function scriptUrl(root: string, blade: string): string {
  return `${root}/boot/${blade}/script.ipxe`;
}

/** Answers a request if it is one of a boot; returns whether it was. */
export async function answerBootRequest(
  request: IncomingMessage,
  response: ServerResponse,
  options: BootHttpOptions,
): Promise<boolean> {
  const path = (request.url ?? '/').split('?', 1)[0] ?? '/';
  if (!/^\/(store|boot|releases)\//.test(path)) return false;
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    response.setHeader('Allow', 'GET, HEAD');
    sendText(response, 405, 'only GET and HEAD\n');
    return true;
  }
  const stored = path.startsWith(STORE) ? path.slice(STORE.length) : undefined;
  const loader = loaderAt(path, options.current().statement);
  const [, bladeName, file] = BOOT_FILE.exec(path) ?? [];
  if (stored !== undefined && PUBLIC_FILE.test(stored)) {
    await sendFile(request, response, join(options.storeDirectory, stored));
  } else if (loader !== undefined) {
    if (request.method === 'GET') options.onEvent(loaderEvent(request, path, options));
    await sendFile(request, response, join(options.storeDirectory, blobPath(loader.digest)));
  } else if (path === '/releases/current') {
    sendText(response, 200, options.current().envelope.toString(), 'application/json');
  } else if (bladeName !== undefined && file !== undefined) {
    await answerBlade(request, response, options, bladeName, file);
  } else {
    sendText(response, 404, 'there is no such thing here\n');
  }
  return true;
}

/** By its whole name among those of the release, so that a blade may be called "loaders", too. */
function loaderAt(path: string, release: ReleaseStatement): Blob | undefined {
  const name = path.startsWith(LOADERS_PATH) ? path.slice(LOADERS_PATH.length) : '';
  return Object.hasOwn(release.loaders, name) ? release.loaders[name] : undefined;
}

/** Every client asks for a loader by the same path, so that only its address tells which blade it is. */
function loaderEvent(request: IncomingMessage, path: string, options: BootHttpOptions): BladerootEvent {
  const { remoteAddress = 'unknown' } = request.socket;
  return { type: 'boot.loader', ...options.whoIs(remoteAddress), message: path.slice(LOADERS_PATH.length) };
}

/** The word for machines without a name, and a MAC, by which other DHCP servers send them here. */
function isNobody(wanted: string): boolean {
  return wanted === UNKNOWN || /^[0-9a-f]{2}(-[0-9a-f]{2}){5}$/.test(wanted);
}

/** Also by its MAC, `52-54-00-12-34-56`: all that iPXE can say of itself where another DHCP server has sent it here. */
function bladeCalled(wanted: string, release: ReleaseStatement): ReleaseBlade | undefined {
  const { byName, byMac } = bladeIndex(release);
  return byName.get(wanted) ?? byMac.get(wanted.replaceAll('-', ':'));
}

async function answerBlade(
  request: IncomingMessage,
  response: ServerResponse,
  options: BootHttpOptions,
  bladeName: string,
  file: string,
): Promise<void> {
  const release = options.current().statement;
  const blade = bladeCalled(bladeName, release);
  if (blade === undefined && !isNobody(bladeName)) {
    sendText(response, 404, `release ${release.sequence} has no blade ${bladeName}\n`);
    return;
  }
  const { remoteAddress = 'unknown' } = request.socket;
  const who = blade === undefined ? options.whoIs(remoteAddress) : { blade: blade.name };
  const send = async (type: 'boot.kernel' | 'boot.initrd', digest: Digest): Promise<void> => {
    const sent = await sendFile(request, response, join(options.storeDirectory, blobPath(digest)));
    if (sent !== undefined) options.onEvent({ type, ...who, ...sent });
  };
  const scriptSent = (message: string, reason?: string): void => {
    if (request.method !== 'GET') return;
    options.onEvent({
      type: 'boot.script',
      ...who,
      message,
      ...(reason === undefined ? {} : { reason }),
    });
  };
  if (file === 'script.ipxe' && blade === undefined) {
    scriptSent(UNKNOWN);
    sendText(response, 200, scriptForUnknown(options.url, release));
  } else if (file === 'script.ipxe' && blade !== undefined) {
    const plan = options.plan(blade);
    scriptSent(plan.kind, plan.kind === 'local-disk' ? plan.reason : undefined);
    sendText(response, 200, ipxeScript(plan, scriptFacts(options.url, release, blade)));
  } else if (file === 'vmlinuz') {
    await send('boot.kernel', (blade?.pin ?? release).kernel.digest);
  } else {
    await send('boot.initrd', (blade?.pin ?? release).initrd.digest);
  }
}

function scriptForUnknown(root: string, release: ReleaseStatement): string {
  const kernelArgs = release.kernelArgs ?? sharedArgs(release.blades.map((blade) => blade.kernelArgs));
  return unknownScript({ root, release: release.sequence, kernelArgs });
}

function scriptFacts(root: string, release: ReleaseStatement, blade: ReleaseBlade): ScriptFacts {
  const loaders = `${root}${LOADERS_PATH}`;
  return {
    blade: blade.name,
    mac: blade.mac,
    root,
    release: releaseToRun(release, blade),
    kernelUrl: `${root}/boot/${blade.name}/vmlinuz`,
    initrdUrl: `${root}/boot/${blade.name}/initrd`,
    kernelArgs: blade.kernelArgs,
    menu: blade.boot ?? NO_MENU,
    hasDisk: blade.root !== 'ram',
    ...('memtest.bin' in release.loaders && 'memtest.efi' in release.loaders
      ? { memoryTest: { bios: `${loaders}memtest.bin`, uefi: `${loaders}memtest.efi` } }
      : {}),
  };
}
