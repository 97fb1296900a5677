import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EventBus } from './bus.ts';
import { eventSchema, reportSchema, type BladerootEvent, type RecordedEvent } from './catalogue.ts';

const EVENT: BladerootEvent = { type: 'boot.kernel', blade: 'web01' };

test('an event gets its number from the log and its time, and goes to all who listen, in order', () => {
  const kept: [BladerootEvent, number][] = [];
  const bus = new EventBus({ append: (event, time) => kept.push([event, time]) + 40 }, () => 1234);
  const heard: [string, RecordedEvent][] = [];
  bus.subscribe((event) => heard.push(['first', event]));
  bus.subscribe((event) => heard.push(['second', event]));
  bus.emit(EVENT);
  const recorded = { ...EVENT, id: 41, time: 1234 };
  assert.deepEqual(kept, [[EVENT, 1234]]);
  assert.deepEqual(heard, [
    ['first', recorded],
    ['second', recorded],
  ]);
});

test('who has ended the subscription hears no more, also from within an event', () => {
  const bus = new EventBus({ append: () => 1 });
  let heard = 0;
  const end = bus.subscribe(() => {
    heard++;
    end();
  });
  bus.emit(EVENT);
  bus.emit(EVENT);
  assert.equal(heard, 1);
});

test('an event that could not be kept is told to nobody', () => {
  const bus = new EventBus({
    append: () => {
      throw new Error('the disk is full');
    },
  });
  bus.subscribe(() => assert.fail('was told'));
  assert.throws(() => bus.emit(EVENT), /the disk is full/);
});

test('a blade reports steps and that it is up, and nothing else; there are no other fields', () => {
  const step = {
    type: 'blade.step',
    blade: 'web01',
    boot: 'b',
    step: 'fetch',
    state: 'progress',
    done: 1,
    total: 2,
  };
  assert.equal(reportSchema.safeParse(step).success, true);
  for (const wrong of [
    { ...step, extra: 1 },
    { ...step, step: 'dance' },
    { ...step, done: -1 },
    { ...step, message: 'x'.repeat(2001) },
    { type: 'root.started', url: 'http://x', release: 1 },
  ]) {
    assert.equal(reportSchema.safeParse(wrong).success, false);
  }
  assert.equal(eventSchema.safeParse(step).success, true);
});
