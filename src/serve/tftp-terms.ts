/** What a TFTP server agrees to of the options that a client asks for (RFC 2347, 2348, 2349, 7440). */
import type { TftpRequest } from '../net/tftp.ts';

export interface TftpTerms {
  /** Bytes of a full block. */
  blksize: number;
  /** Blocks that are sent before an ACK is waited for. */
  windowsize: number;
  /** Milliseconds before a repetition, where the client asked for a time. */
  timeoutMs?: number;
  /** What goes into the OACK; when it is empty, none is sent. */
  oack: Map<string, string>;
}

/**
 * `size` is the file's as it will be sent, in bytes; `mtu` the wire's. Only what was asked for is answered; options that
 * are unknown or make no sense are passed over, as RFC 2347 says.
 */
export function agreeTerms(request: TftpRequest, size: number, mtu: number): TftpTerms {
  const terms: TftpTerms = { blksize: 512, windowsize: 1, oack: new Map() };
  for (const [name, text] of request.options) {
    const value = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
    if (name === 'tsize') {
      terms.oack.set(name, String(size));
    } else if (name === 'blksize' && value >= 8 && value <= 65464) {
      // ROMs do not put IP fragments together.
      terms.blksize = Math.min(value, mtu - HEADERS);
      terms.oack.set(name, String(terms.blksize));
    } else if (name === 'windowsize' && value >= 1 && value <= 65535) {
      terms.windowsize = request.mode === 'netascii' ? 1 : Math.min(value, MAX_WINDOW);
      terms.oack.set(name, String(terms.windowsize));
    } else if (name === 'timeout' && value >= 1 && value <= 255) {
      terms.timeoutMs = value * 1000;
      terms.oack.set(name, text);
    }
  }
  return terms;
}

/** IP 20, UDP 8, TFTP 4 bytes. */
const HEADERS = 32;
const MAX_WINDOW = 64;
