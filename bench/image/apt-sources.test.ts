import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BladerootError } from '../../src/errors.ts';
import { sourcesOf } from './apt-sources.ts';

const TARGETS = `Debian bookworm deb http://mirror.example/debian/ bookworm main
Debian bookworm deb http://mirror.example/debian/ bookworm contrib
Debian bookworm-updates deb http://mirror.example/debian/ bookworm-updates main
Debian bookworm-security deb http://mirror.example/security/ bookworm-security main
Debian bookworm-security deb http://mirror.example/security/ bookworm-security main
Other bookworm deb http://other.example/ bookworm main
`;

test('the release and what has come out since are told apart; of other origins nothing is taken', () => {
  assert.deepEqual(sourcesOf(TARGETS, 'bookworm'), {
    codename: 'bookworm',
    release: [
      'deb http://mirror.example/debian/ bookworm main',
      'deb http://mirror.example/debian/ bookworm contrib',
    ],
    updates: [
      'deb http://mirror.example/debian/ bookworm-updates main',
      'deb http://mirror.example/security/ bookworm-security main',
    ],
  });
});

test('a machine whose apt has no updates of its release is told so', () => {
  const [release = ''] = TARGETS.split('\n');
  assert.throws(
    () => sourcesOf(release, 'bookworm'),
    (error) => error instanceof BladerootError && error.code === 'BENCH_SUITES',
  );
});
