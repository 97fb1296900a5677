import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { run } from '../../system/run.ts';
import { grubConfig, slotConfig } from './config.ts';

test('a slot starts its own kernel and initrd, with its name, its partition and the arguments of the blade', () => {
  const kernelArgs = ['console=ttyS0,115200n8', 'quiet'];
  const config = slotConfig({ slot: 'b', partition: '6fd1a3c8-01', kernelArgs });
  assert.match(config, /^linux \/bladeroot\/b\/vmlinuz bladeroot\.slot=b bladeroot\.part=6fd1a3c8-01 /);
  assert.match(config, / panic=10 console=ttyS0,115200n8 quiet\ninitrd \/bladeroot\/b\/initrd\n$/);
  assert.doesNotMatch(slotConfig({ slot: 'a', partition: undefined, kernelArgs }), /bladeroot\.part/);
});

test('a slot on a mirror says which one /init has to start before', () => {
  const config = slotConfig({ slot: 'a', partition: '6fd1-01', mirror: '772a477b-2813', kernelArgs: [] });
  assert.match(config, /bladeroot\.part=6fd1-01 bladeroot\.mirror=772a477b-2813 /);
});

test('arguments that mean something to GRUB are quoted', () => {
  const kernelArgs = ['dyndbg="file x +p"', 'a;reboot', '$root', "it's"];
  const config = slotConfig({ slot: 'a', partition: undefined, kernelArgs });
  assert.ok(config.includes(`'dyndbg="file x +p"' 'a;reboot' '$root' 'it'\\''s'\n`), config);
});

test("GRUB's own checker understands the configuration, and that of every slot", async () => {
  await run('grub-script-check', [], { input: grubConfig() });
  const argument = fc.string({ unit: 'grapheme-ascii', minLength: 1 });
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom('a', 'b'),
      fc.array(argument, { maxLength: 5 }),
      async (slot, kernelArgs) => {
        await run('grub-script-check', [], { input: slotConfig({ slot, partition: '1-2', kernelArgs }) });
      },
    ),
    { numRuns: 30 },
  );
});
