import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseCommandLine } from './command-line.ts';

test('roots come in the order of the command line, without a slash at the end', () => {
  const text =
    'vmlinuz initrd=initrd console=ttyS0 bladeroot.root=http://10.0.0.1:8067/ quiet bladeroot.root=http://10.0.0.2:8067\n';
  assert.deepEqual(parseCommandLine(text).roots, ['http://10.0.0.1:8067', 'http://10.0.0.2:8067']);
});

test('bladeroot.deploy, and no word like it, means to install again', () => {
  const root = 'bladeroot.root=http://10.0.0.1:8067';
  assert.equal(parseCommandLine(`${root} bladeroot.deploy quiet`).deploy, true);
  assert.equal(parseCommandLine(`${root} bladeroot.deployed xbladeroot.deploy quiet`).deploy, false);
  assert.equal(parseCommandLine(root).deploy, false);
});

test('what is no URL of a root is passed over', () => {
  const text =
    'bladeroot.root= bladeroot.root=10.0.0.1 bladeroot.root=ftp://x bladeroot.root=http://10.0.0.3';
  assert.deepEqual(parseCommandLine(text).roots, ['http://10.0.0.3']);
});

test('a command line without a root is refused, with an example of a right one', () => {
  for (const text of ['', 'quiet', 'xbladeroot.root=http://10.0.0.1', 'bladeroot.root=nonsense']) {
    assert.throws(() => parseCommandLine(text), {
      code: 'NO_ROOT_URL',
      hint: /bladeroot\.root=http:\/\/ADDRESS/,
    });
  }
});

function macOf(word: string): string | undefined {
  return parseCommandLine(`bladeroot.root=http://10.0.0.1 ${word} quiet`).bootMac;
}

test('BOOTIF says which card it booted from; one that the loader left empty says nothing', () => {
  assert.equal(macOf('BOOTIF=01-52-54-00-AB-00-11'), '52:54:00:ab:00:11');
  for (const word of ['', 'BOOTIF=01-', 'BOOTIF=01-${netX/mac:hexhyp}', 'BOOTIF=52-54-00-ab-00-11']) {
    assert.equal(macOf(word), undefined, word);
  }
});
