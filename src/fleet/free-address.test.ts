import assert from 'node:assert/strict';
import { test } from 'node:test';
import { freeAddress } from './free-address.ts';

const subnet = '10.77.0.0/24';
const dns = ['10.77.0.1'];

test('the next address is the one after those of the blades, and nobody else has it', () => {
  assert.equal(freeAddress({ subnet, dns }, []), '10.77.0.11');
  assert.equal(freeAddress({ subnet, dns }, ['10.77.0.11', '10.77.0.21', '10.78.0.200']), '10.77.0.22');
  const gateway = '10.77.0.22';
  assert.equal(freeAddress({ subnet, dns, gateway }, ['10.77.0.21'], ['10.77.0.23']), '10.77.0.24');
  assert.equal(freeAddress({ subnet: '10.0.0.0/16', dns }, ['10.0.0.254']), '10.0.0.255');
});

test('addresses of the pool are left out, wherever it lies', () => {
  const pool = { from: '10.77.0.22', to: '10.77.0.99' };
  assert.equal(freeAddress({ subnet, dns, pool }, ['10.77.0.21']), '10.77.0.100');
  assert.equal(
    freeAddress({ subnet, dns, pool: { from: '10.77.0.22', to: '10.77.0.254' } }, ['10.77.0.21']),
    '10.77.0.11',
  );
});

test('at the end of the subnet it begins again, and where all are taken there is none', () => {
  assert.equal(freeAddress({ subnet, dns }, ['10.77.0.254', '10.77.0.11']), '10.77.0.12');
  const all = Array.from({ length: 254 }, (_, index) => `10.77.0.${index + 1}`);
  assert.equal(freeAddress({ subnet, dns }, all.toSpliced(4, 1)), '10.77.0.5');
  assert.equal(freeAddress({ subnet, dns }, all), undefined);
  assert.equal(freeAddress({ subnet: '10.77.0.0/30', dns: [] }, [], ['10.77.0.1']), '10.77.0.2');
  assert.equal(freeAddress({ subnet: '255.255.255.0/24', dns: [] }, ['255.255.255.253']), '255.255.255.254');
});
