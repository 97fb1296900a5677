/** For tests: folders of files that are gone when the test is over. */
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { TestContext } from 'node:test';

/**
 * Makes a folder of files, by their path: a content that starts with `->` is a symbolic link, one that starts with `#!`
 * is executable, and a path that ends in `/` is a directory.
 */
export async function folderOf(t: TestContext, files: Readonly<Record<string, string>>): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), 'bladeroot-test-'));
  t.after(() => rm(root, { recursive: true, force: true }));
  for (const [path, content] of Object.entries(files)) {
    const full = join(root, path);
    await mkdir(path.endsWith('/') ? full : dirname(full), { recursive: true });
    if (content.startsWith('->')) await symlink(content.slice(2), full);
    else if (!path.endsWith('/'))
      await writeFile(full, content, { mode: content.startsWith('#!') ? 0o755 : 0o644 });
  }
  return root;
}
