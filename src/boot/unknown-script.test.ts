import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sharedArgs, unknownScript } from './unknown-script.ts';

const root = 'http://10.77.0.1:8067';

test("a machine without a name loads the release's kernel and initrd; iPXE says which card it booted from", () => {
  const kernelArgs = ['console=tty0', 'console=ttyS0'];
  const script = unknownScript({ root, release: 4, kernelArgs });
  assert.match(script, /^#!ipxe\n/);
  const kernel = script.split('\n').find((line) => line.startsWith('kernel '));
  assert.equal(
    kernel,
    `kernel --name vmlinuz ${root}/boot/unknown/vmlinuz initrd=initrd BOOTIF=01-\${netX/mac:hexhyp} ` +
      `bladeroot.root=${root} console=tty0 console=ttyS0 || goto failed`,
  );
  assert.match(script, /^initrd --name initrd http:\/\/10\.77\.0\.1:8067\/boot\/unknown\/initrd /m);
});

test('kernel arguments that not every blade has are no default', () => {
  assert.deepEqual(sharedArgs([]), []);
  assert.deepEqual(sharedArgs([['a', 'b']]), ['a', 'b']);
  assert.deepEqual(sharedArgs([['a', 'b', 'c'], ['c', 'a'], []]), []);
  assert.deepEqual(
    sharedArgs([
      ['b', 'a', 'c'],
      ['c', 'b'],
    ]),
    ['b', 'c'],
  );
});
