/**
 * What every `ResultCache` promises, as tests. `open` gives caches of two nodes that share what they share: for an
 * embedded one, twice the same. `passMs` lets time pass.
 */
import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { RESULT_TTL_MS_MAX, type ResultCache } from '../../src/cache/port.ts';
import { until } from '../redis/shared-redis.ts';

export interface CachesUnderTest {
  readonly a: ResultCache;
  readonly b: ResultCache;
  passMs(ms: number): Promise<void>;
}

export function resultCacheContract(name: string, open: () => Promise<CachesUnderTest>): void {
  describe(`result cache contract: ${name}`, () => {
    const opened: CachesUnderTest[] = [];
    const caches = async (): Promise<CachesUnderTest> => {
      const under = await open();
      opened.push(under);
      return under;
    };
    afterEach(() => {
      for (const { a, b } of opened.splice(0)) {
        a.close();
        b.close();
      }
    });
    /** Looks, and leads nothing afterwards. */
    const look = async (cache: ResultCache, key: string, tool = 'tool') => {
      const found = await cache.get(tool, key);
      if (found === undefined) cache.release(key);
      return found;
    };
    const keep = async (cache: ResultCache, key: string, resultJson: string, ttlMs = 60_000): Promise<void> => {
      await cache.get('tool', key);
      cache.set('tool', key, resultJson, ttlMs, cache.generation('tool'));
    };

    test('what was not kept is absent', async () => {
      const { a } = await caches();
      assert.equal(await a.get('tool', 'k'), undefined);
      assert.equal(a.size, 0);
      a.release('k');
      a.release('k');
      a.release('never looked for');
      assert.equal(await a.get('tool', 'k'), undefined);
    });

    test('what one node keeps the other finds, with the time that is left', async () => {
      const { a, b } = await caches();
      await keep(a, 'k', '{"ä":1}');
      const found = await until('the result', () => look(b, 'k'));
      assert.equal(found.resultJson, '{"ä":1}');
      assert.ok(found.ttlMs > 30_000 && found.ttlMs <= 60_000, String(found.ttlMs));
      assert.equal(await b.get('tool', 'other'), undefined);
    });

    test('a result is gone after its time', async () => {
      const { a, b, passMs } = await caches();
      await keep(a, 'k', '1', 300);
      await passMs(301);
      // Two clocks are asked, and a timer may be a little early.
      for (const cache of [a, b]) await until('its end', async () => (await look(cache, 'k')) === undefined);
    });

    test('a result is kept for a day at most', async () => {
      const { a, b } = await caches();
      await keep(a, 'k', '1', 10 * RESULT_TTL_MS_MAX);
      for (const cache of [a, b]) {
        const found = await until('the result', () => look(cache, 'k'));
        assert.ok(found.ttlMs <= RESULT_TTL_MS_MAX, String(found.ttlMs));
      }
    });

    test('an invalidation is heard on both nodes, for that tool alone', async () => {
      const { a, b } = await caches();
      await keep(a, 'k', '1');
      await a.get('beside', 'l');
      a.set('beside', 'l', '2', 60_000, a.generation('beside'));
      await until('the result', async () => (await look(b, 'k')) !== undefined);
      await until('the result', async () => (await look(b, 'l', 'beside')) !== undefined);
      b.invalidate('tool');
      await until('the end of the result', async () => (await look(a, 'k')) === undefined);
      assert.equal(await look(b, 'k'), undefined);
      assert.equal((await a.get('beside', 'l'))?.resultJson, '2');
    });

    test('a result that was being computed when its tool was invalidated is not kept', async () => {
      const { a, b } = await caches();
      await a.get('tool', 'k');
      const generation = a.generation('tool');
      b.invalidate('tool');
      await until('the news', async () => {
        await look(a, 'other');
        return a.generation('tool') !== generation;
      });
      a.set('tool', 'k', '1', 60_000, generation);
      assert.equal(await look(a, 'k'), undefined);
      assert.equal(await look(b, 'k'), undefined);
    });
  });
}
