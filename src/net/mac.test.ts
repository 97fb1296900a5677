import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { formatMac, parseMac } from './mac.ts';

test('every usual spelling of one address becomes the same text', () => {
  for (const text of ['52:54:00:AB:CD:EF', '52-54-00-ab-cd-ef', '5254.00ab.cdef', '525400ABCDEF']) {
    assert.equal(parseMac(text), '52:54:00:ab:cd:ef');
  }
});

test('what is formatted is parsed to itself', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 6, maxLength: 6 }), (bytes) => {
      assert.equal(parseMac(formatMac(bytes)), formatMac(bytes));
    }),
  );
});

test('what is no address is refused, and the error shows how to write one', () => {
  for (const text of ['', '52:54:00:ab:cd', '52:54:00:ab:cd:ef:01', '52:54:00-ab-cd-ef', 'web01']) {
    assert.throws(() => parseMac(text), { code: 'BAD_MAC', hint: /52:54:00/ });
  }
});
