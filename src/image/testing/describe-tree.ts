/** Tells what is in a directory, with nothing of the pack code: lstat, contents, link groups, getfattr. */
import { createHash } from 'node:crypto';
import { createReadStream, type BigIntStats } from 'node:fs';
import { lstat, readdir, readlink } from 'node:fs/promises';
import { run } from '../../system/run.ts';

/** One line a thing, and one block a thing with xattrs; two trees that cannot be told apart give the same. */
export async function describeTree(directory: string): Promise<string[]> {
  const root = Buffer.from(`${directory}/`);
  const stats = new Map<string, BigIntStats>();
  const groups = new Map<string, string[]>();
  const names = (await namesIn(directory)).sort();
  for (const name of names) {
    const stat = await lstat(Buffer.concat([root, Buffer.from(name, 'latin1')]), { bigint: true });
    stats.set(name, stat);
    const inode = `${stat.dev}:${stat.ino}`;
    groups.set(inode, [...(groups.get(inode) ?? []), name]);
  }
  const lines: string[] = [];
  for (const [name, stat] of stats) {
    const full = Buffer.concat([root, Buffer.from(name, 'latin1')]);
    lines.push(
      JSON.stringify({
        name,
        mode: stat.mode.toString(8),
        owner: `${stat.uid}:${stat.gid}`,
        mtime: stat.mtimeNs.toString(),
        rdev: stat.rdev.toString(),
        ...(stat.isFile() && { size: stat.size.toString(), content: await sumOf(full) }),
        ...(stat.isSymbolicLink() && { target: (await readlink(full, 'buffer')).toString('hex') }),
        ...(!stat.isDirectory() && { links: groups.get(`${stat.dev}:${stat.ino}`) }),
      }),
    );
  }
  return [...lines, ...(await xattrBlocks(directory))];
}

/** Not readdir's own recursion: it follows symbolic links to directories. A name's characters are its bytes. */
async function namesIn(directory: string, below = ''): Promise<string[]> {
  const names = [below];
  const full = Buffer.from(`${Buffer.from(directory).toString('latin1')}/${below}`, 'latin1');
  for (const entry of await readdir(full, { withFileTypes: true, encoding: 'latin1' })) {
    const name = below === '' ? entry.name : `${below}/${entry.name}`;
    if (entry.isDirectory()) names.push(...(await namesIn(directory, name)));
    else names.push(name);
  }
  return names;
}

async function sumOf(path: Buffer): Promise<string> {
  const sum = createHash('sha256');
  for await (const chunk of createReadStream(path)) sum.update(chunk);
  return sum.digest('hex');
}

async function xattrBlocks(directory: string): Promise<string[]> {
  const args = [
    '--recursive',
    '--physical',
    '--no-dereference',
    '--dump',
    '--match=-',
    '--encoding=hex',
    '.',
  ];
  const { stdout } = await run('getfattr', args, { cwd: directory });
  return stdout
    .split('\n\n')
    .filter((block) => block.trim() !== '')
    .map((block) => {
      const [name, ...values] = block.trim().split('\n');
      return [name, ...values.sort()].join('\n');
    })
    .sort();
}
