/** The main job on virtual machines: see lab/demo/story.ts. Each claim of the story is a test of its own here. */
import { strict as assert } from 'node:assert';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { LiveTable, timelineTable } from '../../lab/demo/live-table.ts';
import { Story } from '../../lab/demo/story.ts';
import { Timeline } from '../../lab/demo/timeline.ts';

const LABS = fileURLToPath(new URL('../../.lab/', import.meta.url));

const write = (text: string): void => void process.stderr.write(text);

test('one tree becomes servers that run it, start by themselves, and survive the loss of the root', async (t) => {
  const timeline = new Timeline();
  const screen = new LiveTable(timeline, { isTTY: false, columns: 120, write });
  const story = new Story({
    // A name of its own: what a run that was killed left behind, here or in another clone, is no obstacle.
    name: `story-${process.pid}`,
    directory: join(LABS, 'story'),
    cacheDirectory: join(LABS, 'cache'),
    timeline,
    keep: false,
    signal: t.signal,
    onChapter: (title) => screen.chapter(title),
    onLine: (line) => screen.line(line),
    onCheck: (check) => screen.check(check),
  });
  screen.start();
  t.after(() => screen.stop());
  const lab = await story.play();
  await lab.down();
  write(`\n${timelineTable(timeline.boots)}\n\n`);
  // A story that stopped short would have few checks, all of them passed.
  assert.equal(story.checks.length, CHECKS);
  for (const { what, passed, seen } of story.checks) {
    await t.test(what, () => assert.ok(passed, seen));
  }
});

/** Of each of four blades: that it is up, its name, address, motd and nginx; and six of the story's own. */
const CHECKS = 4 * 5 + 6;
