/**
 * Generators: Nexmark's ids, times and shares are those of its definition; every event is a function of seed and number;
 * bytes and columns say what the objects say.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { EPISODE_STEPS, TelemetryGenerator, TickGenerator } from '../../../src/streams/sources/generator-data.ts';
import { NexmarkGenerator } from '../../../src/streams/sources/nexmark.ts';
import { reversedBits } from '../../../src/streams/sources/nexmark-channels.ts';
import { NexmarkEvents, NexmarkNdjson, writeNumber } from '../../../src/streams/sources/nexmark-ndjson.ts';
import { lastAuction, lastPerson, NexmarkSkeleton } from '../../../src/streams/sources/nexmark-skeleton.ts';

const decoder = new TextDecoder();
const EVENTS = 50_000;
const near = (value: number, expected: number, by: number): void =>
  assert.ok(Math.abs(value - expected) <= by, `${value} is not ${expected} ± ${by}`);

describe('Nexmark', () => {
  const generator = new NexmarkGenerator({ seed: 5 });
  const all = Array.from({ length: EVENTS }, (_, n) => generator.event(n));
  const bids = all.flatMap((event) => (event.kind === 'bid' ? [event.row] : []));
  const auctions = all.flatMap((event) => (event.kind === 'auction' ? [event.row] : []));
  const people = all.flatMap((event) => (event.kind === 'person' ? [event.row] : []));

  test('of fifty events one is a person, three are auctions, 46 are bids', () => {
    assert.deepEqual(
      [people.length, auctions.length, bids.length],
      [EVENTS / 50, (EVENTS * 3) / 50, (EVENTS * 46) / 50],
    );
  });

  test('ids rise by one from 1000', () => {
    assert.deepEqual(
      people.map(({ id }) => id),
      people.map((_, i) => 1000 + i),
    );
    assert.deepEqual(
      auctions.map(({ id }) => id),
      auctions.map((_, i) => 1000 + i),
    );
  });

  test('the newest person and auction at each event of an epoch', () => {
    assert.deepEqual([0, 1, 2, 3, 4, 49, 50, 51].map(lastAuction), [-1, 0, 1, 2, 2, 2, 2, 3]);
    assert.deepEqual([0, 1, 49, 50, 99, 100].map(lastPerson), [0, 0, 0, 1, 1, 2]);
  });

  test('times follow the rate, in whole milliseconds', () => {
    const skeleton = new NexmarkSkeleton({ ...generator.options, baseTimeMs: 1000, ratePerS: 3000 });
    // 333.33 µs apart, cut to whole microseconds and then to milliseconds.
    assert.deepEqual(
      [0, 1, 2, 3, 4, 30, 3000].map((n) => skeleton.timestamp(n)),
      [1000, 1000, 1000, 1001, 1001, 1010, 2000],
    );
    assert.equal(skeleton.placeAt(2000), 3000);
  });

  test('half of the bids go to the hot auction, three quarters come from the hot bidder', () => {
    const hotAuction = bids.filter(
      ({ auction }, i) => auction === 1000 + Math.floor((3 * Math.floor(i / 46) + 2) / 100) * 100,
    );
    const hotBidder = bids.filter(({ bidder }, i) => bidder === 1001 + Math.floor(Math.floor(i / 46) / 100) * 100);
    // Others meet the hot ones by chance, too.
    near(hotAuction.length / bids.length, 0.5, 0.02);
    near(hotBidder.length / bids.length, 0.75, 0.01);
    const hotSeller = auctions.filter(({ seller }, i) => seller === 1000 + Math.floor(Math.floor(i / 3) / 100) * 100);
    near(hotSeller.length / auctions.length, 0.75, 0.03);
  });

  test('bidders begin at 1000, or at 2000 as in the generator that adds the first id twice', () => {
    const twice = new NexmarkGenerator({ seed: 5, bidderBaseTwice: true });
    assert.equal(Math.min(...bids.map(({ bidder }) => bidder)), 1000);
    for (const n of [4, 5, 60, 4999]) {
      const [once, again] = [generator.event(n), twice.event(n)];
      assert.ok(once.kind === 'bid' && again.kind === 'bid');
      assert.deepEqual(again.row, { ...once.row, bidder: once.row.bidder + 1000 });
    }
  });

  test('prices are log-uniform, channels half well-known', () => {
    const logs = bids.map(({ price }) => Math.log10(price / 100)).sort((a, b) => a - b);
    for (const q of [0.1, 0.5, 0.9]) near(logs[Math.floor(q * logs.length)] as number, 6 * q, 0.06);
    const known = bids.filter(({ channel }) => !channel.startsWith('channel-'));
    near(known.length / bids.length, 0.5, 0.01);
    assert.equal(new Set(known.map(({ channel }) => channel)).size, 4);
    assert.equal(new Set(known.map(({ url }) => url)).size, 4);
    const withId = bids.filter(({ url }) => url.includes('&channel_id='));
    near(withId.length / (bids.length - known.length), 0.9, 0.01);
    for (const { channel, url } of withId.slice(0, 100)) {
      assert.ok(url.endsWith(`=${Math.abs(reversedBits(Number(channel.slice(8))))}`));
    }
  });

  test('sizes are on average what is asked for', () => {
    const average = (sizes: readonly number[]): number => sizes.reduce((sum, size) => sum + size, 0) / sizes.length;
    near(average(bids.map(({ extra }) => 32 + extra.length)), 100, 1);
    near(average(auctions.map((row) => 48 + row.itemName.length + row.description.length + row.extra.length)), 500, 3);
    const texts = people.map(({ dateTime: _, id: __, ...row }) => 8 + Object.values(row).join('').length);
    near(average(texts), 200, 3);
  });

  test('auctions last up to twice the time in which a hundred others open', () => {
    const lengths = auctions.map(({ dateTime, expires }) => expires - dateTime);
    assert.ok(Math.min(...lengths) >= 1 && Math.max(...lengths) <= 335);
    near(lengths.reduce((sum, each) => sum + each, 0) / lengths.length, 167, 5);
    assert.ok(
      auctions.every(({ category, initialBid, reserve }) => category >= 10 && category < 15 && reserve > initialBid),
    );
  });

  test('an event depends on nothing but options and number', () => {
    fc.assert(
      fc.property(fc.nat(2 ** 31), fc.nat(1e9), fc.nat(1e9), (seed, n, other) => {
        const first = new NexmarkGenerator({ seed });
        first.event(other);
        assert.deepEqual(first.event(n), new NexmarkGenerator({ seed }).event(n));
      }),
      { numRuns: 10 },
    );
    assert.notDeepEqual(new NexmarkGenerator({ seed: 6 }).event(4), generator.event(4));
  });

  test('groups are shuffled within themselves, and the watermark holds', () => {
    const group = 1000;
    const skeleton = new NexmarkSkeleton({ ...generator.options, outOfOrderGroupSize: group });
    for (const from of [0, 5000]) {
      const numbers = Array.from({ length: group }, (_, i) => skeleton.number(from + i));
      assert.notDeepEqual(
        numbers,
        numbers.toSorted((a, b) => a - b),
      );
      assert.deepEqual(
        numbers.toSorted((a, b) => a - b),
        Array.from({ length: group }, (_, i) => from + i),
      );
      assert.ok(numbers.every((number, i) => skeleton.timestamp(number) >= skeleton.watermark(from + i)));
    }
  });

  test('bytes are the lines of the objects, however they are cut into chunks', () => {
    for (const outOfOrderGroupSize of [1, 100]) {
      const options = { seed: 11, outOfOrderGroupSize };
      const objects = new NexmarkGenerator(options);
      const writer = new NexmarkNdjson(new NexmarkGenerator(options));
      for (let from = 0; from < 3000; from += 777) {
        const bodies = writer.write(from, from + 777);
        const lines = { person: '', auction: '', bid: '' };
        for (let n = from; n < from + 777; n++) {
          const { kind, row } = objects.event(n);
          lines[kind] += `${JSON.stringify(row)}\n`;
        }
        for (const kind of ['person', 'auction', 'bid'] as const)
          assert.equal(decoder.decode(bodies[kind]), lines[kind]);
      }
      assert.deepEqual(new NexmarkEvents('bid', options).body(50, 90), writer.write(50, 90).bid);
    }
  });

  test('whole numbers are written as JSON has them', () => {
    const bytes = new Uint8Array(20);
    const edges = [0, 9, 10, 999, 1000, 99_999, 100_000, 999_999, 1_000_000, 1_000_001, 10 ** 12, 1_767_225_600_000];
    fc.assert(
      fc.property(fc.oneof(fc.constantFrom(...edges), fc.integer({ min: 0, max: 4e15 })), (value) => {
        assert.equal(decoder.decode(bytes.subarray(0, writeNumber(value, bytes, 0))), String(value));
      }),
    );
  });
});

describe('telemetry and ticks', () => {
  test('an event depends on nothing but options and number', () => {
    const telemetry = new TelemetryGenerator({ seed: 3 });
    const ticks = new TickGenerator({ seed: 3 });
    for (const n of [0, 1, 12_345, 99_999_999]) {
      telemetry.event(n + 1);
      assert.deepEqual(telemetry.event(n), new TelemetryGenerator({ seed: 3 }).event(n));
      assert.deepEqual(ticks.event(n), new TickGenerator({ seed: 3 }).event(n));
    }
    assert.notDeepEqual(new TickGenerator({ seed: 4 }).event(7), ticks.event(7));
  });

  test('every host reports once per interval, unless it is silent', () => {
    const telemetry = new TelemetryGenerator({ seed: 3, hosts: 7, intervalMs: 500, anomalyShare: 0.3 });
    const seen = new Set<string>();
    for (let n = 0; n < 7 * 2000; n++) {
      const episode = telemetry.episode(n % 7, Math.floor(n / 7));
      seen.add(episode);
      const event = telemetry.event(n);
      assert.equal(event === null, episode === 'silent');
      if (event === null) continue;
      const late = event.at - telemetry.timestamp(n);
      assert.ok(late >= 0 && late < 250);
      assert.ok(event.cpu >= 0 && event.cpu <= 100 && event.memory >= 0 && event.memory <= 100);
      if (episode === 'pegged') assert.ok(event.cpu >= 96);
      if (episode === 'well') assert.ok(event.cpu < 96);
    }
    assert.equal(seen.size, 4);
    assert.ok(telemetry.episode(2, EPISODE_STEPS) === telemetry.episode(2, 2 * EPISODE_STEPS - 1));
  });

  test('values walk: neighbours are closer than strangers', () => {
    const telemetry = new TelemetryGenerator({ seed: 9, hosts: 1, anomalyShare: 0 });
    const memory = Array.from({ length: 3000 }, (_, n) => telemetry.event(n)?.memory ?? 0);
    const apart = (by: number): number => {
      const differences = memory.slice(by).map((value, i) => Math.abs(value - (memory[i] as number)));
      return differences.reduce((sum, each) => sum + each, 0) / differences.length;
    };
    assert.ok(apart(1) < apart(30) / 2 && apart(30) < apart(500));
    assert.ok(new Set(memory).size > 50);
  });

  test('bodies hold the events as NDJSON, and places can be found by time', () => {
    const telemetry = new TelemetryGenerator({ seed: 3, anomalyShare: 0.5 });
    const lines = decoder.decode(telemetry.body(0, 500)).trimEnd().split('\n');
    const events = Array.from({ length: 500 }, (_, n) => telemetry.event(n)).filter((event) => event !== null);
    assert.deepEqual(
      lines.map((line) => JSON.parse(line)),
      events,
    );
    const ticks = new TickGenerator({ ratePerS: 250 });
    for (const source of [telemetry, ticks]) {
      for (const n of [0, 1, 999])
        assert.ok(source.timestamp(source.placeAt(source.timestamp(n))) >= source.timestamp(n));
    }
    assert.equal(ticks.placeAt(ticks.timestamp(1000)), 1000);
  });
});
