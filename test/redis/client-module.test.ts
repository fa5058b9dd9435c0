/**
 * A process that could use Redis and does not is spared its client, which is loaded with the first connection.
 */
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import { RedisConnection } from '../../src/redis/connection.ts';
import { CONNECTOR_KINDS } from '../../src/streams/engine/connectors/connectors.ts';

const isLoaded = (): boolean =>
  Object.keys(createRequire(import.meta.url).cache).some((file) => file.includes('/node_modules/ioredis/'));

test('the client of Redis is loaded with the first connection, not with what could make one', () => {
  assert.ok(CONNECTOR_KINDS.sources.has('redis') && CONNECTOR_KINDS.sinks.has('redis'));
  assert.equal(isLoaded(), false);
  const log = { warn: () => undefined, info: () => undefined };
  new RedisConnection('redis://127.0.0.1:1', 'test', log).close();
  assert.equal(isLoaded(), true);
});
