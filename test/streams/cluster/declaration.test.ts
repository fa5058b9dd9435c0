/**
 * What is wrong with the declaration of replicated streams is told by the start, as it is for streams of one node.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { RedisConnection } from '../../../src/redis/connection.ts';
import { openClusterStreams } from '../../../src/streams/cluster/open.ts';
import type { StreamDefinition, WindowDefinition } from '../../../src/streams/define/definition.ts';
import { CONNECTOR_KINDS } from '../../../src/streams/engine/connectors/connectors.ts';
import { LocalThreads } from '../../../src/streams/engine/threads/local-threads.ts';
import { openStores } from '../../../src/streams/stores.ts';
import { QUIET } from '../../redis/redis-server.ts';
import { FakeCluster } from './fake-cluster.ts';

const stream = (name: string, more: Partial<StreamDefinition> = {}): StreamDefinition => ({
  name,
  schema: { fields: { at: 'integer' } },
  durability: 'replicated',
  ...more,
});

const window = (more: Partial<WindowDefinition>): WindowDefinition => ({
  name: 'w',
  type: 'tumbling',
  aggregates: { n: 'count' },
  ...more,
});

/** The wrong one comes first in the list, and last by name. */
async function startWith(wrong: Partial<StreamDefinition>): Promise<void> {
  const redis = new RedisConnection('redis://127.0.0.1:1', 'a test', QUIET);
  try {
    const streams = await openClusterStreams({
      ...new FakeCluster().join('a'),
      definitions: [stream('z', wrong), stream('a')],
      redis,
      prefix: 'test:',
      replicasMin: 0,
      askMsMax: 5000,
      shards: 2,
      logBytesMax: 2 ** 20,
      checkpointMs: 3_600_000,
      tickMs: 3_600_000,
      kinds: CONNECTOR_KINDS,
      stores: (local) => openStores({ definitions: local, dataDir: '', logBytesMax: 2 ** 20 }),
      threads: (_engine, parts) => Object.assign(new LocalThreads(parts), { release: () => undefined }),
      log: { error: () => undefined, warn: () => undefined, info: () => undefined },
      now: Date.now,
    });
    await streams.abandon();
  } finally {
    redis.close();
  }
}

describe('a declaration of replicated streams', () => {
  const cases: readonly [string, Partial<StreamDefinition>, RegExp][] = [
    ['a window', { windows: [window({})] }, /^streams\[0\]\.windows\[0\]\.sizeMs: missing, expected /],
    ['a sink', { sinks: [{ type: 'file' }] }, /^streams\[0\]\.sinks\[0\]\.path: missing, expected /],
    ['a source', { sources: [{ type: 'file' }] }, /^streams\[0\]\.sources\[0\]\.path: missing, expected /],
    [
      'a reducer',
      { windows: [window({ sizeMs: 5, aggregates: { n: { fn: 'custom', of: 'at', module: '/nowhere/x.js' } } })] },
      /^reducer module \/nowhere\/x\.js cannot be loaded/,
    ],
    ['a shape', JSON.parse('{"schema": null}'), /^streams\[0\]\.schema: null, expected /],
  ];
  for (const [what, wrong, message] of cases) {
    test(`that is wrong in ${what} is refused, at its place in the list`, async () => {
      await assert.rejects(startWith(wrong), { message });
    });
  }
});
