/**
 * What every session store keeps to, whatever it is made of: a model (an array in order of last use) against the store
 * under random sequences of create, get, delete, sweep and the passing of time, and each rule by itself.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { REVISION_2025_06_18 } from '../../src/protocol/revisions.ts';
import type { SessionEnd, SessionInit, SessionStore } from '../../src/sessions/port.ts';
import { undisturbed } from '../clients/undisturbed.ts';

export type MakeSessionStore = (limits: { max: number; ttlMs: number }) => Promise<SessionStore>;

/** What time it is, and how it passes. */
export interface StoreTime {
  nowMs(): number;
  pass(ms: number): Promise<void>;
}

export function fakeTime(): StoreTime {
  let now = 0;
  return {
    nowMs: () => now,
    pass: async (ms) => {
      now += ms;
    },
  };
}

/** Since the last use a session may live on for so long, as a share of its time to live. */
const GRACE = 0.5;
/** Between sweeps, and between looks at what a store elsewhere answers. */
const LOOK_MS = 100;
const LOOKS_MAX = 300;
/** A store elsewhere has to hear of a use within a quarter of it, on a busy machine too. */
const TTL_MS = 2000;

const initOf = (principalId: string | null): SessionInit => ({
  revision: REVISION_2025_06_18,
  principalId,
  clientCapabilities: { sampling: {} },
  clientInfo: { name: 'client', version: '1' },
});

type Step =
  | { readonly do: 'create'; readonly principal: string | null }
  | { readonly do: 'get' | 'delete'; readonly pick: number; readonly principal: string | null }
  | { readonly do: 'sweep' }
  | { readonly do: 'wait'; readonly ms: number };

const principal = fc.constantFrom(null, 'ada', 'bob');
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ do: fc.constant('create' as const), principal }),
  fc.record({ do: fc.constantFrom('get' as const, 'get' as const, 'delete' as const), pick: fc.nat(7), principal }),
  fc.record({ do: fc.constant('sweep' as const) }),
  fc.record({ do: fc.constant('wait' as const), ms: fc.nat(120) }),
);

interface Modelled {
  readonly id: string;
  readonly principal: string | null;
  seen: number;
}

/** The rules in their plainest form. Oldest use first. */
class Model {
  sessions: Modelled[] = [];
  ended: string[] = [];
  readonly max: number;
  readonly ttlMs: number;

  constructor(max: number, ttlMs: number) {
    this.max = max;
    this.ttlMs = ttlMs;
  }

  end(session: Modelled, why: SessionEnd): void {
    this.sessions = this.sessions.filter((other) => other !== session);
    this.ended.push(`${session.id} ${why}`);
  }

  sweep(now: number): void {
    for (const session of [...this.sessions]) if (now - session.seen > this.ttlMs) this.end(session, 'expired');
  }

  create(id: string, of: string | null, now: number): void {
    this.sweep(now);
    const oldest = this.sessions[0];
    if (oldest !== undefined && this.sessions.length >= this.max) this.end(oldest, 'evicted');
    this.sessions.push({ id, principal: of, seen: now });
  }

  get(id: string, of: string | null, now: number): Modelled | undefined {
    const session = this.sessions.find((other) => other.id === id && other.principal === of);
    if (session === undefined) return undefined;
    if (now - session.seen > this.ttlMs) {
      this.end(session, 'expired');
      return undefined;
    }
    this.sessions = [...this.sessions.filter((other) => other !== session), session];
    session.seen = now;
    return session;
  }
}

async function follow(make: MakeSessionStore, steps: readonly Step[]): Promise<void> {
  const limits = { max: 4, ttlMs: 100 };
  const store = await make(limits);
  const model = new Model(limits.max, limits.ttlMs);
  const ended: string[] = [];
  store.onEnd = (session, why) => ended.push(`${session.id} ${why}`);
  const ids: string[] = [];
  let now = 0;
  for (const s of steps) {
    if (s.do === 'wait') now += s.ms;
    else if (s.do === 'create') {
      const session = await store.create(initOf(s.principal), now);
      ids.push(session.id);
      model.create(session.id, s.principal, now);
    } else if (s.do === 'sweep') {
      store.sweep(now);
      model.sweep(now);
    } else {
      const id = ids[ids.length - 1 - s.pick] ?? 'nobody';
      if (s.do === 'get') {
        const found = await store.get(id, s.principal, now);
        assert.equal(found?.id, model.get(id, s.principal, now)?.id);
        if (found !== undefined) assert.equal(found.lastSeenAtMs, now);
      } else {
        const known = model.sessions.find((other) => other.id === id);
        assert.equal(await store.delete(id), known !== undefined);
        if (known !== undefined) model.end(known, 'deleted');
      }
    }
    assert.equal(store.size, model.sessions.length);
    assert.deepEqual(ended, model.ended);
  }
}

/** The model: time, order of use and bound to the millisecond, as only a store in this process can keep them. */
export function exactSessionStoreContract(name: string, make: MakeSessionStore): void {
  describe(`exact session store contract: ${name}`, () => {
    test('behaves as the model under any sequence of calls', async () => {
      await fc.assert(fc.asyncProperty(fc.array(step, { maxLength: 60 }), (steps) => follow(make, steps)));
    });
  });
}

export function sessionStoreContract(name: string, make: MakeSessionStore, timeOf: () => StoreTime): void {
  describe(`session store contract: ${name}`, () => {
    test('gives the session back as it was made', async () => {
      const store = await make({ max: 4, ttlMs: 60_000 });
      const made = await store.create(initOf('ada'), 5);
      const session = await store.get(made.id, 'ada', 6);
      assert.ok(session);
      assert.equal(session.revision, REVISION_2025_06_18);
      assert.equal(session.principalId, 'ada');
      assert.deepEqual(session.clientCapabilities, { sampling: {} });
      assert.deepEqual(session.clientInfo, { name: 'client', version: '1' });
      assert.equal(session.logLevel, '');
      assert.equal(session.initialized, false);
      assert.equal(session.subscriptions.size, 0);
    });

    test('keeps what is set on a session', async () => {
      const store = await make({ max: 4, ttlMs: 60_000 });
      const made = await store.create(initOf(null), 0);
      made.subscriptions.add('test://a');
      made.logLevel = 'warning';
      made.initialized = true;
      await made.save();
      const session = await store.get(made.id, null, 1);
      assert.deepEqual([...(session?.subscriptions ?? [])], ['test://a']);
      assert.equal(session?.logLevel, 'warning');
      assert.equal(session?.initialized, true);
    });

    test('a deleted session is gone, and deleting it again says so', async () => {
      const store = await make({ max: 4, ttlMs: 60_000 });
      const ended: string[] = [];
      store.onEnd = (session, why) => ended.push(`${session.id} ${why}`);
      const { id } = await store.create(initOf(null), 0);
      assert.equal(await store.delete(id), true);
      assert.equal(await store.delete(id), false);
      assert.equal(await store.get(id, null, 1), undefined);
      assert.deepEqual(ended, [`${id} deleted`]);
    });

    test('past the bound others end, and not the newest', async () => {
      const store = await make({ max: 3, ttlMs: 60_000 });
      const ids: string[] = [];
      for (let i = 0; i < 9; i++) ids.push((await store.create(initOf(null), i)).id);
      assert.ok(store.size <= 3);
      assert.equal((await store.get(ids.at(-1) ?? '', null, 10))?.id, ids.at(-1));
    });

    test('ids are visible ASCII, never repeat and hold at least 128 bits', async () => {
      const store = await make({ max: 2, ttlMs: 60_000 });
      const ids = new Set<string>();
      for (let i = 0; i < 500; i++) ids.add((await store.create(initOf(null), i)).id);
      assert.equal(ids.size, 500);
      for (const id of ids) assert.match(id, /^[\w-]{22,64}$/);
    });

    describe('over time', { concurrency: true }, () => {
      test('does not know the session of another principal, and asking does not keep it alive', async () => {
        const ttlMs = 400;
        const store = await make({ max: 4, ttlMs });
        const time = timeOf();
        const made = await store.create(initOf('ada'), time.nowMs());
        await time.pass(ttlMs / 2);
        assert.equal(await store.get(made.id, 'bob', time.nowMs()), undefined);
        assert.equal(await store.get(made.id, null, time.nowMs()), undefined);
        await time.pass(ttlMs / 2 + ttlMs * GRACE);
        assert.equal(await store.get(made.id, 'ada', time.nowMs()), undefined);
      });

      /** Sweeps until the store has told of an ending. */
      const untilOver = async (store: SessionStore, time: StoreTime, ended: readonly string[]): Promise<void> => {
        for (let looks = 0; ended.length === 0 && looks < LOOKS_MAX; looks++) {
          store.sweep(time.nowMs());
          await time.pass(LOOK_MS);
        }
      };

      test('a session lives on while it is used, and ends when it is not', () =>
        // One that was not used in time, for the machine stood still, is over.
        undisturbed(TTL_MS / 4, async () => {
          const ttlMs = TTL_MS;
          const store = await make({ max: 4, ttlMs });
          const time = timeOf();
          const ended: string[] = [];
          store.onEnd = (session, why) => ended.push(`${session.id} ${why}`);
          const { id } = await store.create(initOf(null), time.nowMs());
          for (let i = 0; i < 8; i++) {
            await time.pass(ttlMs / 4);
            assert.equal((await store.get(id, null, time.nowMs()))?.id, id);
            store.sweep(time.nowMs());
          }
          assert.deepEqual(ended, []);
          await time.pass(ttlMs * (1 + GRACE));
          await untilOver(store, time, ended);
          assert.deepEqual(ended, [`${id} expired`]);
          assert.equal(await store.get(id, null, time.nowMs()), undefined);
          assert.equal(store.size, 0);
        }));

      test('a busy session lives on, and ends after its time when it is busy no more', () =>
        undisturbed(TTL_MS / 4, async () => {
          const ttlMs = TTL_MS;
          const store = await make({ max: 4, ttlMs });
          const time = timeOf();
          const ended: string[] = [];
          const { id } = await store.create(initOf(null), time.nowMs());
          const untilMs = time.nowMs() + ttlMs * (1 + GRACE);
          let isBusy = true;
          store.isBusy = (session) => isBusy && session.id === id;
          store.onEnd = (_session, why) => ended.push(why);
          while (time.nowMs() < untilMs) {
            await time.pass(LOOK_MS);
            store.sweep(time.nowMs());
          }
          assert.deepEqual(ended, []);
          assert.equal((await store.get(id, null, time.nowMs()))?.id, id);
          isBusy = false;
          await time.pass(ttlMs * (1 + GRACE));
          await untilOver(store, time, ended);
          assert.deepEqual(ended, ['expired']);
        }));
    });
  });
}
