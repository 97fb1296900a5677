import type { Command } from 'commander';
import { examine } from '../daemon/doctor/doctor.ts';
import type { Finding } from '../daemon/doctor/finding.ts';
import { SERVE_USER } from '../daemon/privileges.ts';
import { contextOf, leaf } from './command.ts';

export function doctorCommand(signal: AbortSignal): Command {
  return leaf('doctor', 'look for what usually keeps machines from booting, and say how to mend it', [
    'bladeroot doctor                    # on the root, whether it serves or not',
    'bladeroot doctor --interface eno1',
  ])
    .option('--interface <name...>', 'the network interface, or several')
    .option('--user <name>', 'whom the boot services become', SERVE_USER)
    .action(async (options: { interface?: string[]; user: string }, command: Command) => {
      const { stateDirectory, output, json } = contextOf(command, signal);
      const findings: Finding[] = [];
      const good = await examine({
        user: options.user,
        interfaces: options.interface ?? [],
        stateDirectory,
        onFinding: (finding) => {
          findings.push(finding);
          // Each as soon as it is known: listening for other servers takes seconds.
          if (!json) output.result(finding, findingText(finding));
        },
      });
      if (json) output.result({ good, findings }, '');
      else output.result(findings, `\n${summary(findings)}`);
      if (!good) process.exitCode = 1;
    });
}

function summary(findings: readonly Finding[]): string {
  const count = (level: Finding['level'], word: string): string => {
    const number = findings.filter((finding) => finding.level === level).length;
    return number === 0 ? `no ${word}` : `${number} ${word}${number === 1 ? '' : 's'}`;
  };
  return `${count('failure', 'failure')}, ${count('warning', 'warning')}`;
}

function findingText({ check, level, message, hint }: Finding): string {
  const line = `${level.padEnd(8)} ${check}: ${message}`;
  return hint === undefined || level === 'ok' ? line : `${line}\n${' '.repeat(9)}${hint}`;
}
