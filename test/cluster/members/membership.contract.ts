/**
 * What every `Membership` promises, as tests. `open` gives one node of a cluster, which leaves after the test; `others`:
 * whether several nodes can be in one cluster at all.
 */
import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import type { Membership, NodeFacts, NodeStatus } from '../../../src/cluster/port.ts';
import { until } from '../../redis/shared-redis.ts';

export const FACTS: NodeFacts = {
  status: 'running',
  url: 'http://127.0.0.1:1',
  maxLoad: 10,
  tools: ['echo'],
  version: '1',
};

export interface MembersUnderTest {
  /** A member of the cluster of this test, with the load that is given; it has not joined. */
  open(id: string, load: () => number): Membership;
  /** Ends what `open` has made. */
  end(): Promise<void>;
  readonly several: boolean;
}

const idsOf = (membership: Membership): string => membership.nodes.map(({ id }) => id).join();

export function membershipContract(name: string, begin: () => MembersUnderTest): void {
  describe(`membership contract: ${name}`, () => {
    const begun: MembersUnderTest[] = [];
    const members = (): MembersUnderTest => {
      const under = begin();
      begun.push(under);
      return under;
    };
    afterEach(async () => {
      for (const under of begun.splice(0)) await under.end();
    });

    test('a node knows itself before it joins, and as it joined afterwards', async () => {
      const one = members().open('n1', () => 3);
      assert.equal(idsOf(one), 'n1');
      assert.equal(one.node('n1')?.status, 'starting');
      await one.join(FACTS);
      await until('the registration', () => one.known && (one.node('n1')?.epoch ?? 0) > 0);
      const { status, url, maxLoad, tools, version, load, busy } = one.node('n1') ?? assert.fail('not there');
      assert.deepEqual({ status, url, maxLoad, tools, version }, FACTS);
      assert.deepEqual([load, busy], [3, false]);
      assert.equal(one.node('n2'), undefined);
      assert.deepEqual([one.fenced, one.degraded], [false, []]);
    });

    test('what it says of itself it sees at once, and listeners hear of changes, not of load', async () => {
      let load = 0;
      const one = members().open('n1', () => load);
      await one.join(FACTS);
      await until('the registration', () => one.known && (one.node('n1')?.epoch ?? 0) > 0);
      const heard: (NodeStatus | undefined)[] = [];
      const stop = one.onChange(() => heard.push(one.node('n1')?.status));
      one.update({ status: 'draining' });
      assert.deepEqual(heard, ['draining']);
      one.update({ status: 'draining' });
      load = 7;
      one.update({});
      assert.deepEqual(heard, ['draining']);
      one.update({ tools: [] });
      one.update({ url: 'http://127.0.0.1:2' });
      one.update({ version: '2' });
      assert.deepEqual(heard, ['draining', 'draining', 'draining', 'draining']);
      stop();
      one.update({ status: 'stopping' });
      assert.equal(heard.length, 4);
      assert.equal(one.node('n1')?.status, 'stopping');
    });

    test('leaving resolves, twice and without having joined as well', async () => {
      const under = members();
      const [one, two] = [under.open('n1', () => 0), under.open('n2', () => 0)];
      await one.join(FACTS);
      await one.leave();
      await one.leave();
      await two.leave();
    });

    test('nodes are told by id; they hear of each other what each says, and that it left', async () => {
      const under = members();
      if (!under.several) {
        const alone = under.open('n1', () => 0);
        await alone.join(FACTS);
        await under.open('n2', () => 0).join(FACTS);
        assert.equal(idsOf(alone), 'n1');
        return;
      }
      const [two, one] = [under.open('n2', () => 5), under.open('n1', () => 0)];
      await Promise.all([one.join(FACTS), two.join({ ...FACTS, tools: ['hash'] })]);
      for (const each of [one, two]) await until('both', () => idsOf(each) === 'n1,n2');
      assert.deepEqual(one.node('n2')?.tools, ['hash']);
      await until('its load', () => one.node('n2')?.load === 5);
      let heard = 0;
      one.onChange(() => heard++);
      two.update({ status: 'draining' });
      await until('its status', () => one.node('n2')?.status === 'draining');
      assert.ok(heard >= 1);
      await two.leave();
      await until('its leave', () => idsOf(one) === 'n1');
    });

    test('a later start of an id has a higher epoch', async () => {
      const under = members();
      const one = under.open('n1', () => 0);
      await one.join(FACTS);
      await until('the registration', () => one.known && (one.node('n1')?.epoch ?? 0) > 0);
      const epoch = one.node('n1')?.epoch ?? 0;
      await one.leave();
      if (!under.several) return;
      const again = under.open('n1', () => 0);
      await again.join(FACTS);
      await until('the registration', () => (again.node('n1')?.epoch ?? 0) > epoch);
      assert.equal(again.fenced, false);
    });
  });
}
