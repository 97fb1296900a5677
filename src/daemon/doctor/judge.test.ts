/** The pure parts of doctor's checks; the rest is tested on a wire, in test/doctor.test.ts. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { blockedPorts } from './firewall.ts';
import { checkClock, judgeNeighbours, judgeRoom } from './machine.ts';
import { readListeners } from './ports.ts';

const ALL = ['DHCP (udp 67)', 'TFTP (udp 69)', 'PXE (udp 4011)', 'HTTP (tcp 8067)'];

/** As nft prints it. */
const chain = (policy: string, ...rules: string[]): string =>
  `table inet f {\n chain i {\n  type filter hook input priority filter; policy ${policy};\n  ${rules.join('\n  ')}\n }\n}`;

/** As iptables-save prints it. */
const rules = (...lines: string[]): string => ['*filter', ...lines, 'COMMIT'].join('\n');

test('nft: without a chain for input nothing is stopped; one that drops by default stops what no rule accepts', () => {
  assert.deepEqual(blockedPorts(''), []);
  assert.deepEqual(blockedPorts(chain('accept')), []);
  assert.deepEqual(blockedPorts(chain('drop')), ALL);
  assert.deepEqual(blockedPorts(chain('drop', 'udp dport { 67, 69 } accept', 'tcp dport 8000-8100 accept')), [
    'PXE (udp 4011)',
  ]);
  assert.deepEqual(
    blockedPorts(chain('accept', 'udp dport 69 drop', 'udp dport 67 counter packets 0 bytes 0 reject')),
    ['DHCP (udp 67)', 'TFTP (udp 69)'],
  );
  assert.deepEqual(blockedPorts(chain('accept', 'tcp dport 67 drop', 'udp dport bootps drop')), [
    'DHCP (udp 67)',
  ]);
});

test('iptables: a policy, a last rule for all, and rules for ports', () => {
  assert.deepEqual(blockedPorts(rules(':INPUT ACCEPT [0:0]', ':FORWARD DROP [0:0]')), []);
  assert.deepEqual(blockedPorts(rules(':INPUT DROP [0:0]')), ALL);
  assert.deepEqual(
    blockedPorts(rules(':INPUT ACCEPT [0:0]', '-A INPUT -j REJECT --reject-with icmp-port-unreachable')),
    ALL,
  );
  const accepts = [
    '-A INPUT -p udp -m multiport --dports 67,69 -j ACCEPT',
    '-A INPUT -p tcp -m tcp --dport 8067 -j ACCEPT',
  ];
  assert.deepEqual(blockedPorts(rules(':INPUT DROP [0:0]', ...accepts)), ['PXE (udp 4011)']);
});

test('ss: ports with addresses, devices and programs', () => {
  const output = [
    'udp   UNCONN 0      0          0.0.0.0%wire0:67        0.0.0.0:*    users:(("dnsmasq",pid=12,fd=4),("x",pid=13,fd=4))',
    'udp   UNCONN 0      0               [fe80::1]%eth0:69      [::]:*',
    'tcp   LISTEN 0      511                *:8067             *:*    users:(("node",pid=14,fd=21))',
    '',
  ].join('\n');
  assert.deepEqual(readListeners(output), [
    {
      protocol: 'udp',
      port: 67,
      device: 'wire0',
      programs: [
        { name: 'dnsmasq', pid: 12 },
        { name: 'x', pid: 13 },
      ],
    },
    { protocol: 'udp', port: 69, device: 'eth0', programs: [] },
    { protocol: 'tcp', port: 8067, device: undefined, programs: [{ name: 'node', pid: 14 }] },
  ]);
});

test('room: 5 GB are enough, less is a warning, 100 MB are too little', () => {
  assert.deepEqual(
    [6e9, 1e9, 50e6].map((free) => judgeRoom('/x', free).level),
    ['ok', 'warning', 'failure'],
  );
});

test('a clock that was never set, or that is behind the release, is a failure', async () => {
  const released = Date.UTC(2026, 5, 1);
  assert.equal((await checkClock(0, undefined)).level, 'failure');
  assert.match((await checkClock(Date.UTC(2026, 1, 1), released)).message, /before the release was made/);
  assert.notEqual((await checkClock(Date.UTC(2026, 6, 1), released)).level, 'failure');
});

test('the kernel has room for all blades and for some other machines, or doctor says which settings to raise', () => {
  assert.equal(judgeNeighbours(768, 1024).level, 'ok');
  const { level, hint = '' } = judgeNeighbours(769, 1024);
  assert.equal(level, 'warning');
  assert.match(hint, /gc_thresh3=2050 .*gc_thresh2=1025$/);
});
