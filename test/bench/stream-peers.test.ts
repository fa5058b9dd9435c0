/** Every way that streams are compared with comes to the same results at every job, and one that does not is not timed. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { JOB_NAMES, jobOf } from '../../bench/streams/job.ts';
import { measure } from '../../bench/streams/measure.ts';
import type { Peer } from '../../bench/streams/peer.ts';
import { PEERS } from '../../bench/streams/peer-list.ts';
import { mapOverRows } from '../../bench/streams/peer-map.ts';

const EVENTS = 200;
/** Few events a key, so that what is exact only up to a number of them is. */
const KEYS = 500;

describe('ways of doing a job', () => {
  for (const name of JOB_NAMES) {
    test(`${name}: agree with plain Maps`, async () => {
      for (const peer of PEERS) {
        const measured = await measure(peer, jobOf(name, KEYS, EVENTS), 1);
        assert.ok(!('refused' in measured) && measured.check.count >= EVENTS, peer.name);
      }
    });
  }

  test('one that counts wrong has no figure', async () => {
    const job = jobOf('distinct', KEYS, EVENTS);
    const wrong: Peer = {
      ...mapOverRows,
      name: 'wrong',
      prepare: (given) => ({
        run: () => {
          const totals = mapOverRows.prepare(given).run() as { extra: number };
          return { ...totals, extra: totals.extra + 1 } as never;
        },
      }),
    };
    await assert.rejects(measure(wrong, job, 3), /^Error: wrong comes to .*plain Maps to /);
  });
});
