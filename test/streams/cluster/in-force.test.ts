/**
 * Definitions in force in the head of a unit: read by every node as they were kept, and refused when a program of another
 * version kept them.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { pack } from '../../../src/redis/packed.ts';
import { definitionsInForce, keepInForce, readAlike, readInForce } from '../../../src/streams/cluster/in-force.ts';
import type { StreamDefinition } from '../../../src/streams/define/definition.ts';
import { redisUnits } from './redis-unit.ts';

const DECLARED: readonly StreamDefinition[] = [
  { name: 'feed', schema: { fields: { at: 'integer', größe: 'number' }, timestamp: { field: 'at' }, key: [] } },
];
const MORE: readonly StreamDefinition[] = [
  ...DECLARED,
  { name: 'more', schema: { fields: { at: 'integer' }, timestamp: { field: 'at' }, key: [] } },
];

describe('definitions in force', () => {
  const units = redisUnits();

  test('are one version byte and MessagePack, and read as they were kept', async () => {
    const fence = await units.claim();
    const { head } = fence.keys;
    assert.equal(await readInForce(units.redis, head), null, 'none before the first owner');
    assert.equal(await definitionsInForce(fence, DECLARED), DECLARED);
    await keepInForce(fence, { definitions: MORE, declared: DECLARED });
    assert.deepEqual(await readInForce(units.redis, head), { definitions: MORE, declared: DECLARED });
    const kept = await units.redis.commandBytes('HGET', head, 'definitions');
    assert.deepEqual(kept, pack(1, MORE));
  });

  test('are taken over from the same declaration, whatever it leaves undefined, and from no other', async () => {
    const fence = await units.claim();
    await keepInForce(fence, { definitions: MORE, declared: DECLARED });
    const same = DECLARED.map((definition) => ({ ...definition, windows: undefined })) as readonly StreamDefinition[];
    assert.deepEqual(await readAlike(units.redis, fence.keys.head, same), MORE);
    assert.equal(await readAlike(units.redis, fence.keys.head, MORE), null);
  });

  test('of another version are refused by name, and left alone', async () => {
    const fence = await units.claim();
    await keepInForce(fence, { definitions: MORE, declared: DECLARED });
    for (const foreign of [pack(2, MORE), Buffer.from(JSON.stringify(MORE))]) {
      await units.server.run('HSET', fence.keys.head, 'definitions', foreign);
      const refusal = { name: 'RedisUnavailable', message: /another version of this program.*version \d+, expected 1/ };
      await assert.rejects(readInForce(units.redis, fence.keys.head), refusal);
      await assert.rejects(definitionsInForce(fence, DECLARED), refusal);
      assert.deepEqual(await units.redis.commandBytes('HGET', fence.keys.head, 'definitions'), foreign);
    }
  });
});
