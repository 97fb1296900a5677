/** The house, as ARCHITECTURE.md describes it: what may import what, and how files and folders are cut. */
import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { basename, dirname, join, posix, relative } from 'node:path';
import { test } from 'node:test';
import { z } from 'zod';
import { VERSION } from '../src/cli/version.ts';
import { WORKERS } from '../src/system/workers.ts';

const ROOT = dirname(import.meta.dirname);

/** Folders of src, from the top down: a folder imports from its own level and from those below. */
const LEVELS = [
  ['cli', 'daemon'],
  ['api', 'serve', 'agent', 'blade', 'rollout'],
  ['release', 'boot', 'disks', 'image', 'initrd', 'overlay', 'tree', 'slot', 'storage', 'power', 'state'],
  ['fleet', 'store', 'net', 'events', 'secrets'],
  ['errors.ts', 'system'],
];

/** Where the program begins; what is not reached from here is there for tests. */
const ENTRIES = [
  'src/cli/main.ts',
  'src/agent/main.ts',
  ...WORKERS.map((worker) => `src/${worker}.ts`),
  'bench/image.ts',
  'bench/boot.ts',
  'bench/overlay.ts',
  'bench/install.ts',
  'bench/boot/http-crowd.ts',
  'bench/boot/tftp-crowd.ts',
  'bench/boot/storm-blades.ts',
  'test/fuzz-boot.ts',
  'lab/cable-program.ts',
];

/** These compute, and nothing else: neither they nor what they import does any I/O. */
const PURE = [/^src\/boot\//, /^src\/net\//, /^src\/events\//, /^src\/fleet\/resolve\.ts$/, /^src\/disks\//];
const IO =
  /^(node:(fs|net|http|https|dgram|dns|tls|child_process|worker_threads|timers|os)(\/|$)|koffi|fastify|pino)/;

interface Module {
  /** Modules of this project, by their path from its root. */
  own: string[];
  /** Node's modules and npm packages. */
  foreign: string[];
}

const modules = await readModules();
const program = reachedFrom(ENTRIES);

async function readModules(): Promise<Map<string, Module>> {
  const found = new Map<string, Module>();
  for (const folder of ['src', 'lab', 'bench', 'test']) {
    for (const entry of await readdir(join(ROOT, folder), { recursive: true, withFileTypes: true })) {
      if (!entry.isFile() || !entry.name.endsWith('.ts')) continue;
      const path = join(entry.parentPath, entry.name);
      found.set(relative(ROOT, path), importsOf(relative(ROOT, path), await readFile(path, 'utf8')));
    }
  }
  return found;
}

function importsOf(path: string, text: string): Module {
  const pattern = /^(?:import|export|\}).*?\bfrom '([^']+)';|^import '([^']+)';|\bimport\(\s*'([^']+)'/gm;
  const names = [...text.matchAll(pattern)].map(([, from, plain, dynamic]) => from ?? plain ?? dynamic ?? '');
  return {
    own: names.filter(isOwn).map((name) => posix.join(dirname(path), name)),
    foreign: names.filter((name) => !isOwn(name)),
  };
}

function isOwn(name: string): boolean {
  return name.startsWith('.');
}

/** All modules that these import, directly or not, and they themselves. */
function reachedFrom(paths: string[]): Set<string> {
  const reached = new Set<string>();
  const visit = (path: string): void => {
    if (reached.has(path)) return;
    reached.add(path);
    for (const next of modules.get(path)?.own ?? []) visit(next);
  };
  for (const path of paths) visit(path);
  return reached;
}

/** `agent` of src/agent/install.ts, `errors.ts` of src/errors.ts. */
function folderOf(path: string): string {
  return path.split('/')[1] ?? '';
}

/** Imports of the program from one folder of src to another. */
function crossings(): { from: string; path: string; to: string; imported: string }[] {
  return [...program]
    .filter((path) => path.startsWith('src/'))
    .flatMap((path) =>
      (modules.get(path)?.own ?? [])
        .filter((imported) => imported.startsWith('src/') && folderOf(imported) !== folderOf(path))
        .map((imported) => ({ from: folderOf(path), path, to: folderOf(imported), imported })),
    );
}

function levelOf(folder: string): number {
  return LEVELS.findIndex((level) => level.includes(folder));
}

/** Files of the program that import this module of Node's or of npm. */
function importers(name: string): string[] {
  return [...program].filter((path) => modules.get(path)?.foreign.includes(name)).sort();
}

test('every import finds a file', () => {
  assert.ok(program.size > 100, 'the imports of the program are found');
  for (const [path, { own }] of modules) {
    for (const imported of own) assert.ok(modules.has(imported), `${path} imports ${imported}`);
  }
});

test('every folder of src has its level', () => {
  const folders = new Set([...modules.keys()].filter((path) => path.startsWith('src/')).map(folderOf));
  assert.deepEqual(
    [...folders].filter((folder) => levelOf(folder) === -1),
    [],
  );
});

test('imports run one way, down', () => {
  const up = crossings().filter(({ from, to }) => levelOf(to) < levelOf(from));
  assert.deepEqual(
    up.map(({ path, imported }) => `${path} imports ${imported}`),
    [],
  );
});

test('no folders import each other in a circle', () => {
  const below = new Map<string, Set<string>>();
  for (const { from, to } of crossings()) below.set(from, (below.get(from) ?? new Set()).add(to));
  const done = new Set<string>();
  const visit = (folder: string, way: string[]): void => {
    assert.ok(!way.includes(folder), `a circle: ${[...way, folder].join(' → ')}`);
    if (done.has(folder)) return;
    for (const next of below.get(folder) ?? []) visit(next, [...way, folder]);
    done.add(folder);
  };
  for (const folder of below.keys()) visit(folder, []);
});

test('what is pure does no I/O, and imports nothing that does', () => {
  for (const path of program) {
    if (!PURE.some((pattern) => pattern.test(path))) continue;
    for (const reached of reachedFrom([path])) {
      const io = modules.get(reached)?.foreign.filter((name) => IO.test(name)) ?? [];
      assert.deepEqual(io, [], `${path}, by way of ${reached}`);
    }
  }
});

test('programs are started in one place, and by the lab in another; four files call native code', () => {
  assert.deepEqual(importers('node:child_process'), ['lab/process.ts', 'src/system/run.ts']);
  // For what Node's dgram does not offer, for what Node cannot do with files, and for zstd without copies.
  const native = ['src/serve/poller.ts', 'src/serve/udp.ts', 'src/system/posix.ts', 'src/system/zstd.ts'];
  assert.deepEqual(importers('koffi'), native);
});

test('nothing that is only there for tests is part of the program, and nothing is there for no one', () => {
  const tests = [...modules.keys()].filter((path) => path.endsWith('.test.ts'));
  const forTests = reachedFrom(tests);
  for (const path of modules.keys()) {
    if (/\.(test|fixture)\.ts$|\/testing\//.test(path)) assert.ok(!program.has(path), path);
    else assert.ok(program.has(path) || forTests.has(path), `${path} is imported by nobody`);
  }
});

test('every folder has more than one file of source', () => {
  const counts = new Map<string, number>();
  for (const path of modules.keys()) {
    if (path.startsWith('src/') && !path.endsWith('.test.ts')) {
      counts.set(dirname(path), (counts.get(dirname(path)) ?? 0) + 1);
    }
  }
  counts.delete('src');
  assert.deepEqual(
    [...counts].filter(([, count]) => count < 2),
    [],
  );
});

test('files and folders are named after what is in them', () => {
  for (const path of modules.keys()) {
    for (const part of path.split('/')) {
      assert.doesNotMatch(basename(part, '.ts'), /^(utils?|helpers?|common|misc|managers?)\b/, path);
    }
  }
});

test('the program and its package have one version', async () => {
  const { version } = z
    .object({ version: z.string() })
    .parse(JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')));
  assert.equal(VERSION, version);
});

/** The options of Node in a launcher. */
async function optionsIn(path: string): Promise<string | undefined> {
  const launcher = await readFile(join(ROOT, path), 'utf8');
  return /^exec "[^"]*node" (--.*?) "/m.exec(launcher)?.[1];
}

test('a blade starts the program with the options that it is developed and measured with', async () => {
  const options = await optionsIn('bin/bladeroot');
  assert.ok(options !== undefined);
  assert.equal(await optionsIn('src/tree/program.ts'), options);
});

test('no text for people has the marks of a merge left in it', async () => {
  const docs = (await readdir(join(ROOT, 'docs'))).filter((name) => name.endsWith('.md'));
  for (const path of [
    'README.md',
    'ARCHITECTURE.md',
    'CHANGELOG.md',
    ...docs.map((name) => `docs/${name}`),
  ]) {
    assert.doesNotMatch(await readFile(join(ROOT, path), 'utf8'), /^(<{7}|>{7}) /m, path);
  }
});
