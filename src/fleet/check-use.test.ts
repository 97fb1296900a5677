import assert from 'node:assert/strict';
import { test } from 'node:test';
import { unusedIn, unusedOverlays } from './check-use.ts';
import { parseFleet } from './load.ts';

const FLEET = parseFleet(
  `name: lab
network: { subnet: 10.77.0.0/24 }
defaults: { overlays: [base], services: { start: [postfix] }, kernelArgs: [quiet] }
profiles:
  server: {}
  web: { extends: server, services: { start: [-postfx, -*, nginx], stop: [-ssh] } }
  mail: { overlays: [-web, +mail], kernelArgs: [-quiet] }
  old: { extends: older, overlays: [-base, old] }
  older: {}
blades:
  web01: { mac: "52:54:00:77:00:11", address: 10.77.0.11, profile: web, overlays: [web] }
  web02: { mac: "52:54:00:77:00:12", address: 10.77.0.12, profile: [web, mail], kernelArgs: [-quiet] }
  mail01: { mac: "52:54:00:77:00:21", address: 10.77.0.21, profile: mail, services: { start: [-postfix] } }
`,
  ['base', 'web', 'mail', 'old', 'ghost', 'lost+found'],
);

test('profiles that no blade has, also by way of others, and items that take nothing from any blade', () => {
  assert.deepEqual(
    unusedIn(FLEET).map(({ path, message }) => `${path.join('.')}: ${message}`),
    [
      'profiles.old: no blade has this profile',
      'profiles.older: no blade has this profile',
      'profiles.web.services.start.0: -postfx takes nothing away: no layer before it adds postfx; did you mean postfix?',
      'profiles.web.services.stop.0: -ssh takes nothing away: no layer before it adds ssh',
      'profiles.mail.overlays.0: -web takes nothing away: no layer before it adds web',
      'blades.web02.kernelArgs.0: -quiet takes nothing away: no layer before it adds quiet',
    ],
  );
});

test('folders of overlays/ that nothing names; taking one away is not naming it', () => {
  assert.deepEqual(unusedOverlays(FLEET, ['base', 'web', 'mail', 'old', 'ghost']), ['ghost']);
});
