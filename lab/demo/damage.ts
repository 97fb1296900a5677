import type { BladeShell } from './blade-shell.ts';
import type { DemoBlade } from './fleet-folder.ts';

/** Changes one byte near the start of the largest pack in a blade's store, which it hands out as a root. */
export async function damagePack(
  shell: BladeShell,
  blade: DemoBlade,
): Promise<{ what: string; mend(): Promise<void> }> {
  const pack = await shell.on(blade, 'ls -S /var/lib/bladeroot/store/packs/*.pack | head -n 1');
  const size = Number(await shell.on(blade, `stat -c %s ${pack}`));
  const at = Math.floor(size / 20);
  const byte = await shell.on(blade, `od -An -tx1 -j${at} -N1 ${pack} | tr -d ' '`);
  const write = async (hex: string): Promise<void> => {
    await shell.on(blade, `printf '\\x${hex}' | dd of=${pack} bs=1 seek=${at} conv=notrunc status=none`);
  };
  await write((Number.parseInt(byte, 16) ^ 0xff).toString(16).padStart(2, '0'));
  return { what: `byte ${at} of ${pack} on ${blade.name} is altered`, mend: async () => await write(byte) };
}
