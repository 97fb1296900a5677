/** What a blade fetches for an update. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { largeFile, touchAll } from './changed-tree.ts';
import { compressedChanges, contentsOf } from './contents.ts';
import { remove } from '../folder.ts';
import type { PartReport, Row } from '../report.ts';
import type { Setting } from './setting.ts';
import { bladerootTransport, casyncTransport, zchunkTransport, type Successors } from './transport.ts';

/** Of the file that one byte is inserted into. */
const LARGE_BYTES = 500e6;

/** What our bytes must stay below. */
interface Reference {
  beside: string;
  theirs: number;
  goal: number;
}

/** One tree in the hands of all three programs. */
interface InAllHands {
  ours: Successors;
  peers: { name: string; successors: Successors }[];
}

/** Two real upgrades of a Debian tree, and two changes that look like more than they are. */
export async function benchSize(setting: Setting): Promise<PartReport> {
  return { rows: [...(await ofDebianTree(setting)), ...(await ofLargeFile(setting))], contests: {} };
}

async function ofDebianTree(setting: Setting): Promise<Row[]> {
  const { work, trees, signal, onProgress } = setting;
  const { before, after, small } = trees;
  const home = join(work, 'debian');
  const hands = await inAllHands(before.root, home, setting);

  onProgress('which contents are new, and how small zstd makes them');
  const there = await contentsOf(before.root, signal);
  const zstdOf = async (root: string): Promise<number> =>
    await compressedChanges(there, await contentsOf(root, signal), signal);
  const beside = 'changed contents, zstd';
  const references = {
    after: { beside, theirs: await zstdOf(after.root), goal: 0.75 },
    small: { beside, theirs: await zstdOf(small.root), goal: 1.1 },
    touched: { beside: 'whole snapshot', theirs: hands.ours.wholeBytes, goal: 0.01 },
  };
  const touched = join(home, 'root');
  await touchAll(before.root, touched, signal);
  const rows = [
    ...wholeRows(hands),
    ...(await updateRows('Debian upgrade', after.root, references.after, hands, setting)),
    ...(await updateRows('three small packages', small.root, references.small, hands, setting)),
    ...(await updateRows('all times changed', touched, references.touched, hands, setting)),
  ];
  await remove(home);
  return rows;
}

async function ofLargeFile(setting: Setting): Promise<Row[]> {
  const { work, trees, signal } = setting;
  const home = join(work, 'large');
  const [old, inserted] = [join(home, 'old', 'root'), join(home, 'inserted', 'root')];
  for (const root of [old, inserted]) await mkdir(root, { recursive: true });
  const source = trees.before.root;
  await largeFile(source, join(old, 'file'), { size: LARGE_BYTES, prefix: '', signal });
  await largeFile(source, join(inserted, 'file'), { size: LARGE_BYTES, prefix: '+', signal });
  const reference = { beside: 'file, not compressed', theirs: LARGE_BYTES, goal: 0.02 };
  const hands = await inAllHands(old, join(home, 'packed'), setting);
  const rows = await updateRows('a byte in front of 500 MB', inserted, reference, hands, setting);
  await remove(home);
  return rows;
}

async function inAllHands(base: string, home: string, { signal, onProgress }: Setting): Promise<InAllHands> {
  const take = async ({ name, from }: typeof bladerootTransport): Promise<Successors> => {
    onProgress(`size: ${name} takes the old tree`);
    return await from(base, join(home, name), signal);
  };
  return {
    ours: await take(bladerootTransport),
    peers: [
      { name: casyncTransport.name, successors: await take(casyncTransport) },
      { name: zchunkTransport.name, successors: await take(zchunkTransport) },
    ],
  };
}

function wholeRows({ ours, peers }: InAllHands): Row[] {
  return peers.map(({ name, successors }) => {
    return {
      what: 'size, whole tree',
      unit: 'bytes',
      ours: ours.wholeBytes,
      beside: name,
      theirs: successors.wholeBytes,
    };
  });
}

async function updateRows(
  what: string,
  next: string,
  reference: Reference,
  { ours, peers }: InAllHands,
  { onProgress }: Setting,
): Promise<Row[]> {
  onProgress(`size: ${what}, bladeroot`);
  const bytes = await ours.bytesFor(next);
  const row = { what: `fetched, ${what}`, unit: 'bytes', ours: bytes } as const;
  const rows: Row[] = [{ ...row, ...reference }];
  for (const { name, successors } of peers) {
    onProgress(`size: ${what}, ${name}`);
    rows.push({ ...row, beside: name, theirs: await successors.bytesFor(next) });
  }
  return rows;
}
