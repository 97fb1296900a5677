import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import { firmwareOf } from './firmware.ts';
import { planBoot, planBootFile } from './plan.ts';
import { ipxeScript } from './script.ts';

const facts = {
  blade: 'web01',
  mac: '52:54:00:77:00:11',
  root: 'http://10.77.0.1:8067',
  release: 4,
  kernelUrl: 'http://10.77.0.1:8067/boot/web01/vmlinuz',
  initrdUrl: 'http://10.77.0.1:8067/boot/web01/initrd',
  kernelArgs: ['console=ttyS0'],
};

test('PXE-10: 0 and no option are BIOS, 7 and 9 are both UEFI on x86-64, a list is searched', () => {
  assert.equal(firmwareOf([]), 'bios');
  assert.equal(firmwareOf([0]), 'bios');
  assert.equal(firmwareOf([7]), 'uefi-x64');
  assert.equal(firmwareOf([9]), 'uefi-x64');
  assert.equal(firmwareOf([250, 11]), 'uefi-arm64');
  assert.equal(firmwareOf([250]), 'other');
});

test('PXE-16: iPXE with HTTP gets the script, iPXE without HTTP and a plain ROM get our iPXE first', () => {
  assert.deepEqual(planBootFile({ arch: [0], isIpxe: true, ipxeHasHttp: true }), { kind: 'script' });
  const loader = { kind: 'loader', name: 'undionly.kpxe' };
  assert.deepEqual(planBootFile({ arch: [0], isIpxe: true, ipxeHasHttp: false }), loader);
  assert.deepEqual(planBootFile({ arch: [0], isIpxe: false, ipxeHasHttp: false }), loader);
});

test('firmware that has no loader yet is told so, not given a wrong one', () => {
  assert.deepEqual(planBootFile({ arch: [7], isIpxe: false, ipxeHasHttp: false }), {
    kind: 'none',
    firmware: 'uefi-x64',
  });
});

test('a blade that came up with the current release boots its own disk, any other runs the agent', () => {
  assert.deepEqual(planBoot({ sequence: 4 }, { release: 4 }), { kind: 'local-disk' });
  assert.deepEqual(planBoot({ sequence: 4 }, { release: 3 }), { kind: 'agent' });
  assert.deepEqual(planBoot({ sequence: 4 }, undefined), { kind: 'agent' });
});

test("the agent's script names kernel, initrd, the NIC and the root", () => {
  const script = ipxeScript({ kind: 'agent' }, facts);
  assert.match(script, /^#!ipxe\n/);
  assert.match(
    script,
    /^kernel --name vmlinuz http:\/\/10\.77\.0\.1:8067\/boot\/web01\/vmlinuz initrd=initrd BOOTIF=01-52-54-00-77-00-11 bladeroot\.root=http:\/\/10\.77\.0\.1:8067 console=ttyS0 \|\| goto failed$/m,
  );
  assert.match(script, /^initrd --name initrd http:\/\/10\.77\.0\.1:8067\/boot\/web01\/initrd/m);
});

test('the local disk falls back to the next device of the firmware', () => {
  assert.match(ipxeScript({ kind: 'local-disk' }, facts), /sanboot .*\|\| exit 1/);
});
