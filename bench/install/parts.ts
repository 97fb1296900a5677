/** The parts of an install, each alone, on a blade that runs: the same processors, the same disk, the same wire. */
import type { BladeShell } from '../../lab/demo/blade-shell.ts';
import type { DemoBlade } from '../../lab/demo/fleet-folder.ts';

/** Seconds. */
export interface Parts {
  /** Of all that the install has fetched, to nowhere. */
  transfer: number;
  /** Of the packs that were unpacked, by all processors, to nowhere. */
  decompress: number;
  /** Of what was unpacked, from memory into an empty file system. */
  write: number;
}

const STORE = '/var/lib/bladeroot/store';

/** @param root base URL of the root that it was installed from */
export async function measureParts(shell: BladeShell, blade: DemoBlade, root: string): Promise<Parts> {
  const seconds = async (prepare: string, work: string): Promise<number> => {
    const clock = 'cut -d" " -f1 /proc/uptime';
    const said = await shell.on(blade, `set -e; ${prepare}; sync; ${clock}; ${work}; ${clock}`);
    const [begun = Number.NaN, ended = Number.NaN] = said.split('\n').slice(-2).map(Number);
    if (!(ended > begun))
      throw new Error(`${blade.name} was to tell when it began and when it ended: ${said}`);
    return ended - begun;
  };
  const fetchAll = `find packs blobs manifests snapshots -type f ! -name "*.part" | while read -r path; do busybox wget -q -O /dev/null ${root}/store/$path; done`;
  const slotB = '/dev/disk/by-partlabel/bladeroot-b';
  return {
    transfer: await seconds(`cd ${STORE}`, fetchAll),
    decompress: await seconds(
      `cd ${STORE}/packs; cat * > /dev/null`,
      `/opt/bladeroot/bin/node --input-type=module --eval '${DECOMPRESS}'`,
    ),
    write: await seconds(
      `mkfs.ext4 -q -F ${slotB}; mount ${slotB} /mnt; find / -xdev -type f -exec cat {} + > /dev/null`,
      'cp --archive --one-file-system / /mnt/; umount /mnt',
    ),
  };
}

/** In no quotes of its own but double ones: it stands in a shell's single ones. */
const DECOMPRESS = `
import { readdirSync, readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { Worker, isMainThread, workerData } from "node:worker_threads";
import { zstdDecompressSync } from "node:zlib";
const threads = availableParallelism();
const work = (thread) => {
  for (const name of readdirSync(".").filter((name) => name.endsWith(".json.zst"))) {
    const index = JSON.parse(zstdDecompressSync(readFileSync(name)));
    if (index.layer !== "run") continue;
    const pack = readFileSync(name.replace(".json.zst", ".pack"));
    let at = 0;
    for (const [number, { bytes }] of index.frames.entries()) {
      if (number % threads === thread) zstdDecompressSync(pack.subarray(at, at + bytes));
      at += bytes;
    }
  }
};
const prelude = "import { readdirSync, readFileSync } from \\"node:fs\\"; import { zstdDecompressSync } from \\"node:zlib\\"; import { workerData } from \\"node:worker_threads\\"; const threads = " + threads + ";";
for (let thread = 1; thread < threads; thread++) {
  const source = prelude + "(" + work + ")(workerData)";
  new Worker(new URL("data:text/javascript," + encodeURIComponent(source)), { workerData: thread });
}
work(0);
`.trim();
