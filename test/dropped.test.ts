/** What is no packet does no harm, and is counted: by the API, and in what `doctor` says. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { needsRoot, serveStranger, WIRE } from './serve.fixture.ts';

/** Sends three bytes that are no packet to a UDP port, and a request that is none by TCP. */
const SEND = `
import socket, sys
for port in (67, 69):
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for _ in range(3): made.sendto(b"\\xff\\xff\\xff", (sys.argv[1], port))
made = socket.create_connection((sys.argv[1], 8067))
made.sendall(b"no request\\r\\n\\r\\n")
assert b" 400 " in made.recv(4096)
`;

test(
  'malformed packets and requests are counted by kind, and doctor tells who sent them',
  { skip: needsRoot, timeout: 60_000 },
  async (t) => {
    const { wire, state, serving } = await serveStranger(t);
    await wire.inClient('python3', '-c', SEND, WIRE.address);
    // A question that is answered comes behind them on the same sockets.
    await wire.inClient('curl', '-sSf', `tftp://${WIRE.address}/undionly.kpxe`, '-o', '/dev/null');
    const lease = ['udhcpc', '-f', '-q', '-n', '-i', WIRE.client, '-s', '/bin/true'];
    await wire.inClient('busybox', ...lease);

    const { stdout } = await wire.inClient('curl', '-sSf', `http://${WIRE.address}:8067/api/v1/dropped`);
    const counts = JSON.parse(stdout).map(({ kind, count, last }: Record<string, unknown>) => [
      kind,
      count,
      typeof last === 'object' && last !== null && 'from' in last && last.from,
    ]);
    assert.deepEqual(counts, [
      ['dhcp', 3, WIRE.stranger],
      ['tftp', 3, WIRE.stranger],
      ['http', 1, WIRE.stranger],
    ]);
    const program = join(import.meta.dirname, '../bin/bladeroot');
    const doctor = await wire
      .inServer(program, 'doctor', '--state', state, '--interface', WIRE.server)
      .then(({ stdout: text }) => text)
      .catch((error: unknown) => String(error));
    assert.match(
      doctor,
      /warning +dropped packets: .*3 × DHCP \(the last from 10\.99\.0\.50: .*3 × TFTP.*1 × HTTP/,
    );
    assert.equal(serving.stderr.split('reading DHCP').length, 2, 'the log has one line for each sender');
  },
);
