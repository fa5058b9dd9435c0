/**
 * What a node believes of others, played with a clock of the test's own.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { KnownNodes } from '../../../src/cluster/heartbeat/known-nodes.ts';
import type { Seen } from '../../../src/cluster/heartbeat/node-hash.ts';
import { STALL_MS, StallWatch } from '../../../src/cluster/heartbeat/stall-watch.ts';

const BEAT_MS = 1000;
const TTL_MS = 3 * BEAT_MS;

function seen(id: string, heartbeatAgeMs = 0, epoch = 1): Seen {
  const facts = { status: 'running', url: `http://${id}`, maxLoad: 1, tools: [], version: '1' } as const;
  return { record: { ...facts, id, load: 0, busy: false, epoch, heartbeatAgeMs }, leftMs: TTL_MS - heartbeatAgeMs };
}

const ids = (known: KnownNodes, nowMs: number): string[] => known.list(nowMs).map(({ id }) => id);

describe('known nodes', () => {
  test('a node is known until its time to live is over since its last heartbeat, not since it was read', () => {
    const known = new KnownNodes(BEAT_MS);
    known.told([seen('a', 900), seen('b')], 0);
    assert.equal(known.nextGoneAtMs, TTL_MS - 900);
    known.told([], TTL_MS - 901);
    assert.deepEqual(ids(known, 0), ['a', 'b']);
    known.told([], TTL_MS - 900);
    assert.deepEqual(ids(known, 0), ['b']);
    known.told([], TTL_MS);
    assert.deepEqual(ids(known, 0), []);
  });

  test('heartbeats grow old between two looks', () => {
    const known = new KnownNodes(BEAT_MS);
    known.told([seen('a', 100)], 50);
    assert.equal(known.list(250)[0]?.heartbeatAgeMs, 300);
  });

  test('who says goodbye goes at once, and an answer that was on its way does not bring it back; a new start does', () => {
    const known = new KnownNodes(BEAT_MS);
    known.told([seen('a', 0, 5)], 0);
    known.left('a', 5, 10);
    assert.deepEqual(ids(known, 10), []);
    known.told([seen('a', 0, 5)], 20);
    assert.deepEqual(ids(known, 20), []);
    known.told([seen('a', 0, 6)], 30);
    assert.deepEqual(ids(known, 30), ['a']);
    known.left('a', 5, 40);
    assert.deepEqual(ids(known, 40), ['a']);
  });

  test('while the registry is away nobody goes, however long it takes; then all have their time to live', () => {
    const known = new KnownNodes(BEAT_MS);
    known.told([seen('a')], 0);
    const LONG_BEATS = 1000;
    for (let beat = 1; beat < LONG_BEATS; beat++) {
      known.away();
      assert.deepEqual(ids(known, beat * BEAT_MS), ['a'], `${beat}`);
      assert.equal(known.nextGoneAtMs, Number.POSITIVE_INFINITY);
    }
    known.told([], LONG_BEATS * BEAT_MS);
    assert.equal(known.nextGoneAtMs, LONG_BEATS * BEAT_MS + TTL_MS);
    known.told([], LONG_BEATS * BEAT_MS + TTL_MS);
    assert.deepEqual(ids(known, 0), []);
  });

  test('whom another one knew is recalled until the registry tells otherwise', () => {
    const before = new KnownNodes(BEAT_MS);
    before.told([seen('a', 100)], 0);
    const known = new KnownNodes(BEAT_MS);
    known.recall(before.list(50), 50);
    assert.deepEqual(known.list(250), [{ ...seen('a').record, heartbeatAgeMs: 350 }]);
    assert.equal(known.nextGoneAtMs, Number.POSITIVE_INFINITY);
    known.told([], 300);
    assert.deepEqual(ids(known, 300), ['a']);
    known.told([], 300 + TTL_MS);
    assert.deepEqual(ids(known, 0), []);
  });

  test('a registry that lost everything has killed nobody: all have their time to live to register anew', () => {
    const known = new KnownNodes(BEAT_MS);
    known.told([seen('a'), seen('b')], 0);
    known.away();
    known.away();
    known.told([], 9 * BEAT_MS);
    assert.deepEqual(ids(known, 0), ['a', 'b']);
    known.told([seen('b')], 10 * BEAT_MS);
    known.told([seen('b')], 9 * BEAT_MS + TTL_MS);
    assert.deepEqual(ids(known, 0), ['b']);
  });
});

describe('stalls', () => {
  test('a count that does not change for a while is one, until it changes', () => {
    const watch = new StallWatch();
    assert.equal(watch.stalled(1, 0), false);
    assert.equal(watch.stalled(2, STALL_MS), false);
    assert.equal(watch.stalled(2, 2 * STALL_MS - 1), false);
    assert.equal(watch.stalled(2, 2 * STALL_MS), true);
    assert.equal(watch.stalled(1, 2 * STALL_MS + 1), false);
  });
});
