import { constants } from 'node:fs';
import { access } from 'node:fs/promises';

/** Where distributions put OVMF, UEFI for virtual machines: read-only code, and a template of its variables. */
const OVMF = [
  { code: '/usr/share/OVMF/OVMF_CODE_4M.fd', variables: '/usr/share/OVMF/OVMF_VARS_4M.fd' },
  { code: '/usr/share/OVMF/OVMF_CODE.fd', variables: '/usr/share/OVMF/OVMF_VARS.fd' },
  { code: '/usr/share/edk2/x64/OVMF_CODE.4m.fd', variables: '/usr/share/edk2/x64/OVMF_VARS.4m.fd' },
] as const;

export interface UefiFirmware {
  code: string;
  variables: string;
}

/** The UEFI firmware of this machine, or undefined when none is installed. */
export async function findFirmware(): Promise<UefiFirmware | undefined> {
  for (const firmware of OVMF) {
    if ((await readable(firmware.code)) && (await readable(firmware.variables))) return firmware;
  }
  return undefined;
}

async function readable(path: string): Promise<boolean> {
  return await access(path, constants.R_OK).then(
    () => true,
    () => false,
  );
}
