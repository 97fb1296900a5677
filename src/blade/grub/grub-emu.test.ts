/** GRUB itself, as a program (grub-emu), reads the configuration on a FAT file system, and does what choice.ts says. */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import * as fc from 'fast-check';
import { run } from '../../system/run.ts';
import { SLOTS } from '../state.ts';
import { choiceOf, nextStart, NO_CHOICE, proven, trying, variablesOf, type BootChoice } from './choice.ts';
import { ENVIRONMENT_FILE, GOOD_FILE, grubConfig, slotConfigFile } from './config.ts';
import { decodeEnvironment, encodeEnvironment } from './environment.ts';

let directory = '';
let disk = '';

before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'bladeroot-emu-'));
  disk = join(directory, 'disk');
  await writeFile(join(directory, 'map'), `(hd0) ${disk}\n`);
});
after(async () => await rm(directory, { recursive: true, force: true }));

/** What is on the ESP, by path. */
type Files = Record<string, Uint8Array | string | undefined>;

/** Starts GRUB once; a slot's own configuration only says that it was started. */
async function start(files: Files): Promise<{ started: string; environment: Buffer | undefined }> {
  const esp = join(directory, 'esp');
  await rm(esp, { recursive: true, force: true });
  await rm(disk, { force: true });
  const all: Files = { 'grub/grub.cfg': grubConfig(), ...files };
  for (const [path, content] of Object.entries(all)) {
    await mkdir(dirname(join(esp, path)), { recursive: true });
    if (content !== undefined) await writeFile(join(esp, path), content);
  }
  await run('mkfs.vfat', ['-C', '-F', '32', '-s', '1', disk, String(34 * 1024)]);
  await run('mcopy', ['-s', '-Q', '-i', disk, join(esp, 'grub'), join(esp, 'bladeroot'), '::']);
  // It wants a terminal.
  const emu = `grub-emu -m ${directory}/map -r hd0 -d /grub`;
  const { stdout } = await run('script', ['--quiet', '--return', '--command', emu, '/dev/null'], {
    env: { TERM: 'vt100' },
    signal: AbortSignal.timeout(20_000),
  });
  const path = join(directory, 'grubenv');
  await rm(path, { force: true });
  if (all[ENVIRONMENT_FILE] !== undefined) await run('mcopy', ['-i', disk, `::/${ENVIRONMENT_FILE}`, path]);
  return {
    started: /STARTED (\w+ *\S*) END/.exec(stdout)?.[1]?.trim() ?? 'nothing',
    environment: all[ENVIRONMENT_FILE] === undefined ? undefined : await readFile(path),
  };
}

function slotFiles(there: readonly string[]): Files {
  return Object.fromEntries(
    SLOTS.map((slot) => [
      slotConfigFile(slot),
      there.includes(slot) ? `echo "STARTED ${slot} $word END"\nhalt\n` : undefined,
    ]),
  );
}

function block(choice: BootChoice): Buffer {
  return encodeEnvironment(variablesOf(choice));
}

const slot = fc.constantFrom(...SLOTS);
const PLAIN = { noNullPrototype: true };
const choices: fc.Arbitrary<BootChoice> = fc.record(
  {
    good: fc.option(slot, { nil: undefined }),
    trial: fc.option(fc.record({ slot, tries: fc.nat(3) }, PLAIN), { nil: undefined }),
  },
  PLAIN,
);

test('GRUB starts the slot that nextStart names, and leaves in its block what that says', async () => {
  await fc.assert(
    fc.asyncProperty(choices, fc.shuffledSubarray([...SLOTS]), async (choice, there) => {
      const expected = nextStart(choice, there);
      const { started, environment } = await start({
        ...slotFiles(there),
        [ENVIRONMENT_FILE]: block(choice),
        [GOOD_FILE]: block({ good: choice.good, trial: undefined }),
      });
      const word = expected.isTrial ? ' bladeroot.try' : '';
      assert.equal(started, expected.slot === undefined ? 'nothing' : `${expected.slot}${word}`);
      const left = decodeEnvironment(environment ?? Buffer.alloc(0)) ?? assert.fail('the block is damaged');
      assert.deepEqual(choiceOf(left), expected.after);
    }),
    {
      numRuns: 40,
      examples: [
        [trying(proven('a'), 'b'), ['a', 'b']],
        [NO_CHOICE, []],
      ],
    },
  );
});

test('without its block, or with a damaged one, GRUB starts the last good slot', async () => {
  const good = block(proven('b'));
  for (const damaged of [undefined, Buffer.alloc(1024), good.subarray(0, 600), Buffer.alloc(0)]) {
    const { started } = await start({
      ...slotFiles(['a', 'b']),
      [ENVIRONMENT_FILE]: damaged,
      [GOOD_FILE]: good,
    });
    assert.equal(started, 'b');
  }
});

test('with both blocks gone, or damaged, GRUB starts any slot that is there', async () => {
  const damaged = Buffer.alloc(1024);
  for (const there of [['a'], ['b']] as const) {
    assert.equal((await start(slotFiles(there))).started, there[0]);
    const files = { [ENVIRONMENT_FILE]: damaged, [GOOD_FILE]: damaged };
    assert.equal((await start({ ...slotFiles(there), ...files })).started, there[0]);
  }
});
