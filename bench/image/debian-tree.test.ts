import assert from 'node:assert/strict';
import { test } from 'node:test';
import { changedPackages, type Packages } from './debian-tree.ts';

const packages = (versions: Record<string, string>): Packages =>
  new Map(
    Object.entries(versions).map(([name, version]) => [name, { version, source: name, installedKb: 1 }]),
  );

test('changed packages are those of another version, and new ones', () => {
  const before = packages({ 'vim:amd64': '9.0', 'git:amd64': '2.39', 'old:all': '1' });
  const after = packages({ 'vim:amd64': '9.1', 'git:amd64': '2.39', 'linux-image-2:amd64': '6.1' });
  assert.deepEqual(changedPackages(before, after), ['linux-image-2:amd64 – → 6.1', 'vim:amd64 9.0 → 9.1']);
});
