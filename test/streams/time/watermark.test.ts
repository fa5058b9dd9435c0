import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { trackerFromJson, trackerToJson } from '../../../src/streams/time/tracker-json.ts';
import {
  createTracker,
  PARTITIONS_MAX,
  REFUSED_PAUSE_MS,
  SHARED_PARTITION,
  silentPartitions,
  type TimeEvent,
  track,
  type WatermarkOptions,
  type WatermarkTracker,
} from '../../../src/streams/time/watermark.ts';

const OPTIONS: WatermarkOptions = { outOfOrderMs: 100, idleAfterMs: 1000 };
const NAMES = ['a', 'b', 'c', 'd'];

const events = (partition: string, tsMax: number): TimeEvent => ({ kind: 'events', partition, tsMax });
const idle = (...partitions: string[]): TimeEvent => ({ kind: 'idle', partitions });

/** All events at log time 0. */
function after(...all: TimeEvent[]): WatermarkTracker {
  const tracker = createTracker();
  for (const event of all) track(tracker, OPTIONS, event, 0);
  return tracker;
}

describe('watermark of a stream', () => {
  test('is nothing before the first event, then the highest time − the bound − 1', () => {
    assert.equal(createTracker().watermark, -Infinity);
    assert.equal(after(events('a', 5000), events('a', 3000)).watermark, 4899);
  });

  test('is the lowest of the partitions', () => {
    assert.equal(after(events('a', 5000), events('b', 7000)).watermark, 4899);
    assert.equal(after(events('b', 7000), events('a', 5000), events('a', 9000)).watermark, 6899);
  });

  test('goes on without a partition that is idle, and does not fall when it comes back', () => {
    const tracker = after(events('a', 5000), events('b', 9000), idle('a'));
    assert.equal(tracker.watermark, 8899);
    assert.equal(track(tracker, OPTIONS, events('a', 6000), 0), 8899);
    assert.equal(track(tracker, OPTIONS, events('b', 20_000), 0), 8899, 'the one that came back holds it again');
    assert.equal(track(tracker, OPTIONS, events('a', 12_000), 0), 11_899);
  });

  test('goes on to the highest time of all when all are idle', () => {
    const tracker = after(events('a', 5000), events('b', 9000), idle('b'));
    assert.equal(tracker.watermark, 4899);
    assert.equal(track(tracker, OPTIONS, idle('a'), 0), 8899);
  });

  test('is not moved by batches without an accepted event, by unknown partitions or by times that are no numbers', () => {
    const tracker = after(events('a', 5000), events('b', -Infinity), events('c', Number.NaN), idle('nobody'));
    assert.equal(tracker.watermark, 4899);
    assert.deepEqual([...tracker.partitions.keys()], ['a']);
  });
});

describe('idleness', () => {
  test('comes after the silence, and never when switched off', () => {
    const tracker = createTracker();
    track(tracker, OPTIONS, events('a', 1), 5000);
    assert.deepEqual(silentPartitions(tracker, OPTIONS, 5999), []);
    assert.deepEqual(silentPartitions(tracker, OPTIONS, 6000), ['a']);
    assert.deepEqual(silentPartitions(tracker, { ...OPTIONS, idleAfterMs: 0 }, 1e12), []);
    track(tracker, OPTIONS, idle('a'), 6000);
    assert.deepEqual(silentPartitions(tracker, OPTIONS, 9000), [], 'told once');
  });

  test('does not come while the source is paused, however long, and the time does not count afterwards', () => {
    const tracker = createTracker();
    track(tracker, OPTIONS, events('a', 1), 0);
    track(tracker, OPTIONS, { kind: 'paused', partition: null }, 400);
    assert.deepEqual(silentPartitions(tracker, OPTIONS, 3_600_000), []);
    track(tracker, OPTIONS, { kind: 'resumed', partition: null }, 3_600_000);
    assert.deepEqual(silentPartitions(tracker, OPTIONS, 3_600_599), []);
    assert.deepEqual(silentPartitions(tracker, OPTIONS, 3_600_600), ['a']);
  });

  test('stands still for a partition that is paused by itself, while others go idle', () => {
    const tracker = createTracker();
    track(tracker, OPTIONS, events('a', 1), 0);
    track(tracker, OPTIONS, events('b', 1), 0);
    track(tracker, OPTIONS, { kind: 'paused', partition: 'a' }, 0);
    assert.deepEqual(silentPartitions(tracker, OPTIONS, 5000), ['b']);
    track(tracker, OPTIONS, { kind: 'resumed', partition: 'a' }, 5000);
    assert.deepEqual(silentPartitions(tracker, OPTIONS, 5999), ['b']);
    assert.deepEqual(silentPartitions(tracker, OPTIONS, 6000), ['a', 'b']);
  });

  test('begins anew at a restart: the time the process was gone is nobody’s silence', () => {
    const tracker = createTracker();
    track(tracker, OPTIONS, events('a', 1), 0);
    track(tracker, OPTIONS, { kind: 'paused', partition: null }, 10);
    track(tracker, OPTIONS, { kind: 'restarted' }, 1e9);
    assert.deepEqual(silentPartitions(tracker, OPTIONS, 1e9 + 999), []);
    assert.deepEqual(silentPartitions(tracker, OPTIONS, 1e9 + 1000), ['a']);
  });
});

describe('many partitions', () => {
  test('are bounded: an idle one makes room, else those past the limit share an entry', () => {
    const tracker = createTracker();
    for (let i = 0; i < PARTITIONS_MAX; i++) track(tracker, OPTIONS, events(`p${i}`, 10_000 + i), 0);
    track(tracker, OPTIONS, events('x', 20_000), 0);
    track(tracker, OPTIONS, events('y', 30_000), 0);
    assert.equal(tracker.partitions.size, PARTITIONS_MAX + 1);
    assert.equal(tracker.partitions.get(SHARED_PARTITION)?.maxTs, 30_000);
    assert.equal(tracker.watermark, 9899);
    track(tracker, OPTIONS, idle('p7', 'p9'), 0);
    track(tracker, OPTIONS, events('z', 40_000), 0);
    assert.equal(tracker.partitions.has('z'), true);
    assert.deepEqual([tracker.partitions.has('p7'), tracker.partitions.has('p9')], [false, true]);
    assert.equal(tracker.partitions.size, PARTITIONS_MAX + 1);
  });
});

/** What is known without the tracker's clock: silence is added up step by step, and all that was ever said is kept. */
class Model {
  readonly silentMs = new Map<string, number>();
  /** What is left of the time that a refusal counts. */
  readonly refusedMs = new Map<string, number>();
  readonly times = new Map<string, number[]>();
  readonly idle = new Set<string>();
  readonly paused = new Set<string | null>();
  watermark = -Infinity;

  pass(ms: number): void {
    if (this.paused.has(null)) return;
    for (const name of this.silentMs.keys()) {
      const left = this.refusedMs.get(name) ?? 0;
      this.refusedMs.set(name, Math.max(0, left - ms));
      if (this.paused.has(name)) continue;
      this.silentMs.set(name, (this.silentMs.get(name) as number) + Math.max(0, ms - left));
    }
  }

  take(event: TimeEvent): void {
    if (event.kind === 'events') this.#events(event.partition, event.tsMax);
    else if (event.kind === 'idle') for (const name of event.partitions) this.idle.add(name);
    else if (event.kind === 'paused') {
      if (event.partition === null || this.times.has(event.partition)) this.paused.add(event.partition);
    } else if (event.kind === 'resumed') this.paused.delete(event.partition);
    else if (event.kind === 'refused') {
      if (!this.times.has(event.partition)) return;
      this.silentMs.set(event.partition, 0);
      this.refusedMs.set(event.partition, REFUSED_PAUSE_MS);
    } else {
      this.paused.clear();
      this.refusedMs.clear();
      for (const name of this.silentMs.keys()) this.silentMs.set(name, 0);
    }
    this.watermark = Math.max(this.watermark, this.reached());
  }

  reached(): number {
    const highest = [...this.times].map(([name, times]) => ({ name, ts: Math.max(...times) }));
    const active = highest.filter(({ name }) => !this.idle.has(name));
    const ts = active.length > 0 ? Math.min(...active.map(({ ts }) => ts)) : Math.max(...highest.map(({ ts }) => ts));
    return ts - OPTIONS.outOfOrderMs - 1;
  }

  silent(): string[] {
    if (this.paused.has(null)) return [];
    return [...this.silentMs.keys()].filter((name) => {
      return !this.idle.has(name) && !this.paused.has(name) && (this.silentMs.get(name) as number) >= 1000;
    });
  }

  #events(name: string, tsMax: number): void {
    this.refusedMs.delete(name);
    if (this.times.has(name)) this.silentMs.set(name, 0);
    if (tsMax === -Infinity) return;
    this.times.set(name, [...(this.times.get(name) ?? []), tsMax]);
    this.silentMs.set(name, 0);
    this.idle.delete(name);
  }
}

const name = fc.constantFrom(...NAMES);
const step = fc.record({
  waitMs: fc.oneof(fc.nat(300), fc.nat(3000), fc.nat(2 * REFUSED_PAUSE_MS)),
  event: fc.oneof(
    {
      weight: 5,
      arbitrary: fc.record({
        kind: fc.constant('events' as const),
        partition: name,
        tsMax: fc.oneof({ weight: 9, arbitrary: fc.integer({ min: 0, max: 50_000 }) }, fc.constant(-Infinity)),
      }),
    },
    { weight: 3, arbitrary: fc.constant('tick' as const) },
    {
      weight: 3,
      arbitrary: fc.record({
        kind: fc.constantFrom('paused' as const, 'resumed' as const),
        partition: fc.option(name),
      }),
    },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('refused' as const), partition: name }) },
    { weight: 1, arbitrary: fc.constant({ kind: 'restarted' as const }) },
  ),
});

test('model: watermark and silence are those added up by hand, the watermark never falls and a pause is never idleness', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), fc.nat(60), (steps, storedAt) => {
      let tracker = createTracker();
      const model = new Model();
      let nowMs = 1_000_000;
      let before = -Infinity;
      for (const [i, { waitMs, event }] of steps.entries()) {
        nowMs += waitMs;
        model.pass(waitMs);
        if (i === storedAt) tracker = trackerFromJson(JSON.parse(JSON.stringify(trackerToJson(tracker))));
        const silent = silentPartitions(tracker, OPTIONS, nowMs);
        assert.deepEqual(silent.toSorted(), model.silent().toSorted());
        const taken: TimeEvent = event === 'tick' ? { kind: 'idle', partitions: silent } : event;
        const watermark = track(tracker, OPTIONS, taken, nowMs);
        model.take(taken);
        assert.equal(watermark, model.watermark);
        assert.ok(watermark >= before, 'monotone');
        if (watermark > before) assert.equal(watermark, model.reached(), 'no further than the slowest that counts');
        before = watermark;
      }
    }),
    { numRuns: 2000 },
  );
});

test('a replay of what the log holds leads to the same watermarks, whatever was paused and when', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const tracker = createTracker();
      const logged: [TimeEvent, number, number][] = [];
      let nowMs = 0;
      for (const { waitMs, event } of steps) {
        nowMs += waitMs;
        const taken: TimeEvent =
          event === 'tick' ? { kind: 'idle', partitions: silentPartitions(tracker, OPTIONS, nowMs) } : event;
        const watermark = track(tracker, OPTIONS, taken, nowMs);
        if (taken.kind === 'events' || taken.kind === 'idle') logged.push([taken, nowMs, watermark]);
      }
      const replayed = createTracker();
      for (const [event, at, watermark] of logged) assert.equal(track(replayed, OPTIONS, event, at), watermark);
    }),
    { numRuns: 500 },
  );
});
