import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { FAILURES_MAX, OPEN_MS, RETRIES_MAX, RETRY_SHARE } from '../../../src/cluster/forwarding/breaker.ts';
import { NodeChoice } from '../../../src/cluster/forwarding/node-choice.ts';
import { FakeMembership } from './fake-membership.ts';

function rig(random: () => number = Math.random) {
  const membership = new FakeMembership('self');
  const clock = { ms: 0 };
  const told = new Set<string>();
  const choice = new NodeChoice({
    membership,
    offers: (nodeId, tool) => told.has(`${nodeId} ${tool}`),
    now: () => clock.ms,
    random,
  });
  membership.onChange(() => choice.changed());
  membership.set('self', { tools: ['t'] });
  return { membership, clock, told, choice };
}

/** How often each node is picked. */
function picked(choice: NodeChoice, times: number): Record<string, number> {
  const counts: Record<string, number> = {};
  for (let n = 0; n < times; n++) {
    const id = String(choice.pick('t', []));
    counts[id] = (counts[id] ?? 0) + 1;
  }
  return counts;
}

describe('where a call is sent', () => {
  test('only to running nodes that offer the tool, to one that drains where there is no other, never to this one', () => {
    const { choice, membership, told } = rig();
    assert.deepEqual(choice.pick('t', []), { why: 'none' });
    membership.set('other', { tools: ['u'] });
    membership.set('starting', { tools: ['t'], status: 'starting' });
    membership.set('stopping', { tools: ['t'], status: 'stopping' });
    assert.deepEqual(choice.pick('t', []), { why: 'none' });
    membership.set('draining', { tools: ['t'], status: 'draining' });
    assert.equal(choice.pick('t', []), 'draining');
    assert.deepEqual(choice.pick('t', ['draining']), { why: 'tried' });
    // What may outlive the drain waits for another node.
    assert.deepEqual(choice.pick('t', [], true), { why: 'none' });
    membership.set('b', { tools: ['t'] });
    assert.equal(choice.pick('t', []), 'b');
    assert.deepEqual(choice.pick('t', ['b']), { why: 'tried' });
    membership.set('b', { status: 'stopping' });
    assert.equal(choice.pick('t', []), 'draining');
    told.add('other t');
    choice.changed();
    assert.equal(choice.pick('t', []), 'other');
  });

  test('again only to nodes that may be sent more repetitions, each of which has a budget of its own', () => {
    const { choice, membership } = rig();
    membership.set('b', { tools: ['t'] });
    assert.equal(choice.pickAgain('t', ['b']), null);
    const again = (tried: string): number => {
      let times = 0;
      while (choice.pickAgain('t', [tried]) !== null) times += 1;
      return times;
    };
    membership.set('c', { tools: ['t'] });
    assert.equal(again('b'), RETRIES_MAX);
    // What went to c leaves b its own.
    assert.equal(again('c'), RETRIES_MAX);
    membership.set('d', { tools: ['t'] });
    assert.equal(again('b'), RETRIES_MAX);
    for (let call = 0; call <= 1 / RETRY_SHARE; call++) choice.began('c', false);
    for (let call = 0; call <= 1 / RETRY_SHARE; call++) choice.began('b', true);
    assert.deepEqual([choice.pickAgain('t', ['b']), choice.pickAgain('t', [])], ['c', null]);
  });

  test('among equals to all of them alike', () => {
    const { choice, membership } = rig();
    for (const id of ['a', 'b', 'c', 'd']) membership.set(id, { tools: ['t'] });
    const counts = picked(choice, 4000);
    for (const id of ['a', 'b', 'c', 'd']) assert.ok((counts[id] ?? 0) > 700, JSON.stringify(counts));
  });

  test('the more loaded of two is never chosen, and the worst of many never at all', () => {
    const { choice, membership } = rig();
    membership.set('idle', { tools: ['t'], load: 1 });
    membership.set('loaded', { tools: ['t'], load: 50 });
    assert.deepEqual(picked(choice, 200), { idle: 200 });
    membership.set('third', { tools: ['t'], load: 20 });
    const counts = picked(choice, 900);
    assert.equal(counts['loaded'], undefined);
    assert.ok((counts['idle'] ?? 0) > (counts['third'] ?? 0));
  });

  test('load counts against what a node can take, and a stalled node comes last', () => {
    const { choice, membership } = rig();
    membership.set('large', { tools: ['t'], load: 100, maxLoad: 1000 });
    membership.set('small', { tools: ['t'], load: 20, maxLoad: 100 });
    assert.deepEqual(picked(choice, 100), { large: 100 });
    membership.set('large', { busy: true });
    assert.deepEqual(picked(choice, 100), { small: 100 });
  });

  test('calls of this node under way count at once; what a node tells with an answer counts until its next heartbeat', () => {
    const { choice, clock, membership } = rig();
    for (const id of ['a', 'b']) membership.set(id, { tools: ['t'], load: 10, heartbeatAgeMs: 1000 });
    for (let n = 0; n < 5; n++) choice.began('a', false);
    assert.deepEqual(picked(choice, 50), { b: 50 });
    for (let n = 0; n < 5; n++) choice.ended('a', 'well');
    choice.loadTold('b', 90);
    assert.deepEqual(picked(choice, 50), { a: 50 });
    clock.ms += 1001;
    membership.set('a', { load: 50 });
    assert.deepEqual(picked(choice, 50), { b: 50 });
  });

  test('a node that fails again and again is left alone, then probed by one call, then used again', () => {
    const { choice, clock, membership } = rig();
    membership.set('b', { tools: ['t'] });
    for (let n = 0; n < FAILURES_MAX; n++) {
      assert.equal(choice.pick('t', []), 'b');
      choice.began('b', false);
      choice.ended('b', 'failed');
    }
    assert.deepEqual(choice.pick('t', []), { why: 'open', waitMs: OPEN_MS });
    assert.equal(choice.openBreakers, 1);
    clock.ms += OPEN_MS;
    assert.equal(choice.pick('t', []), 'b');
    choice.began('b', false);
    assert.deepEqual(choice.pick('t', []), { why: 'open', waitMs: 0 });
    choice.answered('b');
    assert.equal(choice.pick('t', []), 'b');
    assert.equal(choice.openBreakers, 0);
  });
});
