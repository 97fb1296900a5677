/** A tree with one of everything that is easily lost. */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { chmod, chown, link, mkdir, rename, rm, stat, symlink, truncate, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { run } from '../../system/run.ts';

const MIB = 1024 * 1024;

export async function makeRichTree(root: string): Promise<void> {
  const at = (path: string): string => join(root, path);
  const odd = (bytes: string): Buffer =>
    Buffer.concat([Buffer.from(`${root}/odd/`), Buffer.from(bytes, 'latin1')]);
  for (const folder of [
    'a',
    'a-b',
    'acl',
    'dev/pts',
    'devices',
    'etc/ssh',
    'odd',
    'sizes',
    'tmp/x',
    'var/log/nginx',
  ]) {
    await mkdir(at(folder), { recursive: true });
  }

  for (const size of [0, 1, 511, 512, 513, MIB - 1, MIB, MIB + 1]) {
    await writeFile(at(`sizes/${size}`), randomBytes(size));
  }
  const large = Buffer.concat([randomBytes(3 * MIB + 17), Buffer.alloc(2 * MIB, 'x')]);
  for (const name of ['sizes/large', 'acl/large-too', 'a/large-three']) await writeFile(at(name), large);
  for (const name of ['a/same', 'sizes/same', 'a-b/same']) await writeFile(at(name), 'the same content\n');

  // In the order of bytes `a-b/x` comes before `a/x`, in the order of directories after it.
  await writeFile(at('a-b/linked'), 'linked');
  await link(at('a-b/linked'), at('a/linked'));
  await link(at('a-b/linked'), at('sizes/linked'));
  await link(at('acl/large-too'), at('a-b/large-link'));
  await symlink('nowhere/at all', at('a/dangling'));
  await symlink('/etc/passwd', at('a/absolute'));
  await symlink('../acl', at('a/directory'));
  await symlink(`../${'x/'.repeat(400)}y`, at('a/long'));
  await link(at('a/dangling'), at('a-b/link-to-a-link'));

  for (const name of [
    'line\nbreak',
    '\xff\xfe not utf-8',
    'caf\xc3\xa9',
    '-rf',
    '*',
    'back\\slash',
    'n'.repeat(255),
  ]) {
    await writeFile(odd(name), name);
  }
  await mkdir(odd('\xfe directory'));
  await writeFile(odd('\xfe directory/\xfd'), 'below a name that is not UTF-8');
  const deep = `a/${'directory-with-a-long-name/'.repeat(8)}`;
  await mkdir(at(deep), { recursive: true });
  await writeFile(at(`${deep}file`), 'deep');

  await run('mknod', [at('devices/null'), 'c', '1', '3']);
  await run('mknod', [at('devices/high'), 'b', '259', '1048575']);
  await run('mkfifo', [at('devices/fifo')]);
  const server = createServer().listen(at('devices/listening'));
  await once(server, 'listening');
  // Under another name it stays when its server goes.
  await rename(at('devices/listening'), at('devices/socket'));
  server.close();

  await chmod(at('sizes/513'), 0o4755);
  await chmod(at('sizes/512'), 0o0000);
  await chmod(at('a'), 0o3775);
  await chmod(at('tmp'), 0o1777);
  await chown(at('a/same'), 4294967294, 2097152);
  await chown(at('a'), 1000, 50);
  const xattr = async (path: string, name: string, value: string): Promise<void> =>
    void (await run('setfattr', ['--no-dereference', `--name=${name}`, `--value=${value}`, at(path)]));
  await xattr('a', 'user.directory', 'yes');
  await xattr('a/same', 'user.a=b%3D', '0x000a3dff');
  await xattr('a/same', 'user.empty', '""');
  await xattr('a/same', 'trusted.odd', '0x00');
  await xattr('a/dangling', 'trusted.link', 'on a symbolic link');
  await xattr('devices/null', 'trusted.device', 'on a device');
  await run('setcap', ['cap_net_raw+ep', at('sizes/1')]);
  await run('setfacl', ['-m', 'u:1234:rw,g:77:r', at('sizes/511')]);
  await run('setfacl', ['-m', 'u:1234:rwx', '-m', 'd:u:1234:rwx,d:g:9:rx', at('acl')]);
  // These come into a directory with a default ACL and must not inherit it.
  await writeFile(at('acl/plain'), 'plain');
  await run('mknod', [at('acl/zero'), 'c', '1', '5']);
  await mkdir(at('acl/below'));
  for (const name of ['acl/plain', 'acl/zero']) await run('setfacl', ['--remove-all', at(name)]);
  await run('setfacl', ['--remove-all', '--remove-default', at('acl/below')]);

  await writeFile(at('etc/machine-id'), 'f00f\n');
  await writeFile(at('etc/ssh/ssh_host_ed25519_key'), 'secret');
  await writeFile(at('etc/ssh/sshd_config'), 'Port 22\n');
  for (const name of ['tmp/x/y', 'dev/pts/0', 'var/log/nginx/access.log'])
    await writeFile(at(name), 'left over');

  const touch = async (path: string, time: string): Promise<void> =>
    void (await run('touch', ['--no-dereference', `--date=${time}`, at(path)], { env: { TZ: 'UTC' } }));
  await touch('sizes/0', '1969-12-31 23:59:58.500000001');
  await touch('sizes/1', '1901-12-14 00:00:00');
  await touch('sizes/511', '2262-01-01 00:00:00.999999999');
  await touch('a/absolute', '2039-01-01 00:00:00.000000100');
  await touch('a', '2001-02-03 04:05:06.123456789');
  await touch('.', '2002-02-03 04:05:06.000000001');
}

/** Removes from such a tree what packing leaves out, and keeps its directories' times: what unpacking must give. */
export async function removeLeftovers(root: string): Promise<void> {
  const leftovers = [
    'dev/pts',
    'devices/socket',
    'etc/ssh/ssh_host_ed25519_key',
    'tmp/x',
    'var/log/nginx/access.log',
  ];
  for (const path of leftovers) {
    await keepingTime(join(root, dirname(path)), async () => await rm(join(root, path), { recursive: true }));
  }
  const machineId = join(root, 'etc/machine-id');
  await keepingTime(machineId, async () => await truncate(machineId));
}

async function keepingTime(path: string, change: () => Promise<void>): Promise<void> {
  const { mtimeNs } = await stat(path, { bigint: true });
  await change();
  const time = `@${mtimeNs / 1_000_000_000n}.${String(mtimeNs % 1_000_000_000n).padStart(9, '0')}`;
  await run('touch', [`--date=${time}`, path]);
}
