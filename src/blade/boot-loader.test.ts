import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { run } from '../system/run.ts';
import { grubConfig } from './boot-loader.ts';

test('the configuration starts kernel and initrd of the slot, with the arguments of the blade', () => {
  const config = grubConfig('b', ['console=ttyS0,115200n8', 'quiet']);
  assert.match(config, /^ {2}linux \/bladeroot\/b\/vmlinuz bladeroot\.slot=b console=ttyS0,115200n8 quiet$/m);
  assert.match(config, /^ {2}initrd \/bladeroot\/b\/initrd$/m);
  assert.match(grubConfig('a', []), /bladeroot\.slot=a$/m);
});

test('arguments that mean something to GRUB are quoted', () => {
  const config = grubConfig('a', ['dyndbg="file x +p"', 'a;reboot', '$root', "it's"]);
  assert.ok(config.includes(`'dyndbg="file x +p"' 'a;reboot' '$root' 'it'\\''s'\n`), config);
});

test("GRUB's own checker understands every configuration", async () => {
  const argument = fc.string({ unit: 'grapheme-ascii', minLength: 1 });
  await fc.assert(
    fc.asyncProperty(fc.constantFrom('a', 'b'), fc.array(argument, { maxLength: 5 }), async (slot, args) => {
      await run('grub-script-check', [], { input: grubConfig(slot, args) });
    }),
    { numRuns: 40 },
  );
});
