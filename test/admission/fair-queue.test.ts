/** The queue against a model made of arrays, and the fairness that round robin promises. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { FairQueue } from '../../src/admission/fair-queue.ts';
import type { Job } from '../../src/dispatch/job.ts';
import { makeEntry, makeJob } from './make-job.ts';

const entry = makeEntry(1);

/** Round robin in the plainest words: a list of lines, the first one is next. */
class ModelQueue {
  lines: { share: string; jobs: Job[] }[] = [];
  push(job: Job): void {
    const line = this.lines.find((l) => l.share === job.share);
    if (line) line.jobs.push(job);
    else this.lines.push({ share: job.share, jobs: [job] });
  }
  shift(): Job | null {
    const line = this.lines.shift();
    if (line === undefined) return null;
    const job = line.jobs.shift() ?? null;
    if (line.jobs.length > 0) this.lines.push(line);
    return job;
  }
  remove(job: Job): void {
    for (const line of this.lines) line.jobs = line.jobs.filter((j) => j !== job);
    this.lines = this.lines.filter((l) => l.jobs.length > 0);
  }
  get jobs(): Job[] {
    return this.lines.flatMap((l) => l.jobs);
  }
}

const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant('push' as const), n: fc.nat(4) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('shift' as const), n: fc.nat(0) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('remove' as const), n: fc.nat(50) }) },
);

describe('FairQueue', () => {
  test('behaves as a list of lines served in turn, with exact counts and the longest line known', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
        const queue = new FairQueue();
        const model = new ModelQueue();
        for (const { do: what, n } of steps) {
          if (what === 'push') {
            const job = makeJob(entry, `share-${n}`);
            queue.push(job, null);
            model.push(job);
          } else if (what === 'shift') assert.equal(queue.shift(), model.shift());
          else {
            const jobs = model.jobs;
            const job = jobs[n % Math.max(1, jobs.length)];
            if (job !== undefined) {
              queue.remove(job);
              model.remove(job);
            }
          }
          assert.equal(queue.size, model.jobs.length);
          assert.equal(queue.head(), model.lines[0]?.jobs[0] ?? null);
          assert.equal(queue.longest()?.count ?? 0, Math.max(0, ...model.lines.map((l) => l.jobs.length)));
          for (const line of model.lines) assert.equal(queue.countOf(line.share), line.jobs.length);
          const longest = queue.longest();
          if (longest) assert.equal(longest.newest, model.lines.find((l) => l.share === longest.share)?.jobs.at(-1));
        }
        assert.equal([...queue.backlogs()].length, model.lines.length, 'empty shares are dropped');
      }),
      { numRuns: 300 },
    );
  });

  test('serves shares that always have work equally, whatever others do', () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 8 }), fc.array(fc.nat(9), { maxLength: 200 }), (k, noise) => {
        const queue = new FairQueue();
        const served = new Array<number>(k).fill(0);
        for (let i = 0; i < k * 3; i++) queue.push(makeJob(entry, `busy-${i % k}`), null);
        for (const n of noise) {
          if (n < 4) queue.push(makeJob(entry, `visitor-${n}`), null);
          const job = queue.shift();
          assert.ok(job);
          if (!job.share.startsWith('busy')) continue;
          served[Number(job.share.slice(5))]!++;
          queue.push(makeJob(entry, job.share), null);
          assert.ok(Math.max(...served) - Math.min(...served) <= 1, `served ${served}`);
        }
      }),
      { numRuns: 200 },
    );
  });

  test('removing a job that does not wait is a bug and says so', () => {
    assert.throws(() => new FairQueue().remove(makeJob(entry, 'a')), /only a waiting job/);
  });
});
