/** What iPXE gets beside its address, as tcpdump reads it. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { readCaptures } from '../net/captures.fixture.ts';
import { cannotMakeSegment, CLIENT, Segment, type Servers } from './segment.fixture.ts';

describe('with a client on a wire of its own', { skip: cannotMakeSegment }, () => {
  const segment = new Segment('wait');
  let servers: Servers | undefined;

  before(async () => {
    await segment.create();
    const address = { address: '10.99.0.11', subnetMask: '255.255.255.0', dns: [], leaseSeconds: 600 };
    const macs = readCaptures().flatMap(({ golden }) => golden.map(({ mac }) => mac));
    servers = await segment.startServers({
      offers: Object.fromEntries(macs.map((mac) => [mac, address])),
      files: {},
    });
  });

  after(async () => {
    await servers?.stop();
    await segment.remove();
  });

  /** Sends what a client of the captures asked first; returns what tcpdump says of the advertisements that it gets. */
  const heardBy = async (name: string): Promise<string> => {
    const capture = readCaptures().find(({ client }) => client === name);
    const [{ mac = '' } = {}] = capture?.golden ?? [];
    await segment.setClientMac(mac);
    const question = capture?.dhcp[0]?.toString('hex') ?? '';
    return (await segment.runClient('python3', ['-c', ASK, CLIENT.interface, question])).stdout;
  };

  test('iPXE is told by a frame to it alone that there is no IPv6 router: it need not wait for one', async () => {
    const heard = await heardBy('ipxe-rom');
    assert.match(heard, / > 52:54:00:77:02:01, ethertype IPv6 .* ICMP6, router advertisement, length 16/);
    assert.match(heard, /\[icmp6 sum ok\]/);
    assert.match(heard, /Flags \[none\], pref medium, router lifetime 0s/);
  });

  test('nobody else is: neither firmware nor a running system', async () => {
    for (const client of ['ovmf-pxe', 'udhcpc']) assert.doesNotMatch(await heardBy(client), /advertisement/);
  });
});

/** Asks, hears the answer, and asks again: what followed the first answer is there before the second one. */
const ASK = `
import socket, struct, subprocess, sys
device, question = sys.argv[1], bytes.fromhex(sys.argv[2])
wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
wire.bind((device, 0))
client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
client.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode() + b"\\0")
client.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
client.bind(("0.0.0.0", 68))
capture = struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1)
for _ in range(2):
    client.sendto(question, ("255.255.255.255", 67))
    while True:
        frame = wire.recv(65535)
        if frame[12:14] == b"\\x86\\xdd": capture += struct.pack("<IIII", 0, 0, len(frame), len(frame)) + frame
        if frame[12:14] == b"\\x08\\x00" and frame[36:38] == b"\\x00\\x44": break
read = ["tcpdump", "-e", "-n", "-vvv", "-r", "-", "icmp6 and ip6[40] == 134"]
sys.stdout.buffer.write(subprocess.run(read, input=capture, stdout=subprocess.PIPE, check=True).stdout)
`;
