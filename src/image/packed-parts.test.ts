import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { packParts, partsIn } from './packed-parts.ts';
import type { FramePart } from './unpack-task.ts';

const plain = { noNullPrototype: true };
const count = fc.nat({ max: Number.MAX_SAFE_INTEGER });
const path = fc.string({ unit: 'binary-ascii', minLength: 1 }).map((text) => text.replaceAll('\0', '/'));
const part: fc.Arbitrary<FramePart> = fc.record(
  {
    from: count,
    length: count,
    at: count,
    isWhole: fc.boolean(),
    file: fc.record(
      {
        path,
        finalPath: fc.option(path, { nil: undefined }),
        size: count,
        extents: fc.option(fc.array(fc.tuple(count, count)), { nil: undefined }),
        attributes: fc.record(
          {
            mode: fc.nat({ max: 0o7777 }),
            uid: fc.nat({ max: 0xfffffffe }),
            gid: fc.nat({ max: 0xfffffffe }),
            mtime: fc.constantFrom('0', '-1.5', '1700000000.123456789', '9223372036854775807.999999999'),
            xattrs: fc.option(fc.constant(new Map([['user.x', new Uint8Array([1])]])), { nil: undefined }),
          },
          plain,
        ),
      },
      plain,
    ),
  },
  plain,
);

test('parts come out as they went in, from thread to thread', () => {
  fc.assert(
    fc.property(fc.array(part), (parts) => {
      assert.deepEqual([...partsIn(structuredClone(packParts(parts)))], parts);
    }),
  );
});
