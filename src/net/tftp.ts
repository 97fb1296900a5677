/** TFTP packets: bytes to object and back (RFC 1350; options as in RFC 2347, so 2348, 2349 and 7440 too). */
import { BladerootError } from '../errors.ts';

export interface TftpRequest {
  type: 'rrq' | 'wrq';
  file: string;
  /** In lower case: `octet` or `netascii`. */
  mode: string;
  /** Values by name, in the order of the packet; names in lower case. */
  options: Map<string, string>;
}

export type TftpPacket =
  | TftpRequest
  /** `block` is the 16-bit number on the wire. */
  | { type: 'data'; block: number; data: Buffer }
  | { type: 'ack'; block: number }
  | { type: 'error'; code: number; message: string }
  | { type: 'oack'; options: Map<string, string> };

/** Codes of error packets: RFC 1350 and, for `badOption`, RFC 2347. */
export const TFTP_ERROR = {
  undefined: 0,
  notFound: 1,
  accessViolation: 2,
  illegalOperation: 4,
  unknownTransferId: 5,
  badOption: 8,
} as const;

/**
 * Reads a packet.
 * @throws BladerootError `TFTP_MALFORMED` and nothing else, whatever the bytes
 */
export function decodeTftp(bytes: Uint8Array): TftpPacket {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (buffer.length < 4) throw malformed(`only ${buffer.length} bytes`);
  const opcode = buffer.readUInt16BE(0);
  const number = buffer.readUInt16BE(2);
  switch (opcode) {
    case OPCODE.rrq:
      return decodeRequest('rrq', buffer);
    case OPCODE.wrq:
      return decodeRequest('wrq', buffer);
    case OPCODE.data:
      return { type: 'data', block: number, data: buffer.subarray(4) };
    case OPCODE.ack:
      return { type: 'ack', block: number };
    case OPCODE.error:
      return { type: 'error', code: number, message: readStrings(buffer.subarray(4))[0] ?? '' };
    case OPCODE.oack:
      return { type: 'oack', options: readOptions(readStrings(buffer.subarray(2))) };
    default:
      throw malformed(`opcode ${opcode}`);
  }
}

/** Bytes in front of a data packet's data. */
export const TFTP_DATA_HEADER = 4;

/** Writes a data packet of part of a file to where it is to stand among others; returns where the next one begins. */
export function writeTftpData(into: Buffer, at: number, block: number, data: Uint8Array): number {
  into.writeUInt16BE(OPCODE.data, at);
  into.writeUInt16BE(block, at + 2);
  into.set(data, at + TFTP_DATA_HEADER);
  return at + TFTP_DATA_HEADER + data.length;
}

/** Writes a packet. Texts must be free of NUL. */
export function encodeTftp(packet: TftpPacket): Buffer {
  switch (packet.type) {
    case 'rrq':
    case 'wrq':
      return Buffer.concat([
        uint16s(OPCODE[packet.type]),
        writeStrings([packet.file, packet.mode, ...[...packet.options].flat()]),
      ]);
    case 'data':
      return Buffer.concat([uint16s(OPCODE.data, packet.block), packet.data]);
    case 'ack':
      return uint16s(OPCODE.ack, packet.block);
    case 'error':
      return Buffer.concat([uint16s(OPCODE.error, packet.code), writeStrings([packet.message])]);
    case 'oack':
      return Buffer.concat([uint16s(OPCODE.oack), writeStrings([...packet.options].flat())]);
  }
}

const OPCODE = { rrq: 1, wrq: 2, data: 3, ack: 4, error: 5, oack: 6 } as const;

function decodeRequest(type: 'rrq' | 'wrq', buffer: Buffer): TftpRequest {
  const [file, mode, ...rest] = readStrings(buffer.subarray(2));
  if (file === undefined || mode === undefined) throw malformed(`a ${type} without file name or mode`);
  return { type, file, mode: mode.toLowerCase(), options: readOptions(rest) };
}

/** The first of each name counts; an empty name is padding, as some ROMs put behind their requests. */
function readOptions(strings: string[]): Map<string, string> {
  const options = new Map<string, string>();
  for (let at = 0; at + 1 < strings.length; at += 2) {
    const name = strings[at]?.toLowerCase() ?? '';
    if (name === '') break;
    if (!options.has(name)) options.set(name, strings[at + 1] ?? '');
  }
  return options;
}

/** The texts in the bytes; the last one may lack its NUL. Those beyond what any client sends are not looked at. */
function readStrings(bytes: Buffer): string[] {
  const strings = bytes.toString().split('\0', MOST_STRINGS);
  if (strings.at(-1) === '') strings.pop();
  return strings;
}

/** A file, a mode, and some thirty options; a datagram of 64 KiB has room for 30,000. */
const MOST_STRINGS = 64;

function writeStrings(strings: string[]): Buffer {
  return Buffer.from(strings.map((text) => `${text}\0`).join(''));
}

function uint16s(...values: number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 2);
  for (const [index, value] of values.entries()) bytes.writeUInt16BE(value, index * 2);
  return bytes;
}

function malformed(why: string): BladerootError {
  return new BladerootError('TFTP_MALFORMED', `not a TFTP packet: ${why}`);
}
