/**
 * Programs of one disk sector, assembled by hand: the smallest things a BIOS boots. They answer questions about the
 * machine below them without a kernel: does it run code at all, has it come as far as its disk.
 */

/** Where a BIOS loads the sector, and where it starts it in real mode. */
const LOAD_ADDRESS = 0x7c00;
const SECTOR_BYTES = 512;

/** Writes one byte to an I/O port and stands still. On QEMU's isa-debug-exit, QEMU ends with status 2 * value + 1. */
export function portWriter(port: number, value: number): Buffer {
  return sector([
    [0xfa], //                         cli
    [0xba, port & 0xff, port >> 8], // mov dx, port
    [0xb0, value], //                  mov al, value
    [0xee], //                         out dx, al
    ...HALT,
  ]);
}

/** Writes a text of ASCII characters to the first serial port and stands still. */
export function serialWriter(text: string): Buffer {
  const textAddress = LOAD_ADDRESS + SERIAL_CODE_BYTES;
  return sector([
    [0xfa], //                                        cli   (or SeaBIOS writes its own last words in between)
    [0x31, 0xc0], //                                  xor ax, ax
    [0x8e, 0xd8], //                                  mov ds, ax
    [0xba, 0xf8, 0x03], //                            mov dx, 0x3f8   (COM1; the BIOS has set it up)
    [0xbe, textAddress & 0xff, textAddress >> 8], //  mov si, text
    [0xfc], //                                        cld
    [0xac], //                                  next: lodsb
    [0x84, 0xc0], //                                  test al, al
    [0x74, 0x03], //                                  jz halt
    [0xee], //                                        out dx, al
    [0xeb, 0xf8], //                                  jmp next
    ...HALT,
    [...Buffer.from(`${text}\0`, 'latin1')],
  ]);
}

/** How long the code of serialWriter is, after which its text stands. */
const SERIAL_CODE_BYTES = 23;

const HALT = [
  [0xf4], //       hlt
  [0xeb, 0xfd], // jmp to the hlt: a non-maskable interrupt wakes even a halted processor
];

function sector(instructions: number[][]): Buffer {
  const code = Buffer.from(instructions.flat());
  if (code.length > SECTOR_BYTES - 2)
    throw new RangeError(`${code.length} bytes do not fit in a boot sector`);
  const bytes = Buffer.alloc(SECTOR_BYTES);
  code.copy(bytes);
  bytes.writeUInt16LE(0xaa55, SECTOR_BYTES - 2);
  return bytes;
}
