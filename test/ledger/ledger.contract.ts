/** What every `Ledger` promises, as tests. `open` gives ledgers of two nodes: for an embedded one, twice the same. */
import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { WAITERS_MAX } from '../../src/ledger/key-waits.ts';
import type { Begun, Ledger, LedgerQuestion } from '../../src/ledger/port.ts';
import { until } from '../redis/shared-redis.ts';

export interface LedgersUnderTest {
  readonly a: Ledger;
  readonly b: Ledger;
}

export const question = (key: string, rest: Partial<LedgerQuestion> = {}): LedgerQuestion => ({
  key,
  fingerprint: 'f',
  repeatable: false,
  waitMs: 20_000,
  isWanted: () => true,
  ...rest,
});

export const ANSWER = { status: 200, responseJson: '{"jsonrpc":"2.0","id":1,"result":{"ä":"…"}}' };

export function tokenOf(begun: Begun): string {
  assert.ok(begun.kind === 'run', begun.kind);
  return begun.token;
}

export function ledgerContract(name: string, open: () => Promise<LedgersUnderTest>): void {
  describe(`ledger contract: ${name}`, () => {
    const opened: LedgersUnderTest[] = [];
    const ledgers = async (): Promise<LedgersUnderTest> => {
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

    test('the first call runs, a later one gets its answer, on either node', async () => {
      const { a, b } = await ledgers();
      const token = tokenOf(await a.begin(question('k')));
      assert.equal(a.running, 1);
      assert.equal(await a.finish('k', token, ANSWER), true);
      assert.equal(a.running, 0);
      for (const ledger of [a, b])
        assert.deepEqual(await ledger.begin(question('k')), { kind: 'done', answer: ANSWER });
    });

    test('of many calls at once one runs, and all others wait for its answer', async () => {
      const { a, b } = await ledgers();
      const all = Array.from({ length: 20 }, (_, i) => (i % 2 === 0 ? a : b).begin(question('k')));
      const first = await Promise.any(all.map(async (begun) => tokenOf(await begun)));
      await a.finish('k', first, ANSWER);
      const kinds = (await Promise.all(all)).map((begun) => begun.kind).sort();
      assert.deepEqual(kinds, [...Array.from({ length: 19 }, () => 'done'), 'run']);
    });

    test('another request under the same key is told so, while the first runs and afterwards', async () => {
      const { a, b } = await ledgers();
      const token = tokenOf(await a.begin(question('k')));
      assert.deepEqual(await b.begin(question('k', { fingerprint: 'g' })), { kind: 'differs' });
      await a.finish('k', token, ANSWER);
      assert.deepEqual(await b.begin(question('k', { fingerprint: 'g' })), { kind: 'differs' });
    });

    test('whoever has waited long enough is told that it still runs', async () => {
      const { a, b } = await ledgers();
      await a.begin(question('k'));
      assert.deepEqual(await b.begin(question('k', { waitMs: 30 })), { kind: 'busy' });
    });

    test('a call that was not executed after all leaves its key to the next', async () => {
      const { a, b } = await ledgers();
      const token = tokenOf(await a.begin(question('k')));
      const waiting = b.begin(question('k'));
      await a.abandon('k', token);
      const second = tokenOf(await waiting);
      assert.notEqual(second, token);
      assert.equal(await a.finish('k', token, ANSWER), false);
      assert.equal(await b.finish('k', second, ANSWER), true);
    });

    test('more than may wait for one key are told that it is busy, and those who have gone make room', async () => {
      const { a } = await ledgers();
      const token = tokenOf(await a.begin(question('k')));
      let areWanted = true;
      const early = question('k', { isWanted: () => areWanted });
      const waiting = Array.from({ length: WAITERS_MAX }, () => a.begin(early));
      assert.deepEqual(await a.begin(question('k')), { kind: 'busy' });
      areWanted = false;
      const late = await until('room', async () => {
        const begun = a.begin(question('k', { waitMs: 20_000 }));
        const soon = new Promise<'waits'>((resolve) => setTimeout(resolve, 50, 'waits'));
        return (await Promise.race([begun, soon])) === 'waits' ? { begun } : undefined;
      });
      assert.equal(await a.finish('k', token, ANSWER), true);
      assert.deepEqual(await late.begun, { kind: 'done', answer: ANSWER });
      const kinds = new Set((await Promise.all(waiting)).map((begun) => begun.kind));
      assert.deepEqual(
        [...kinds].filter((kind) => kind !== 'busy' && kind !== 'done'),
        [],
      );
    });

    test('keys do not meet', async () => {
      const { a, b } = await ledgers();
      tokenOf(await a.begin(question('k')));
      tokenOf(await b.begin(question('l', { fingerprint: 'other' })));
    });
  });
}
