/** GPT names of the partitions of a blade's disk: the agent, /init, the running blade and the fstab find them by these. */
export const PARTITIONS = {
  biosBoot: 'bladeroot-bios',
  esp: 'bladeroot-esp',
  a: 'bladeroot-a',
  b: 'bladeroot-b',
  persist: 'bladeroot-persist',
} as const;
