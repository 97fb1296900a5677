/** Changes of the fleet at a terminal: questions, and the editor. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { folderOf } from '../src/fleet/folder.fixture.ts';
import { run, startPiped } from '../src/system/run.ts';
import { PROGRAM } from './bladeroot.fixture.ts';

const FLEET = `name: lab
network: { subnet: 10.77.0.0/24 }
blades:
  web01: { mac: "52:54:00:77:00:11",  address: 10.77.0.11 } # by the door
`;

/** A fleet folder and an editor that does with the file what one shell script after the other says. */
async function terminal(t: TestContext, ...edits: string[]) {
  const fleet = await folderOf(t, { 'fleet.yaml': FLEET });
  const count = edits.length;
  const temporary = await folderOf(t, {});
  const editor = await folderOf(t, {
    editor: `#!/bin/sh
cd "$(dirname "$0")"; n=$(ls | grep -c used); touch "used$n"; . "./edit$n"
`,
    ...Object.fromEntries(edits.map((edit, index) => [`edit${index}`, edit])),
  });
  return {
    /**
     * Runs a command at a terminal of its own, at which each question gets the next of the answers.
     * @returns its status, and what the screen shows
     */
    async type(answers: string[], ...args: string[]): Promise<{ status: string; screen: string }> {
      const words = [PROGRAM, ...args].map((word) => `'${word}'`).join(' ');
      const child = startPiped('script', ['-qec', `${words}; echo "status $?"`, '/dev/null'], {
        env: { BLADEROOT_FLEET: fleet, EDITOR: join(editor, 'editor'), VISUAL: '', TMPDIR: temporary },
      });
      let [screen, answered] = ['', 0];
      child.stdout.setEncoding('utf8').on('data', (text: string) => {
        screen += text;
        // A question that nobody has thought of gets no answer.
        const questions = screen.match(/\[(y\/N|Y\/n)\] /g)?.length ?? 0;
        for (; answered < questions; answered++) child.stdin.write(`${answers[answered] ?? '\x04'}\n`);
      });
      await child.done;
      screen = screen.replaceAll('\r', '');
      return { status: /status (\d+)\n/.exec(screen)?.[1] ?? '', screen };
    },
    text: async () => await readFile(join(fleet, 'fleet.yaml'), 'utf8'),
    used: async () => (await run('ls', [editor])).stdout.match(/used/g)?.length ?? 0,
    count,
  };
}

test('set asks at a terminal, and does what is answered', async (t) => {
  const { type, text } = await terminal(t);
  const no = await type(['n'], 'blade', 'set', 'web01', '--vars', 'rack=3');
  assert.match(no.screen, /vars\.rack +- +3\n[^]*change the fleet so\? \[y\/N\]/);
  assert.match(no.screen, /nothing is changed/);
  assert.deepEqual([no.status, await text()], ['1', FLEET]);
  const yes = await type(['y'], 'blade', 'set', 'web01', '--vars', 'rack=3');
  assert.equal(yes.status, '0', yes.screen);
  assert.equal(await text(), FLEET.replace('.11 }', '.11, vars: { rack: 3 } }'));
});

test('edit opens the editor on the blade; what is wrong is shown, and the person goes back to it', async (t) => {
  const { type, text, used, count } = await terminal(
    t,
    `sed -i 's/10.77.0.11/10.99.0.11/' "$1"`,
    `sed -i 's/^web01:/web02:/' "$1"`,
    `sed -i 's/10.99.0.11 }/10.77.0.12, vars: { a: 1 } }/; s/^web02:/web01:/' "$1"`,
  );
  const { status, screen } = await type(['y', ''], 'blade', 'edit', 'web01');
  assert.match(screen, /10\.99\.0\.11 is not in the subnet[^]*back to the editor\? \[Y\/n\]/);
  assert.match(screen, /is not one blade web01[^]*back to the editor\?/);
  assert.match(screen, /blade web01 +address +10\.77\.0\.11 +10\.77\.0\.12/);
  assert.equal(status, '0', screen);
  assert.equal(await used(), count);
  assert.equal(await text(), FLEET.replace('10.77.0.11', '10.77.0.12, vars: { a: 1 }'));
});

test('who gives up finds what was written; an editor that fails, or changes nothing, changes nothing', async (t) => {
  const { type, text } = await terminal(t, `echo 'web01: {' > "$1"`, 'exit 3', 'true');
  const gaveUp = await type(['n'], 'blade', 'edit', 'web01');
  assert.equal(gaveUp.status, '1');
  const left = /what you wrote is in (\S+\.yaml)/.exec(gaveUp.screen)?.[1] ?? '';
  assert.equal(await readFile(left, 'utf8'), 'web01: {\n');
  assert.match((await type([], 'blade', 'edit', 'web01')).screen, /editor ended with status 3/);
  assert.match((await type([], 'blade', 'edit', 'web01')).screen, /nothing changes/);
  assert.equal(await text(), FLEET);
});
