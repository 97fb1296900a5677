import assert from 'node:assert/strict';
import { test } from 'node:test';
import { agreeTerms } from './tftp-terms.ts';

function oack(options: Record<string, string>, mode = 'octet'): Record<string, string> {
  const request = { type: 'rrq' as const, file: 'a', mode, options: new Map(Object.entries(options)) };
  return Object.fromEntries(agreeTerms(request, 1234, 1500).oack);
}

test('TFTP-18: only options that were asked for are acknowledged, unknown ones passed over', () => {
  assert.deepEqual(oack({}), {});
  assert.deepEqual(oack({ tsize: '0' }), { tsize: '1234' });
  assert.deepEqual(oack({ multicast: '', utimeout: '5', timeout: '3' }), { timeout: '3' });
});

test('TFTP-19: blksize is clamped to the MTU less 32, windowsize to 64, and to 1 for netascii', () => {
  assert.deepEqual(oack({ blksize: '65464', windowsize: '65535' }), { blksize: '1468', windowsize: '64' });
  assert.deepEqual(oack({ blksize: '1024', windowsize: '8' }), { blksize: '1024', windowsize: '8' });
  assert.deepEqual(oack({ windowsize: '8' }, 'netascii'), { windowsize: '1' });
});

test('TFTP-19: values that make no sense are passed over', () => {
  for (const value of ['', '0', '-1', '7e1', '99999999999', 'x']) {
    assert.deepEqual(oack({ blksize: value, windowsize: value, timeout: value }), {}, value);
  }
});
