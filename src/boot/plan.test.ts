import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import { firmwareOf, type Firmware } from './firmware.ts';
import { planBoot, planBootFile, type BootClient } from './plan.ts';

const MAC = '52:54:00:77:00:11';

/** A machine that is no iPXE. */
function firmware(arch: number[], vendorClass?: string): BootClient {
  return { mac: MAC, arch, isIpxe: false, ipxeHasHttp: false, ...(vendorClass && { vendorClass }) };
}

test('PXE-10: each architecture that IANA registers for PCs and ARM is the firmware that it says', () => {
  const expected: [number[], Firmware][] = [
    [[], 'bios'],
    [[0], 'bios'],
    [[20], 'bios'],
    [[6], 'uefi-ia32'],
    [[15], 'uefi-ia32'],
    [[7], 'uefi-x64'],
    [[9], 'uefi-x64'],
    [[16], 'uefi-x64'],
    [[10], 'uefi-arm32'],
    [[18], 'uefi-arm32'],
    [[11], 'uefi-arm64'],
    [[19], 'uefi-arm64'],
    [[41], 'raspberry-pi'],
    [[250], 'other'],
  ];
  for (const [arch, name] of expected) assert.equal(firmwareOf({ mac: MAC, arch }), name, `${arch}`);
});

test('PXE-10: option 93 is a list, of which the first number that is known counts', () => {
  assert.equal(firmwareOf({ mac: MAC, arch: [250, 11] }), 'uefi-arm64');
  assert.equal(firmwareOf({ mac: MAC, arch: [9, 0] }), 'uefi-x64');
});

test('PXE-10: a Raspberry Pi that says 0, or nothing, is known by its address, and believed when it has UEFI', () => {
  for (const oui of ['2c:cf:67', 'd8:3a:dd', 'e4:5f:01', 'dc:a6:32', 'b8:27:eb', '28:cd:c1']) {
    const mac = `${oui}:00:11:22`;
    assert.equal(firmwareOf({ mac, arch: [0] }), 'raspberry-pi');
    assert.equal(firmwareOf({ mac, arch: [] }), 'raspberry-pi');
    assert.equal(firmwareOf({ mac, arch: [11] }), 'uefi-arm64');
    assert.deepEqual(planBootFile({ ...firmware([0]), mac }), { kind: 'none', firmware: 'raspberry-pi' });
  }
});

test('each firmware gets the loader that it can run, by TFTP', () => {
  assert.deepEqual(planBootFile(firmware([0])), { kind: 'loader', name: 'undionly.kpxe' });
  assert.deepEqual(planBootFile(firmware([])), { kind: 'loader', name: 'undionly.kpxe' });
  const pxe = 'PXEClient:Arch:00007:UNDI:003016';
  assert.deepEqual(planBootFile(firmware([7], pxe)), { kind: 'loader', name: 'snponly.efi' });
  assert.deepEqual(planBootFile(firmware([9], pxe)), { kind: 'loader', name: 'snponly.efi' });
  assert.deepEqual(planBootFile(firmware([11], pxe)), { kind: 'loader', name: 'ipxe-arm64.efi' });
});

test('PXE-13: UEFI HTTP boot gets a path on the root, by its vendor class or its architecture', () => {
  const url = { kind: 'url', path: '/boot/loaders/snponly.efi' };
  assert.deepEqual(planBootFile(firmware([16], 'HTTPClient:Arch:00016:UNDI:003001')), url);
  assert.deepEqual(planBootFile(firmware([7], 'HTTPClient:Arch:00007:UNDI:003001')), url);
  assert.deepEqual(planBootFile(firmware([16])), url);
  const arm = { kind: 'url', path: '/boot/loaders/ipxe-arm64.efi' };
  assert.deepEqual(planBootFile(firmware([19], 'HTTPClient:Arch:00019:UNDI:003000')), arm);
});

test('PXE-16: iPXE with HTTP gets the script, iPXE without HTTP and a plain ROM get our iPXE first', () => {
  for (const [arch, name] of [
    [0, 'undionly.kpxe'],
    [7, 'snponly.efi'],
  ] as const) {
    const rom = firmware([arch], `PXEClient:Arch:0000${arch}:UNDI:002001`);
    assert.deepEqual(planBootFile({ ...rom, isIpxe: true, ipxeHasHttp: true }), { kind: 'script' });
    assert.deepEqual(planBootFile({ ...rom, isIpxe: true, ipxeHasHttp: false }), { kind: 'loader', name });
    assert.deepEqual(planBootFile(rom), { kind: 'loader', name });
  }
});

test('firmware that has no loader is told so, not given a wrong one', () => {
  for (const [arch, name] of [
    [6, 'uefi-ia32'],
    [18, 'uefi-arm32'],
    [250, 'other'],
  ] as const) {
    assert.deepEqual(planBootFile(firmware([arch])), { kind: 'none', firmware: name });
  }
});

test('a blade that came up with the current release boots its own disk, any other runs the agent', () => {
  assert.deepEqual(planBoot(4, { release: 4 }), { kind: 'local-disk' });
  assert.deepEqual(planBoot(4, { release: 3 }), { kind: 'agent' });
  assert.deepEqual(planBoot(4, undefined), { kind: 'agent' });
  assert.deepEqual(planBoot(4, { release: 4, agentSince: true }), { kind: 'agent' });
  assert.deepEqual(planBoot(4, { release: 4, agentSince: false }), { kind: 'local-disk' });
  assert.deepEqual(planBoot(4, { release: 4 }, 'ram'), { kind: 'agent' });
});

test('what somebody has asked of a blade comes before what its release says', () => {
  for (const asked of ['deploy', 'rescue'] as const) {
    for (const [lastUp, root] of [[undefined, 'ram'], [{ release: 3 }], [{ release: 4 }]] as const) {
      assert.deepEqual(planBoot(4, lastUp, root, asked), { kind: asked });
    }
  }
});

test('a blade that has fallen back boots its last good slot, with the reason; a newer release is tried', () => {
  const lastUp = { release: 3, bad: { release: 4, reason: 'nginx failed' } };
  const reason = 'release 4 was bad there, and release 3 is good: nginx failed';
  assert.deepEqual(planBoot(4, lastUp), { kind: 'local-disk', reason });
  assert.deepEqual(planBoot(5, lastUp), { kind: 'agent' });
  assert.deepEqual(planBoot(3, lastUp), { kind: 'local-disk' });
});
