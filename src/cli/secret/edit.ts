import { mkdtemp, readFile, rm, statfs, writeFile } from 'node:fs/promises';
import { posix } from 'node:path';
import type { Command } from 'commander';
import { BladerootError } from '../../errors.ts';
import { decryptWith } from '../../secrets/age.ts';
import { runInteractive } from '../../system/run.ts';
import { contextOf, leaf } from '../command.ts';
import { changingSecrets, describeReaders, findSecret, putSecret } from './change.ts';
import { requireIdentities, withIdentity, type IdentityOptions } from './identities.ts';

/** A file system in memory: what is edited in clear is on no disk. */
const MEMORY = '/dev/shm';
/** TMPFS_MAGIC and RAMFS_MAGIC (linux/magic.h). */
const IN_MEMORY: ReadonlySet<number> = new Set([0x01021994, 0x858458f6]);

export function editSecretCommand(signal: AbortSignal): Command {
  const command = leaf('edit', 'edit a secret with $EDITOR, in memory, and encrypt it again', [
    'bladeroot secret edit db /etc/db/password --identity /media/usb/recovery.key',
  ])
    .argument('<overlay>', 'the overlay')
    .argument('<path>', 'where the file is on the blade');
  return withIdentity(command).action(
    async (overlay: string, path: string, options: IdentityOptions, self: Command) => {
      const context = contextOf(self, signal);
      const { fleetDirectory, output } = context;
      const keys = (await requireIdentities(context, options)).map(({ secret }) => secret);
      const secret = await findSecret(fleetDirectory, overlay, path);
      const { file } = secret;
      const before = await decryptWith(secret.ciphertext, keys, file);
      const after = await edited(before, posix.basename(secret.path));
      if (after.equals(before)) {
        output.result({ file, changed: false }, `${file} is as it was`);
        return;
      }
      const readers = await changingSecrets(context, async (fleet) => {
        // Nobody had to wait for the folder while the editor was open.
        const { ciphertext } = await findSecret(fleetDirectory, overlay, path);
        if (!ciphertext.equals(secret.ciphertext)) throw changedMeanwhile(file);
        return await putSecret(context, fleet, { overlay, path: secret.path, clear: after });
      });
      output.result({ file, changed: true }, `${file} ${describeReaders(readers)}`);
    },
  );
}

function changedMeanwhile(file: string): BladerootError {
  return new BladerootError('CHANGED_MEANWHILE', `${file} was changed by somebody else while you edited it`, {
    hint: 'it is as the other one left it: edit it again',
  });
}

/** @throws BladerootError `NO_MEMORY_FOLDER`, `EDITOR_FAILED` */
async function edited(before: Buffer, name: string): Promise<Buffer> {
  const { type } = await statfs(MEMORY).catch(() => ({ type: 0 }));
  if (!IN_MEMORY.has(type)) {
    throw new BladerootError(
      'NO_MEMORY_FOLDER',
      `${MEMORY} is not in memory, and a secret is not edited on a disk`,
      {
        hint: 'use `secret show` and `secret set` on a machine where it is',
      },
    );
  }
  // For nobody else (mkdtemp makes it 0700); what the editor puts beside the file goes with it.
  const folder = await mkdtemp(posix.join(MEMORY, 'bladeroot-'));
  try {
    const file = posix.join(folder, name);
    await writeFile(file, before, { mode: 0o600 });
    const [program = 'vi', ...args] = (process.env['VISUAL'] || process.env['EDITOR'] || 'vi').split(/\s+/);
    const status = await runInteractive(program, [...args, file]);
    if (status !== 0) {
      throw new BladerootError('EDITOR_FAILED', `${program} ended with status ${status}`, {
        hint: 'the secret is as it was',
      });
    }
    return await readFile(file);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
