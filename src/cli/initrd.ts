import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { BladerootError, describeError } from '../errors.ts';
import { describeInitrd, type GroupSize } from '../initrd/describe.ts';
import type { Group } from '../initrd/groups.ts';
import { readPublicKey } from '../release/keys.ts';
import { ReleaseRepository } from '../release/repository.ts';
import { contextOf, leaf, noun, type Context } from './command.ts';
import { bytes, table } from './output.ts';
import { findRelease } from './release/find.ts';
import { readStore } from './store.ts';

export function initrdCommands(signal: AbortSignal): Command {
  return noun('initrd', 'what a blade starts with when it boots', [show(signal)]);
}

const NAMES: Record<Group, string> = {
  tools: 'busybox, tools and libraries',
  modules: 'kernel modules',
  firmware: 'firmware',
  agent: 'agent',
  node: 'Node',
};

function show(signal: AbortSignal): Command {
  return leaf('show', 'list what makes up an initrd', [
    'bladeroot initrd show                          # of the latest release',
    'bladeroot initrd show 3 --json',
    'bladeroot initrd show /boot/efi/bladeroot/a/initrd',
  ])
    .argument('[release|file]', "a release's number, latest or previous, or the path of an initrd", 'latest')
    .action(async (wanted: string, _options, command: Command) => {
      const context = contextOf(command, signal);
      const { of, content } = await readInitrd(context, wanted);
      const groups = describeInitrd(content);
      const unpacked = groups.reduce((sum, group) => sum + group.bytes, 0);
      const result = { ...of, bytes: content.length, unpackedBytes: unpacked, groups };
      context.output.result(result, describe(groups, content.length));
    });
}

/** What is a number, or latest or previous, is a release; a file of such a name is called ./3. */
async function readInitrd(
  context: Context,
  wanted: string,
): Promise<{ of: { release: number } | { file: string }; content: Buffer }> {
  if (!/^([1-9]\d*|latest|previous)$/.test(wanted)) {
    const content = await readFile(wanted).catch((error: unknown) => {
      throw new BladerootError('NO_INITRD', `${wanted} cannot be read: ${describeError(error)}`, {
        hint: 'name a release by its number (`bladeroot release list`), or an initrd by its path',
      });
    });
    return { of: { file: wanted }, content };
  }
  const { stateDirectory } = context;
  const releases = new ReleaseRepository(stateDirectory, await readPublicKey(stateDirectory));
  const { sequence, initrd } = (await findRelease(releases, wanted)).statement;
  const store = await readStore(context);
  return { of: { release: sequence }, content: await readFile(store.blobPath(initrd.digest)) };
}

function describe(groups: GroupSize[], compressed: number): string {
  const row = (name: string, files: number, unpacked: number, packed: number): string[] => [
    name,
    String(files),
    bytes(unpacked),
    bytes(packed),
    `${Math.round((100 * packed) / compressed)} %`,
  ];
  const sum = (of: (group: GroupSize) => number): number => groups.reduce((all, group) => all + of(group), 0);
  return table(
    ['PART', 'FILES', 'UNPACKED', 'COMPRESSED', 'SHARE'],
    [
      ...groups.map((group) => row(NAMES[group.group], group.files, group.bytes, group.compressedBytes)),
      row(
        'all of it',
        sum(({ files }) => files),
        sum((group) => group.bytes),
        compressed,
      ),
    ],
  );
}
