import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import { BOOT_CHOICES, type BootChoice } from '../fleet/schema.ts';
import type { BootPlan } from './plan.ts';
import { ipxeScript, NO_MENU, type BootMenu, type ScriptFacts } from './script.ts';

const ROOT = 'http://10.77.0.1:8067';
const facts: ScriptFacts = {
  blade: 'web01',
  mac: '52:54:00:77:00:11',
  root: ROOT,
  release: 4,
  kernelUrl: `${ROOT}/boot/web01/vmlinuz`,
  initrdUrl: `${ROOT}/boot/web01/initrd`,
  kernelArgs: ['console=ttyS0'],
  menu: NO_MENU,
  hasDisk: true,
};
const memoryTest = { bios: `${ROOT}/boot/loaders/memtest.bin`, uefi: `${ROOT}/boot/loaders/memtest.efi` };
const AGENT: BootPlan = { kind: 'agent' };
const LOCAL_DISK: BootPlan = { kind: 'local-disk' };

/** The commands from a label up to the next one. */
function sectionOf(script: string, label: string): string[] {
  const lines = script.split('\n');
  const from = lines.indexOf(`:${label}`) + 1;
  assert.notEqual(from, 0, `there is a label ${label}`);
  const to = lines.findIndex((line, index) => index >= from && line.startsWith(':'));
  return lines.slice(from, to === -1 ? undefined : to);
}

test("the agent's script names kernel, initrd, the NIC and the root", () => {
  const script = ipxeScript(AGENT, facts);
  assert.match(script, /^#!ipxe\n/);
  assert.match(
    script,
    /^kernel --name vmlinuz http:\/\/10\.77\.0\.1:8067\/boot\/web01\/vmlinuz initrd=initrd BOOTIF=01-52-54-00-77-00-11 bladeroot\.root=http:\/\/10\.77\.0\.1:8067 console=ttyS0 \|\| goto failed$/m,
  );
  assert.match(script, /^initrd --name initrd http:\/\/10\.77\.0\.1:8067\/boot\/web01\/initrd/m);
});

test('UEFI goes on to its next boot entry, BIOS starts the first disk, or else its next device', () => {
  const lines = ipxeScript(LOCAL_DISK, facts).trimEnd().split('\n');
  assert.deepEqual(lines.slice(-2), [
    'iseq ${platform} efi && exit 1 ||',
    'sanboot --no-describe --drive 0x80 || sanboot --no-describe --drive 0x81 || exit 1',
  ]);
});

test('without a timeout there is no menu, and nothing that waits', () => {
  for (const plan of [AGENT, LOCAL_DISK]) {
    const script = ipxeScript(plan, { ...facts, memoryTest });
    assert.doesNotMatch(script, /^(menu|item|choose|prompt)\b/m);
  }
  assert.doesNotMatch(ipxeScript(LOCAL_DISK, facts), /sleep/);
});

function withDefault(preset: BootChoice): string {
  return ipxeScript(AGENT, { ...facts, menu: { default: preset, timeout: 0 } });
}

test('without a timeout the default is carried out, whatever the plan', () => {
  assert.match(withDefault('local-disk'), /^sanboot/m);
  assert.doesNotMatch(withDefault('local-disk'), /^kernel/m);
  assert.match(withDefault('deploy'), /^kernel .* bladeroot\.deploy console=ttyS0/m);
  assert.match(withDefault('rescue'), /^kernel .* bladeroot\.rescue console=ttyS0/m);
});

test('the menu has all that can be done, its default and its timeout in milliseconds', () => {
  for (const preset of BOOT_CHOICES) {
    const script = ipxeScript(LOCAL_DISK, { ...facts, menu: { default: preset, timeout: 5 } });
    assert.match(script, /^menu bladeroot: web01, release 4 /m);
    const items = [...script.matchAll(/^item --key (\S) (\S+) \1  .+$/gm)].map(([, , choice]) => choice);
    assert.deepEqual(items, [...BOOT_CHOICES]);
    assert.match(script, new RegExp(`^choose --default ${preset} --timeout 5000 chosen `, 'm'));
  }
});

test('each entry of the menu leads to its own section: no goto leads nowhere', () => {
  for (const plan of [AGENT, LOCAL_DISK]) {
    for (const menu of [NO_MENU, ...BOOT_CHOICES.map((preset) => ({ default: preset, timeout: 9 }))]) {
      for (const test of [{}, { memoryTest }]) {
        const script = ipxeScript(plan, { ...facts, menu, ...test });
        const labels = [...script.matchAll(/^:(\S+)$/gm)].map(([, label]) => label);
        assert.equal(new Set(labels).size, labels.length, 'no label stands twice');
        const targets = [...script.matchAll(/\bgoto ([a-z_-]+)|^item --key \S (\S+)/gm)].map(
          ([, to, item]) => to ?? item,
        );
        for (const target of targets) assert.ok(labels.includes(target), `${target} in ${labels.join(' ')}`);
      }
    }
  }
});

test('boot in the menu is what the plan says; deploy and rescue tell the agent and /init', () => {
  const menu = { default: 'boot', timeout: 5 } as const;
  assert.deepEqual(sectionOf(ipxeScript(LOCAL_DISK, { ...facts, menu }), 'boot'), ['goto local-disk']);
  const script = ipxeScript(AGENT, { ...facts, menu });
  assert.deepEqual(sectionOf(script, 'boot'), ['goto agent']);
  assert.deepEqual(sectionOf(script, 'deploy'), ['set mode bladeroot.deploy', 'goto agent']);
  assert.deepEqual(sectionOf(script, 'rescue'), ['set mode bladeroot.rescue', 'goto agent']);
  assert.match(script, /^kernel .* \$\{mode\} console=ttyS0 \|\| goto failed$/m);
});

test('an iPXE without menus, and a person who presses Escape, get the default', () => {
  const script = ipxeScript(LOCAL_DISK, { ...facts, menu: { default: 'boot', timeout: 5 } });
  assert.match(script, /^menu .* \|\| goto local-disk$/m);
  assert.match(script, /^choose .* \|\| goto local-disk$/m);
});

test('a memory test is in the menu where the release has one, for BIOS and UEFI', () => {
  const menu = { default: 'boot', timeout: 5 } as const;
  assert.doesNotMatch(ipxeScript(AGENT, { ...facts, menu }), /memory-test/);
  const script = ipxeScript(AGENT, { ...facts, menu, memoryTest });
  const keys = [...script.matchAll(/^item --key (\S) (\S+)/gm)].map(([, key]) => key);
  assert.deepEqual(keys, ['b', 'l', 'd', 'r', 'm'], 'each entry has a key of its own');
  assert.ok(
    sectionOf(script, 'memory-test').includes(
      `iseq \${platform} efi && set test ${memoryTest.uefi} || set test ${memoryTest.bios}`,
    ),
  );
  assert.match(
    script,
    /^kernel \$\{test\} console=ttyS0 && boot \|\|$/m,
    'on the serial console of the blade',
  );
});

test('what fails is tried again, and then the machine starts over: none is left standing', () => {
  const menu = { default: 'boot', timeout: 5 } as const;
  for (const changes of [{}, { menu }, { menu, memoryTest }]) {
    const script = ipxeScript(AGENT, { ...facts, ...changes });
    assert.deepEqual(script.trimEnd().split('\n').slice(-1), ['reboot || exit 1']);
    assert.deepEqual(sectionOf(script, 'failed').slice(1), [
      'iseq ${tries} 5 && goto give_up ||',
      'sleep 3',
      'goto load',
    ]);
  }
});

test('what was asked of a blade is done by itself, whatever its menu does else, and can still be chosen away', () => {
  for (const kind of ['deploy', 'rescue'] as const) {
    for (const preset of BOOT_CHOICES) {
      const straight = ipxeScript({ kind }, { ...facts, menu: { default: preset, timeout: 0 } });
      assert.match(straight, new RegExp(`^kernel .* bladeroot\\.${kind} console=ttyS0`, 'm'));
      const script = ipxeScript({ kind }, { ...facts, menu: { default: preset, timeout: 5 } });
      assert.match(
        script,
        new RegExp(`^choose --default boot --timeout 5000 chosen \\|\\| goto ${kind}$`, 'm'),
      );
      assert.deepEqual(sectionOf(script, 'boot'), [`goto ${kind}`]);
      assert.match(script, /^item --key l local-disk /m);
    }
  }
});

test('a blade that runs from memory is sent to no disk, whatever its menu says', () => {
  const hasDisk = false;
  for (const timeout of [0, 5]) {
    for (const preset of BOOT_CHOICES) {
      const script = ipxeScript(AGENT, { ...facts, hasDisk, menu: { default: preset, timeout } });
      assert.doesNotMatch(script, /local-disk|sanboot|exit 1 \|\|$/m, `${preset}, ${timeout} s`);
    }
  }
  const menu: BootMenu = { default: 'local-disk', timeout: 5 };
  const script = ipxeScript(AGENT, { ...facts, hasDisk, menu });
  assert.match(script, /^item --key b boot b {2}Boot: release 4, in memory$/m);
  assert.match(script, /^choose --default boot --timeout 5000 /m);
});
