/** `bladeroot serve` with sockets that somebody else has opened, as systemd does. */
import assert from 'node:assert/strict';
import { readlink } from 'node:fs/promises';
import { test } from 'node:test';
import { needsRoot, SERVED, Serving, stateWithRelease, WIRE, Wire } from './serve.fixture.ts';

/** Opens sockets at 3 and above, says so as sd_listen_fds(3) wants it, and becomes the program. */
const SYSTEMD = `
import os, socket, sys
sockets = []
for kind, address, device in ((socket.SOCK_DGRAM, ("0.0.0.0", 67), "${WIRE.server}"),
                              (socket.SOCK_STREAM, ("${WIRE.address}", 8067), None),
                              (socket.SOCK_DGRAM, ("0.0.0.0", 69), None)):
    made = socket.socket(socket.AF_INET, kind)
    if device: made.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode() + b"\\0")
    made.bind(address)
    if kind == socket.SOCK_STREAM: made.listen(16)
    sockets.append(os.dup2(made.fileno(), 20 + len(sockets)))
for number, fd in enumerate(sockets): os.dup2(fd, 3 + number)
os.environ.update(LISTEN_FDS="3", LISTEN_PID=str(os.getpid() + int(sys.argv[1])))
for fd in sockets: os.close(fd)
if sys.argv[1] == "1": os.closerange(3, 6)
os.execv(sys.argv[2], sys.argv[2:])
`;

test(
  'sockets that systemd has opened are taken, and DHCP, TFTP and HTTP answer on them',
  { skip: needsRoot, timeout: 60_000 },
  async (t) => {
    const [wire, state] = [await Wire.make(t), await stateWithRelease(t)];
    // Nobody can open these ports a second time: it would have failed if it had not taken them.
    const serving = await Serving.start(wire, state, { through: ['python3', '-c', SYSTEMD, '0'] });
    t.after(() => serving.stop());
    const lease = await wire.inClient(
      'busybox',
      'udhcpc',
      '-f',
      '-q',
      '-n',
      '-i',
      WIRE.client,
      '-s',
      '/bin/true',
    );
    assert.match(lease.stderr, /lease of 10\.99\.0\.11 obtained/);
    await wire.inClient('ip', 'address', 'add', '10.99.0.11/24', 'dev', WIRE.client);
    const kernel = await wire.inClient(
      'curl',
      '-sSf',
      `http://${WIRE.address}:8067/boot/${WIRE.blade}/vmlinuz`,
    );
    assert.equal(kernel.stdout, SERVED.kernel);
    const loader = await wire.inClient('curl', '-sS', `tftp://${WIRE.address}/undionly.kpxe`);
    assert.equal(loader.stdout, SERVED.loader);
  },
);

test(
  'sockets that were meant for another process are not taken',
  { skip: needsRoot, timeout: 60_000 },
  async (t) => {
    const [wire, state] = [await Wire.make(t), await stateWithRelease(t)];
    const serving = await Serving.start(wire, state, { through: ['python3', '-c', SYSTEMD, '1'] });
    t.after(() => serving.stop());
    assert.match(await readlink(`/proc/${serving.pid}/exe`), /node/);
  },
);

test(
  "systemd's own activation: the first request starts the root, and is answered on the socket that systemd opened",
  { skip: needsRoot, timeout: 60_000 },
  async (t) => {
    const [wire, state] = [await Wire.make(t), await stateWithRelease(t)];
    await wire.inClient('ip', 'address', 'add', '10.99.0.50/24', 'dev', WIRE.client);
    const listen = `--listen=${WIRE.address}:8067`;
    const starting = Serving.start(wire, state, { through: ['systemd-socket-activate', listen] });
    t.after(async () => await (await starting).stop());
    const url = `http://${WIRE.address}:8067/boot/${WIRE.blade}/vmlinuz`;
    const patient = ['--retry', '20', '--retry-delay', '1', '--retry-connrefused'];
    const kernel = await wire.inClient('curl', '-sSf', ...patient, url);
    assert.equal(kernel.stdout, SERVED.kernel);
    const serving = await starting;
    assert.match(serving.stderr, /Listening on .*8067/);
    assert.match(await readlink(`/proc/${serving.pid}/exe`), /node/);
  },
);

test(
  "systemd's own activation over UDP: the first TFTP request starts the root, and is answered",
  { skip: needsRoot, timeout: 60_000 },
  async (t) => {
    const [wire, state] = [await Wire.make(t), await stateWithRelease(t)];
    await wire.inClient('ip', 'address', 'add', '10.99.0.50/24', 'dev', WIRE.client);
    const listen = ['--datagram', `--listen=${WIRE.address}:69`];
    const starting = Serving.start(wire, state, { through: ['systemd-socket-activate', ...listen] });
    t.after(async () => await (await starting).stop());
    await untilListening(wire, 69);
    const loader = await wire.inClient('curl', '-sS', `tftp://${WIRE.address}/undionly.kpxe`);
    assert.equal(loader.stdout, SERVED.loader);
    const serving = await starting;
    assert.match(serving.stderr, /Listening on .*:69/);
  },
);

test(
  'a DHCP socket that is bound to no device is refused, with what its unit has to say',
  { skip: needsRoot, timeout: 60_000 },
  async (t) => {
    const [wire, state] = [await Wire.make(t), await stateWithRelease(t)];
    const listen = ['--datagram', '--listen=0.0.0.0:67'];
    const starting = Serving.start(wire, state, { through: ['systemd-socket-activate', ...listen] });
    const refused = assert.rejects(starting, /DHCP at port 67 .* no network device; .*BindToDevice=wire0/);
    await untilListening(wire, 67);
    const once = ['-f', '-q', '-n', '-t', '1', '-T', '1', '-A', '1', '-i', WIRE.client, '-s', '/bin/true'];
    await assert.rejects(wire.inClient('busybox', 'udhcpc', ...once));
    await refused;
  },
);

/** A datagram that comes before is lost, unlike a connection. */
async function untilListening(wire: Wire, port: number): Promise<void> {
  const listening = `while ! ss --udp --listening --numeric --no-header 'sport = :${port}' | grep -q .; do sleep 0.05; done`;
  await wire.inServer('sh', '-c', listening);
}
