/** docs/firmware.md says of every point of the boot checklist which tests hold it: they are there, and none is left out. */
import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { test } from 'node:test';

const ROOT = dirname(import.meta.dirname);
/** Points of the checklist, numbered through: DHCP-1 … DHCP-9, PXE-10 … PXE-17, and so on. */
const POINTS = [
  ...numbered('DHCP', 1, 9),
  ...numbered('PXE', 10, 17),
  ...numbered('TFTP', 18, 22),
  ...numbered('HTTP', 23, 24),
  ...numbered('PXE', 25, 26),
];

function numbered(group: string, first: number, last: number): string[] {
  return Array.from({ length: last - first + 1 }, (_, index) => `${group}-${first + index}`);
}

/** The row of each point in the table of the checklist. */
async function readRows(): Promise<Map<string, string>> {
  const text = await readFile(join(ROOT, 'docs/firmware.md'), 'utf8');
  const rows = [...text.matchAll(/^\| ((?:DHCP|PXE|TFTP|HTTP)-\d+) .*$/gm)];
  return new Map(rows.map(([row, point = '']) => [point, row]));
}

/** Whether a file of tests has one whose name begins with the point's number. */
function holds(source: string, point: string): boolean {
  return new RegExp(`['"\`]${point}: `).test(source);
}

test('every point of the boot checklist has its row, in order', async () => {
  assert.deepEqual([...(await readRows()).keys()], POINTS);
});

test('each file that a row names has a test of that point', async () => {
  for (const [point, row] of await readRows()) {
    const files = [...row.matchAll(/`([\w/.-]+\.test\.ts)`/g)].map(([, file = '']) => file);
    // The one that nothing holds yet says so.
    assert.equal(files.length === 0, row.includes('| none: '), point);
    for (const file of files.filter((name) => !name.endsWith('device-socket.test.ts'))) {
      assert.ok(holds(await readFile(join(ROOT, file), 'utf8'), point), `${file} has a test of ${point}`);
    }
  }
});

test('each file that has a test of a point is named in its row', async () => {
  const rows = await readRows();
  for (const folder of ['src', 'test']) {
    for (const name of await readdir(join(ROOT, folder), { recursive: true })) {
      if (!name.endsWith('.test.ts')) continue;
      const source = await readFile(join(ROOT, folder, name), 'utf8');
      for (const point of POINTS.filter((candidate) => holds(source, candidate))) {
        assert.ok(rows.get(point)?.includes(`\`${folder}/${name}\``), `${point}: ${folder}/${name}`);
      }
    }
  }
});
