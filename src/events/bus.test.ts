import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as othersHadTheirTurn } from 'node:timers/promises';
import { EventBus, type EventLog } from './bus.ts';
import { eventSchema, reportSchema, type BladerootEvent, type RecordedEvent } from './catalogue.ts';

const EVENT: BladerootEvent = { type: 'boot.kernel', blade: 'web01' };

/** A log in memory, and each batch that it was given. */
function memoryLog(): EventLog & { batches: RecordedEvent[][] } {
  const batches: RecordedEvent[][] = [];
  return {
    batches,
    keep: (events) => {
      const first = batches.flat().length + 1;
      const kept = events.map(({ event, time }, index) => ({ ...event, id: first + index, time }));
      batches.push(kept);
      return kept;
    },
  };
}

const fullDisk: EventLog = {
  keep: () => {
    throw new Error('the disk is full');
  },
};

test('an event gets its number from the log and its time, and goes to all who listen, in order', () => {
  const log = memoryLog();
  const bus = new EventBus(log, () => 1234);
  const heard: [string, RecordedEvent][] = [];
  bus.subscribe((event) => heard.push(['first', event]));
  bus.subscribe((event) => heard.push(['second', event]));
  bus.emit(EVENT);
  const recorded = { ...EVENT, id: 1, time: 1234 };
  assert.deepEqual(log.batches, [[recorded]]);
  assert.deepEqual(heard, [
    ['first', recorded],
    ['second', recorded],
  ]);
});

test('who has ended the subscription hears no more, also from within an event', () => {
  const bus = new EventBus(memoryLog());
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
  const bus = new EventBus(fullDisk);
  bus.subscribe(() => assert.fail('was told'));
  assert.throws(() => bus.emit(EVENT), /the disk is full/);
});

test('events that may wait are kept together, with the time at which they happened, and told once they are', async () => {
  const log = memoryLog();
  let now = 0;
  const bus = new EventBus(log, () => ++now);
  const heard: RecordedEvent[] = [];
  const third = Promise.withResolvers<void>();
  bus.subscribe((event) => {
    heard.push(event);
    if (heard.length === 3) third.resolve();
  });
  for (let count = 0; count < 3; count++) bus.emitSoon(EVENT);
  assert.deepEqual([log.batches, heard], [[], []]);
  await third.promise;
  const [batch, ...more] = log.batches;
  assert.deepEqual(more, []);
  assert.deepEqual(
    heard.map(({ id, time }) => [id, time]),
    [
      [1, 1],
      [2, 2],
      [3, 3],
    ],
  );
  assert.deepEqual(heard, batch);
});

test('in a storm, they are kept a hundred at a time, without waiting', async () => {
  const log = memoryLog();
  const bus = new EventBus(log);
  const together = (): number[] => log.batches.map((batch) => batch.length);
  for (let count = 0; count < 99; count++) bus.emitSoon(EVENT);
  await othersHadTheirTurn();
  assert.deepEqual(together(), []);
  bus.emitSoon(EVENT);
  await othersHadTheirTurn();
  assert.deepEqual(together(), [100]);
  for (let count = 0; count < 250; count++) bus.emitSoon(EVENT);
  for (let turn = 0; turn < 3; turn++) await othersHadTheirTurn();
  assert.deepEqual(together(), [100, 100, 100, 50]);
});

test('nothing overtakes what waits, and flush ends the waiting', () => {
  const log = memoryLog();
  const bus = new EventBus(log, () => 5);
  const heard: string[] = [];
  bus.subscribe(({ type }) => heard.push(type));
  bus.emitSoon({ type: 'boot.script', blade: 'web01' });
  bus.emit(EVENT);
  assert.deepEqual(heard, ['boot.script', 'boot.kernel']);
  bus.emitSoon(EVENT);
  bus.flush();
  bus.flush();
  assert.deepEqual([heard.length, log.batches.length], [3, 2]);
});

test('who waits and cannot be kept is told to nobody but the one who wants to know', () => {
  const lost: unknown[] = [];
  const bus = new EventBus(fullDisk, Date.now, (error) => lost.push(error));
  bus.subscribe(() => assert.fail('was told'));
  bus.emitSoon(EVENT);
  bus.flush();
  bus.flush();
  assert.match(String(lost), /^Error: the disk is full$/);
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
