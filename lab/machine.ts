/** One virtual blade: a QEMU process on the lab's segment, its disk, and its console. */
import { copyFile, open, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { BladerootError, errorCode } from '../src/errors.ts';
import { fileURLToPath } from 'node:url';
import { cableOf, cablePorts } from './cable.ts';
import type { Accelerator } from './accelerator.ts';
import { findFirmware } from './firmware.ts';
import { lastWords, readLog, waitForText } from './console-log.ts';
import { typeAtConsole } from './console.ts';
import { attachProcess, startProcess, type OwnedProcess, type ProcessEnd } from './process.ts';
import { freezeInto, untilThawed } from './frozen.ts';
import { MachineDisk } from './machine-disk.ts';
import { NETWORK_ID, qemuArguments, type MachineFiles } from './qemu-arguments.ts';
import { qmpCommand } from './qmp.ts';
import { OBSERVER, type LinkState, type Segment } from './segment.ts';
import type { MachineState } from './state.ts';

/** What a machine needs from the lab that it stands in. */
export interface MachineSurroundings {
  lab: string;
  /** The machine's own folder. */
  directory: string;
  segment: Segment;
  accelerator: Accelerator['kind'];
  /** Whether it lives on when this process ends. */
  outlive: boolean;
  /** Makes durable what was changed in the machine's state. */
  save: () => Promise<void>;
}

export interface PowerOff {
  /** `guest`: it switched itself off. `died`: QEMU failed. `unknown`: another process had started it, and knows. */
  how: 'guest' | 'powered-off' | 'cut' | 'died' | 'unknown';
  reason: string;
  /** The console's last lines, on one line. */
  lastWords: string;
}

export interface WaitOptions {
  timeoutMs: number;
  /** Byte offset in the console's log to look from; where the present boot began when not given. */
  from?: number;
  signal?: AbortSignal | undefined;
}

export class Machine {
  readonly name: string;
  readonly files: MachineFiles;
  readonly disk: MachineDisk;
  readonly #state: MachineState;
  readonly #lab: MachineSurroundings;
  #qemu: OwnedProcess | undefined;
  /** What we did to end it, if we did. */
  #ending: 'powered-off' | 'cut' | undefined;

  constructor(state: MachineState, lab: MachineSurroundings) {
    this.name = state.request.name;
    this.#state = state;
    this.#lab = lab;
    this.files = filesIn(lab.directory);
    this.disk = new MachineDisk(state, this.files);
    if (state.process !== undefined) this.#qemu = attachProcess(state.process);
  }

  /** As it was asked for, with the defaults filled in. */
  get request(): MachineState['request'] {
    return this.#state.request;
  }

  /** QEMU's process id, while the machine is on. */
  get pid(): number | undefined {
    return this.#qemu?.running() === true ? this.#qemu.id.pid : undefined;
  }

  /** `since` is when it was switched on or reset last, in milliseconds since 1970. */
  status(): { power: 'on' | 'off'; since: number | undefined } {
    const on = this.#qemu?.running() === true;
    return { power: on ? 'on' : 'off', since: on ? this.#state.boots.at(-1)?.at : undefined };
  }

  /** Makes the folder and a blank disk, where there are none yet. */
  async prepare(): Promise<void> {
    await this.disk.prepare();
  }

  /** Takes a disk out of a machine that is off, with all that is on it. */
  async pullDisk(which: 'first' | 'second'): Promise<void> {
    this.#requireOff(`the ${which} disk of ${this.name} cannot be taken out`);
    this.#state.pulled = [...new Set([...this.#state.pulled, which])];
    await this.#lab.save();
  }

  /** Puts a disk that was taken out back, or a blank one in its place. */
  async putDisk(which: 'first' | 'second', disk: 'same' | 'blank'): Promise<void> {
    this.#requireOff(`a disk cannot be put into ${this.name}`);
    const file = which === 'first' ? this.files.disk : this.files.secondDisk;
    if (disk === 'blank') await rm(file, { force: true });
    this.#state.pulled = this.#state.pulled.filter((one) => one !== which);
    await this.#lab.save();
  }

  /**
   * Switches it on; a disk that was destroyed comes back blank.
   * @throws BladerootError `MACHINE_ON` when it is on already, `MACHINE_NOT_STARTED` when QEMU never came up.
   */
  async powerOn(signal?: AbortSignal): Promise<void> {
    await this.#start(undefined, signal);
  }

  /** Keeps the state of the machine in a file, and switches it off there. To be kept along: its disk, as it is then. */
  async freeze(file: string): Promise<void> {
    await freezeInto(this.files.qmpSocket, file);
    await this.cut();
  }

  /** Has it go on where it was frozen, as often as one likes; its disk is to be what it was then. Throws as `powerOn`. */
  async thaw(file: string, signal?: AbortSignal): Promise<void> {
    await this.#start(file, signal);
    await untilThawed(this.files.qmpSocket);
  }

  /** From its next start on the firmware tries that first. */
  setBootOrder(order: MachineState['request']['bootOrder']): void {
    this.#state.request.bootOrder = order;
  }

  async #start(thawFrom: string | undefined, signal: AbortSignal | undefined): Promise<void> {
    if (this.status().power === 'on') throw new BladerootError('MACHINE_ON', `${this.name} is on already`);
    await this.prepare();
    const uefiCode = await this.#prepareFirmware();
    // QEMU would bind them anew, but until then a socket left by a power cut looks like a machine that hangs.
    await this.#removeSockets();
    await this.#beginBoot();
    await this.#startCable();
    await this.disk.start(this.#lab.outlive);
    await this.#lab.save();
    const [program, args] = this.#lab.segment.command(
      OBSERVER,
      'qemu-system-x86_64',
      qemuArguments(this.request, {
        lab: this.#lab.lab,
        files: this.files,
        tap: this.#state.tap,
        cablePorts: cableOf(this.request) === undefined ? undefined : cablePorts(this.#state.tap),
        accelerator: this.#lab.accelerator,
        pulled: this.#state.pulled,
        uefiCode,
        thawFrom,
        recordTo: this.disk.recordTo,
      }),
    );
    const { log } = this.files;
    const qemu = await startProcess(program, args, { stdout: log, stderr: log, outlive: this.#lab.outlive });
    this.#qemu = qemu;
    this.#ending = undefined;
    this.#state.process = qemu.id;
    await this.#lab.save();
    await this.#untilQmpAnswers(qemu, signal);
  }

  /** Presses the power button, and pulls the plug if the machine is still on after `timeoutMs`. */
  async powerOff(timeoutMs: number = 30_000): Promise<PowerOff> {
    if (this.status().power === 'off') return await this.whenOff();
    this.#ending = 'powered-off';
    await this.#command('system_powerdown');
    const late = AbortSignal.timeout(timeoutMs);
    try {
      return await this.whenOff(late);
    } catch (error) {
      if (!late.aborted) throw error;
      return await this.cut();
    }
  }

  /** Pulls the plug: what the machine has not written to its disk yet never gets there. */
  async cut(): Promise<PowerOff> {
    if (this.status().power === 'on') this.#ending = 'cut';
    this.#qemu?.kill('SIGKILL');
    await this.disk.end();
    return await this.whenOff();
  }

  /** Presses the reset button. */
  async reset(): Promise<void> {
    await this.#beginBoot();
    await this.#command('system_reset');
    await this.#lab.save();
  }

  /** Pulls out the network cable, or puts it back; it stays so over power cycles. */
  async setLink(state: LinkState): Promise<void> {
    await this.#lab.segment.setLink(this.#state.tap, state);
    // The guest sees its carrier go only if QEMU is told.
    if (this.status().power === 'on') {
      await this.#command('set_link', { name: NETWORK_ID, up: state === 'up' });
    }
  }

  /**
   * Waits until it is off, and says how it came to that: by itself, by us, or by a fault of QEMU's.
   * @throws BladerootError `MACHINE_OFF` when it was never on; or the signal's reason.
   */
  async whenOff(signal?: AbortSignal): Promise<PowerOff> {
    if (this.#qemu === undefined) throw neverOn(this.name);
    const end = await this.#qemu.ended(signal);
    return { ...(await this.#howItEnded(end)), lastWords: lastWords(await this.consoleText()) };
  }

  /**
   * Waits until the console shows something, in the present boot if `from` does not say otherwise; terminal control
   * sequences are taken out before it is looked for.
   * @throws BladerootError `MACHINE_SILENT` when that does not come in time, `MACHINE_DIED` when QEMU fails meanwhile,
   * `MACHINE_OFF` when the machine is off or goes off in an orderly way; or the signal's reason.
   */
  async waitForConsole(pattern: RegExp, options: WaitOptions): Promise<RegExpExecArray> {
    if (this.#qemu === undefined) throw neverOn(this.name);
    const { timeoutMs, signal, from = this.consoleOffset } = options;
    const found = new AbortController();
    const late = AbortSignal.timeout(timeoutMs);
    const impatient = AbortSignal.any([found.signal, late, ...(signal === undefined ? [] : [signal])]);
    const off = this.whenOff(impatient).catch((error: unknown) => {
      if (!impatient.aborted) throw error;
      return undefined;
    });
    const gone = new AbortController();
    const until = AbortSignal.any([impatient, gone.signal]);
    const looking = waitForText(this.files.console, pattern, from, until);
    try {
      await Promise.race([looking, off]);
      gone.abort();
      const match = await looking;
      if (match !== undefined) return match;
    } finally {
      found.abort();
    }
    signal?.throwIfAborted();
    throw this.#notShown(pattern, await off, timeoutMs, await this.consoleText());
  }

  /** Types at its console, as if a person sat there. @throws BladerootError `CONSOLE_CLOSED` when it is off */
  async type(keys: string): Promise<void> {
    await typeAtConsole(this.files.consoleSocket, keys);
  }

  /** Where the present, or last, boot begins in the console's log, in bytes. */
  get consoleOffset(): number {
    return this.#state.boots.at(-1)?.consoleOffset ?? 0;
  }

  /** What the console showed since then, without terminal control sequences. */
  async consoleText(): Promise<string> {
    return await readLog(this.files.console, this.consoleOffset);
  }

  /** Throws away the disk with all that is on it, and the UEFI variables: the machine is new again. */
  async destroyDisk(): Promise<void> {
    this.#requireOff(`the disk of ${this.name} cannot be destroyed`);
    await this.disk.destroy();
    await rm(this.files.efiVariables, { force: true });
  }

  /** Cuts the power and throws away all but the logs. */
  async remove(): Promise<void> {
    if (this.#qemu !== undefined) await this.cut();
    this.#stopCable();
    await this.destroyDisk();
    await this.#removeSockets();
  }

  #requireOff(what: string): void {
    if (this.status().power === 'off') return;
    throw new BladerootError('MACHINE_ON', `${what} while it is on`, {
      hint: 'switch it off or cut its power first',
    });
  }

  async #howItEnded(end: ProcessEnd): Promise<Omit<PowerOff, 'lastWords'>> {
    if (this.#ending !== undefined) return { how: this.#ending, reason: 'it was told to' };
    if (end.status === 0) return { how: 'guest', reason: 'it switched itself off' };
    if (end.status === null && end.signal === null) return { how: 'unknown', reason: 'it is off' };
    const how = end.signal === null ? `with status ${end.status}` : `by ${end.signal}`;
    return { how: 'died', reason: `QEMU ended ${how}; it said: ${lastWords(await readLog(this.files.log))}` };
  }

  #notShown(pattern: RegExp, off: PowerOff | undefined, timeoutMs: number, console: string): BladerootError {
    const hint = `its whole console is in ${this.files.console}`;
    const last = `; last on its console: ${lastWords(console)}`;
    if (off === undefined) {
      const what = `${this.name} did not show ${pattern} within ${timeoutMs / 1000} s`;
      return new BladerootError('MACHINE_SILENT', what + last, { hint });
    }
    const what = `${this.name} went off before it showed ${pattern}: ${off.reason}`;
    return new BladerootError(off.how === 'died' ? 'MACHINE_DIED' : 'MACHINE_OFF', what + last, { hint });
  }

  async #beginBoot(): Promise<void> {
    const console = await open(this.files.console, 'a');
    try {
      this.#state.boots.push({ at: Date.now(), consoleOffset: (await console.stat()).size });
    } finally {
      await console.close();
    }
  }

  /** A new one at each power on, so that the ROM is unknown for an iPXE again. It ends with the machine's next start or removal. */
  async #startCable(): Promise<void> {
    this.#stopCable();
    const cable = cableOf(this.request);
    if (cable === undefined) return;
    const settings = JSON.stringify({ ...cable, ports: cablePorts(this.#state.tap) });
    const [program, args] = this.#lab.segment.command(OBSERVER, process.execPath, [CABLE_PROGRAM, settings]);
    const { log } = this.files;
    const child = await startProcess(program, args, { stdout: log, stderr: log, outlive: this.#lab.outlive });
    this.#state.cable = child.id;
    await this.#lab.save();
  }

  #stopCable(): void {
    if (this.#state.cable !== undefined) attachProcess(this.#state.cable).kill('SIGKILL');
    this.#state.cable = undefined;
  }

  async #prepareFirmware(): Promise<string | undefined> {
    if (this.request.firmware === 'bios') return undefined;
    const firmware = await findFirmware();
    if (firmware === undefined) {
      throw new BladerootError('MACHINE_NOT_STARTED', `there is no UEFI firmware for ${this.name}`, {
        hint: 'apt-get install ovmf',
      });
    }
    const variables = await stat(this.files.efiVariables).catch(() => undefined);
    if (variables === undefined) await copyFile(firmware.variables, this.files.efiVariables);
    return firmware.code;
  }

  async #untilQmpAnswers(qemu: OwnedProcess, signal?: AbortSignal): Promise<void> {
    for (const deadline = Date.now() + START_TIMEOUT_MS; Date.now() < deadline; await sleep(20)) {
      signal?.throwIfAborted();
      if (!qemu.running()) break;
      try {
        await this.#command('query-status', {}, signal);
        return;
      } catch (error) {
        if (errorCode(error) !== 'QMP_FAILED') throw error;
        // The socket is not there yet, or QEMU has just ended: the next round tells.
      }
    }
    await this.cut();
    const said = lastWords(await readLog(this.files.log));
    throw new BladerootError('MACHINE_NOT_STARTED', `QEMU did not come up for ${this.name}: ${said}`);
  }

  async #command(command: string, args: Record<string, unknown> = {}, signal?: AbortSignal): Promise<void> {
    await qmpCommand(this.files.qmpSocket, command, args, signal);
  }

  async #removeSockets(): Promise<void> {
    await rm(this.files.consoleSocket, { force: true });
    await rm(this.files.qmpSocket, { force: true });
    await rm(this.files.diskSocket, { force: true });
  }
}

const CABLE_PROGRAM = fileURLToPath(new URL('cable-program.ts', import.meta.url));

/** How long QEMU may take from its start until it can be talked to. */
const START_TIMEOUT_MS = 15_000;

function neverOn(machine: string): BladerootError {
  return new BladerootError('MACHINE_OFF', `${machine} was never switched on`);
}

function filesIn(directory: string): MachineFiles {
  return {
    disk: join(directory, 'disk.raw'),
    secondDisk: join(directory, 'second-disk.raw'),
    console: join(directory, 'console.log'),
    consoleSocket: join(directory, 'console.sock'),
    qmpSocket: join(directory, 'qmp.sock'),
    diskSocket: join(directory, 'disk.sock'),
    log: join(directory, 'qemu.log'),
    efiVariables: join(directory, 'efi-variables.fd'),
  };
}
