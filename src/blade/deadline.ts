/** `/init` has a slot on trial restart after some minutes, whatever becomes of the system, unless this calls it off. */
import { rm } from 'node:fs/promises';
import { readIfThere } from '../system/read-file.ts';

/** Has the number of the process that waits, since /init (initrd/init.sh). */
const FILE = '/run/bladeroot/deadline';

export async function callOffDeadline(file = FILE): Promise<void> {
  const pid = Number(await readIfThere(file));
  if (!Number.isInteger(pid) || pid <= 1) return;
  // The number may be another's by now.
  const commandLine = await readIfThere(`/proc/${pid}/cmdline`);
  if (commandLine?.includes('reboot') === true) process.kill(pid, 'SIGKILL');
  await rm(file, { force: true });
}
