/** Requests out of a capture file, and out of what tcpdump prints of one. */

/** What a client sent to a server, without the headers of Ethernet, IP and UDP. */
export interface CapturedRequest {
  /** The server's port: 67 (DHCP), 4011 (PXE) or 69 (TFTP). */
  to: number;
  payload: string;
}

/** How tcpdump reads a DHCP request. */
export interface TcpdumpReading {
  mac: string;
  xid: number;
  secs: number;
  flags: number;
  /** Options in their order, each as its code and its length in bytes: `53/1 57/2`. */
  options: string;
}

const PCAP_MAGIC = 0xa1b2c3d4;
const FILE_HEADER_BYTES = 24;
const RECORD_HEADER_BYTES = 16;
const ETHERNET_BYTES = 14;

/** @param pcap as tcpdump writes it on this machine: Ethernet frames, microseconds, little-endian (pcap-savefile(5)) */
export function requestsIn(pcap: Buffer): CapturedRequest[] {
  if (pcap.readUInt32LE(0) !== PCAP_MAGIC) throw new Error('not a capture file of this machine');
  const requests: CapturedRequest[] = [];
  for (let at = FILE_HEADER_BYTES; at < pcap.length;) {
    const length = pcap.readUInt32LE(at + 8);
    const ip = pcap.subarray(at + RECORD_HEADER_BYTES + ETHERNET_BYTES, at + RECORD_HEADER_BYTES + length);
    const udp = ip.subarray((ip.readUInt8(0) & 0x0f) * 4);
    requests.push({
      to: udp.readUInt16BE(2),
      payload: udp.subarray(8, udp.readUInt16BE(4)).toString('hex'),
    });
    at += RECORD_HEADER_BYTES + length;
  }
  return requests;
}

const REQUEST =
  /BOOTP\/DHCP, Request from ([0-9a-f:]+).*?xid 0x([0-9a-f]+)(?:, secs (\d+))?, Flags \[\w+\](?: \(0x([0-9a-f]+)\))?/;
const OPTION = /\((\d+)\), length (\d+)/;

/** @param text what `tcpdump -n -vvv` prints of DHCP requests */
export function tcpdumpReading(text: string): TcpdumpReading[] {
  const readings: TcpdumpReading[] = [];
  for (const line of text.split('\n')) {
    const request = REQUEST.exec(line);
    const [, mac = '', xid = '', secs = '0', flags = '0'] = request ?? [];
    if (request !== null) {
      readings.push({
        mac,
        xid: Number.parseInt(xid, 16),
        secs: Number(secs),
        flags: Number.parseInt(flags, 16),
        options: '',
      });
      continue;
    }
    const [, code, length] = OPTION.exec(line) ?? [];
    if (code === undefined || length === undefined || code === '0' || code === '255') continue;
    // Options begin a line; what stands within one is of the option above.
    const reading = readings.at(-1);
    if (reading !== undefined && /^\s+[A-Z][\w-]* \(/.test(line)) {
      reading.options = `${reading.options} ${code}/${length}`.trimStart();
    }
  }
  return readings;
}
