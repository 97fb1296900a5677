import { Option, type Command } from 'commander';
import { DEBIAN_INITS, DEBIAN_KERNEL, type DebianInit } from '../tree/debian.ts';
import { enterTree } from '../tree/enter.ts';
import { Trees } from '../tree/trees.ts';
import { contextOf, leaf, noun } from './command.ts';
import { table } from './output.ts';

export function treeCommands(signal: AbortSignal): Command {
  return noun('tree', 'golden root filesystems, each in a directory', [
    create(signal),
    list(signal),
    exec(signal),
  ]);
}

interface CreateOptions {
  from: string;
  kernel: string;
  init: DebianInit;
  include: string;
}

function create(signal: AbortSignal): Command {
  return leaf('create', 'make a tree', [
    'bladeroot tree create debian --from debian --include nginx,postfix',
    'bladeroot tree create debian13 --from debian:trixie',
    'bladeroot tree create openrc --from debian --init openrc',
    'bladeroot tree create gentoo --from stage3-amd64-openrc.tar.xz',
    'bladeroot tree create web --from /mnt/golden',
  ])
    .argument('<name>', 'what to call it')
    .requiredOption('--from <source>', 'debian, debian:SUITE, a directory, or a tar archive')
    .option('--kernel <package>', "the Debian kernel's package", DEBIAN_KERNEL)
    .addOption(
      new Option('--init <name>', 'what starts the services of a Debian tree')
        .choices(DEBIAN_INITS)
        .default('systemd'),
    )
    .option('--include <packages>', 'more Debian packages, separated by commas', '')
    .action(async (name: string, options: CreateOptions, command: Command) => {
      const { stateDirectory, output } = contextOf(command, signal);
      const include = options.include.split(',').filter((item) => item !== '');
      output.step(`making the tree ${name} from ${options.from}`);
      const onProgress = (line: string): void => output.step(`  ${line}`);
      const { from, kernel, init } = options;
      const tree = await new Trees(stateDirectory).create({
        name,
        from,
        kernel,
        init,
        include,
        signal,
        onProgress,
      });
      output.result(tree, `tree ${tree.name}: ${tree.system}, in ${tree.path}`);
    });
}

function list(signal: AbortSignal): Command {
  return leaf('list', 'list the trees', ['bladeroot tree list']).action(
    async (_options, command: Command) => {
      const { stateDirectory, output } = contextOf(command, signal);
      const trees = await new Trees(stateDirectory).list();
      const rows = trees.map(({ name, system, path }) => [name, system, path]);
      output.result(trees, rows.length === 0 ? 'no trees' : table(['TREE', 'SYSTEM', 'PATH'], rows));
    },
  );
}

function exec(signal: AbortSignal): Command {
  return leaf('exec', 'run a command in a tree, in namespaces of its own', [
    'bladeroot tree exec debian -- apt-get install -y nginx',
    'bladeroot tree exec gentoo -- emerge -uDN @world',
    'bladeroot tree exec debian -- bash                # a shell',
  ])
    .argument('<name>', 'the tree')
    .argument('<command...>', 'the command, as in the tree')
    .action(async (name: string, words: string[], _options, command: Command) => {
      const { stateDirectory } = contextOf(command, signal);
      const tree = await new Trees(stateDirectory).get(name);
      process.exitCode = await enterTree(tree.path, words);
    });
}
