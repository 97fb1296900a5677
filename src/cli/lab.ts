import { cpus } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';
import { attachConsole } from '../../lab/console.ts';
import { LabKey } from '../../lab/demo/blade-shell.ts';
import { BLADES, HTTP_PORT, NETWORK } from '../../lab/demo/fleet-folder.ts';
import { LiveTable, timelineTable } from '../../lab/demo/live-table.ts';
import { Story } from '../../lab/demo/story.ts';
import { Timeline } from '../../lab/demo/timeline.ts';
import { Lab, removeLab } from '../../lab/lab.ts';
import { OBSERVER } from '../../lab/segment.ts';
import { BladerootError } from '../errors.ts';
import { contextOf, leaf, noun } from './command.ts';
import { table } from './output.ts';

const CHECKOUT = fileURLToPath(new URL('../../', import.meta.url));
const DEFAULT_NAME = 'lab';

export function labCommands(signal: AbortSignal): Command {
  return noun('lab', 'a fleet of virtual blades on this machine', [
    up(signal),
    demo(signal),
    status(signal),
    consoleOf(signal),
    down(signal),
  ]);
}

interface LabOptions {
  directory: string;
  name: string;
}

/** The options that say which lab is meant. */
function labLeaf(name: string, description: string, examples: string[]): Command {
  return leaf(name, description, examples)
    .option('--directory <dir>', 'where labs keep their disks, logs and trees', join(CHECKOUT, '.lab'))
    .option('--name <name>', 'name of the lab', DEFAULT_NAME);
}

function up(signal: AbortSignal): Command {
  return labLeaf('up', 'deploy three virtual blades and leave them running', [
    'bladeroot lab up',
    'bladeroot lab up --name second     # beside another lab',
  ]).action(async (options: LabOptions, command: Command) => {
    await play({ ...options, keep: true }, command, signal, async (story) => await story.up());
  });
}

function demo(signal: AbortSignal): Command {
  return labLeaf('demo', 'the main job, played and checked: deploy, start alone, lose the root, go on', [
    'bladeroot lab demo                 # what `npm run lab` does',
    'bladeroot lab demo --keep          # and leave the fleet running',
  ])
    .option('--keep', 'leave the fleet running at the end', false)
    .action(async (options: LabOptions & { keep: boolean }, command: Command) => {
      await play(options, command, signal, async (story) => await story.play());
    });
}

async function play(
  options: LabOptions & { keep: boolean },
  command: Command,
  signal: AbortSignal,
  how: (story: Story) => Promise<Lab>,
): Promise<void> {
  const { output } = contextOf(command, signal);
  const timeline = new Timeline();
  const screen = new LiveTable(timeline, {
    isTTY: process.stderr.isTTY,
    columns: process.stderr.columns || 100,
    write: (text) => void process.stderr.write(text),
  });
  const place = placeOf(options);
  const story = new Story({
    ...place,
    name: options.name,
    timeline,
    keep: options.keep,
    signal,
    onChapter: (title) => screen.chapter(title),
    onLine: (line) => screen.line(line),
    onCheck: (check) => screen.check(check),
  });
  screen.start();
  let lab: Lab;
  try {
    lab = await how(story);
  } finally {
    screen.stop();
  }
  const failed = story.checks.filter(({ passed }) => !passed);
  const machine = `${cpus().length} × ${cpus()[0]?.model.trim() ?? 'unknown CPU'}, ${lab.accelerator.kind}`;
  const verdict =
    failed.length === 0
      ? `All ${story.checks.length} checks passed: every one of these things was seen to be so.`
      : `${failed.length} of ${story.checks.length} checks FAILED: ${failed.map(({ what }) => what).join('; ')}`;
  const lines = [`\nFrom power on, on ${machine}:`, timelineTable(timeline.boots), '', verdict];
  if (options.keep) {
    lab.close();
    lines.push('', await howToLook(lab, options));
  } else {
    await lab.down();
  }
  output.result(
    { checks: story.checks, boots: timeline.boots, passed: failed.length === 0 },
    lines.join('\n'),
  );
  if (failed.length > 0) process.exitCode = 1;
}

function placeOf({ directory, name }: LabOptions): { directory: string; cacheDirectory: string } {
  return { directory: join(resolve(directory), name), cacheDirectory: join(resolve(directory), 'cache') };
}

async function howToLook(lab: Lab, options: LabOptions): Promise<string> {
  const key = await LabKey.open(lab.directory);
  const enter = `ip netns exec ${lab.segment.namespace(OBSERVER)}`;
  const suffix = options.name === DEFAULT_NAME ? '' : ` --name ${options.name}`;
  const off = lab.machines.filter((machine) => machine.status().power === 'off');
  const blades = BLADES.filter((blade) => !off.some(({ name }) => name === blade.name));
  const roots = [
    ...lab.hosts.map(() => NETWORK.root),
    ...blades.filter(({ name }) => name === 'web01').map(({ address }) => address),
  ].slice(0, 1);
  return [
    'The fleet is running.',
    ...blades.map((blade) => `  ssh      ${enter} ssh ${key.sshArgs(blade).join(' ')}`),
    ...blades.map(({ name }) => `  console  bin/bladeroot lab console ${name}${suffix}`),
    ...blades
      .filter(({ profile }) => profile === 'web')
      .map(({ address }) => `  page     ${enter} curl http://${address}/`),
    ...roots.map((root) => `  events   ${enter} curl http://${root}:${HTTP_PORT}/api/v1/events`),
    `  end it   bin/bladeroot lab down${suffix}`,
  ].join('\n');
}

function status(signal: AbortSignal): Command {
  return labLeaf('status', 'show what runs', ['bladeroot lab status']).action(
    async (options: LabOptions, command: Command) => {
      const { output } = contextOf(command, signal);
      const lab = await Lab.open(placeOf(options).directory);
      const machines = lab.machines.map((machine) => ({
        name: machine.name,
        mac: machine.request.mac,
        ...machine.status(),
        pid: machine.pid,
      }));
      const programs = lab.programs.map((program) => ({
        name: program.name,
        host: program.host,
        running: program.running(),
      }));
      const rows = machines.map(({ name, mac, power, since, pid }) => [
        name,
        mac,
        power,
        since === undefined ? '' : new Date(since).toISOString().slice(11, 19),
        pid === undefined ? '' : String(pid),
      ]);
      const text = [
        table(['MACHINE', 'MAC', 'POWER', 'SINCE (UTC)', 'PID'], rows),
        ...programs.map(({ name, host, running }) => `${name} on ${host}: ${running ? 'runs' : 'has ended'}`),
        '',
        await howToLook(lab, options),
      ];
      output.result({ name: lab.name, accelerator: lab.accelerator, machines, programs }, text.join('\n'));
    },
  );
}

function consoleOf(signal: AbortSignal): Command {
  return labLeaf('console', "attach this terminal to a machine's console; Ctrl-] leaves", [
    'bladeroot lab console web01',
  ])
    .argument('<machine>', 'the machine')
    .action(async (name: string, options: LabOptions, command: Command) => {
      const { output } = contextOf(command, signal);
      const machine = (await Lab.open(placeOf(options).directory)).machine(name);
      if (machine.status().power === 'off') {
        throw new BladerootError('MACHINE_OFF', `${name} is off`, { hint: 'see `bladeroot lab status`' });
      }
      output.step(`the console of ${name}; Ctrl-] leaves, Enter shows that it is there`);
      const how = await attachConsole(machine.files.consoleSocket, {
        input: process.stdin,
        output: process.stdout,
      });
      output.step(how === 'left' ? '' : `${name} went off`);
    });
}

function down(signal: AbortSignal): Command {
  return labLeaf('down', 'end a lab, running or left by a crash', ['bladeroot lab down']).action(
    async (options: LabOptions, command: Command) => {
      const { output } = contextOf(command, signal);
      const ended = await removeLab(placeOf(options).directory, options.name);
      output.result(
        { ended },
        ended ? `the lab ${options.name} is down` : `there was no lab ${options.name}`,
      );
    },
  );
}
