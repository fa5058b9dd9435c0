/**
 * Questions that end threads: the answer says which part of the keys is missing in it, and state goes on.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { StreamDefinition } from '../../../src/streams/define/definition.ts';
import { type ApplyResult, type ApplyTask, ThreadLost } from '../../../src/streams/engine/task.ts';
import { LocalThreads } from '../../../src/streams/engine/threads/local-threads.ts';
import { newestResults } from '../../../src/streams/mcp/newest.ts';
import { EVERYTHING } from '../rig-parts.ts';
import { openRig } from './rig.ts';
import { ALL_AWAY } from './spill-case.ts';

const KEYS = 40;

const streamOf = (limits: StreamDefinition['limits'] & object): StreamDefinition => ({
  name: 's',
  schema: { fields: { at: 'integer', k: 'string' }, timestamp: { field: 'at' }, key: ['k'] },
  limits,
  windows: [{ name: 'w', type: 'tumbling', sizeMs: 100, aggregates: { n: 'count' } }],
});

const events = Array.from({ length: KEYS }, (_, i) => ({ at: 1, k: `k${i}` }));

interface Death {
  /** Whoever is asked of the first shard ends, or throws. */
  how: 'no' | 'ends' | 'hangs' | 'throws';
}

class Mortal extends LocalThreads {
  override readonly size = 2;
  readonly #death: Death;
  constructor(parts: ConstructorParameters<typeof LocalThreads>[0], death: Death) {
    super(parts);
    this.#death = death;
  }
  override async apply(task: ApplyTask): Promise<ApplyResult> {
    const { how } = this.#death;
    const at = task.steps.findIndex(({ kind }) => kind === 'query');
    if (how === 'no' || at < 0 || !task.shards.some(({ shard }) => shard === 0)) return super.apply(task);
    await super.apply({ ...task, steps: task.steps.slice(0, at) });
    if (how === 'throws') throw new Error('a bug');
    if (how === 'hangs') Atomics.store(new Int32Array(task.progress), 0, at + 1);
    throw new ThreadLost('worker exited', how === 'hangs');
  }
}

const QUERY = { ...EVERYTHING, stream: 's', name: 'w' };

for (const how of ['ends', 'hangs', 'throws'] as const) {
  for (const limits of [{}, ALL_AWAY]) {
    const where = limits === ALL_AWAY ? 'on disk' : 'in memory';
    test(`an answer without the shards of a thread that ${how} over it (${where}) says so`, async () => {
      const death: Death = { how: 'no' };
      const rig = await openRig([streamOf(limits)], { threads: (parts) => new Mortal(parts, death) });
      try {
        // What has no room goes to disk in the round after the one that has shown it.
        for (let i = 0; i < 2; i++) await rig.send('s', events);
        death.how = how;
        const some = await rig.service.query({ ...QUERY, include: 'all' });
        // What is on disk is shared among the threads, what is in memory is too little to be.
        const missing = limits === ALL_AWAY ? [0, 2] : [0, 1, 2, 3];
        assert.deepEqual([some.truncated, some.truncatedBy], [true, ['unanswered']]);
        assert.deepEqual(
          some.unanswered.map(({ part }) => part),
          [`shards ${missing.join(', ')} of 4`],
        );
        assert.match(some.unanswered[0]?.why ?? '', /worker exited|a bug/);
        assert.equal(some.rows.length > 0, missing.length < 4);
        assert.ok(some.rows.length < KEYS);
        const newest = await newestResults(rig.service, 's', 'w');
        assert.deepEqual([newest.truncatedBy, newest.unanswered], [['unanswered'], some.unanswered]);
        // Closed results are in nobody's shard.
        const closed = await rig.service.query({ ...QUERY, include: 'closed' });
        assert.deepEqual([closed.truncatedBy, closed.unanswered], [[], []]);
        death.how = 'no';
        const all = await rig.service.query({ ...QUERY, include: 'all' });
        assert.deepEqual([all.rows.length, all.truncated, all.unanswered], [KEYS, false, []]);
      } finally {
        await rig.close();
      }
    });
  }
}
