/**
 * Questions asked all at once: how many of them a round answers, who is refused, and that records have their turn between.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { StreamDefinition } from '../../../src/streams/define/definition.ts';
import { QUESTIONS_MAX, type QueryStep, Questions, WAIT_MS_MAX } from '../../../src/streams/engine/questions.ts';
import type { ApplyResult, ApplyTask } from '../../../src/streams/engine/task.ts';
import { LocalThreads } from '../../../src/streams/engine/threads/local-threads.ts';
import { openRig, refusalOf } from './rig.ts';

const SECOND_US = 1_000_000;

const STREAM: StreamDefinition = {
  name: 's',
  schema: { fields: { at: 'integer', k: 'string' }, timestamp: { field: 'at' }, key: ['k'] },
  time: { maxFutureMs: 0, idleAfterMs: 0 },
  windows: [{ name: 'w', type: 'tumbling', sizeMs: 1000, aggregates: { n: 'count' } }],
};

const stepOf = (id: number): QueryStep => ({
  kind: 'query',
  id,
  operator: 0,
  query: { key: null, match: null, fromMs: -Infinity, toMs: Infinity, by: '', limit: 1 },
});

/** Ids by round, each of whose questions cost so much, until none waits. */
function roundsOf(questions: Questions, us: number): number[][] {
  const rounds: number[][] = [];
  for (;;) {
    const asked = questions.take(0).asked.map(({ id }) => id);
    if (asked.length === 0) return rounds;
    rounds.push(asked);
    // Two shards.
    questions.answered(asked.flatMap((id) => [id, id]).map((id) => ({ id, us: us / 2 })));
  }
}

function asking(count: number): Questions {
  const questions = new Questions();
  for (let id = 0; id < count; id++) questions.add(stepOf(id), 0);
  return questions;
}

test('of cheap questions rounds soon answer many, of dear ones one, in the order in which they were asked', () => {
  const cheap = roundsOf(asking(60), 10);
  assert.deepEqual(
    cheap.map(({ length }) => length),
    [1, 2, 4, 8, 16, 16, 13],
  );
  assert.deepEqual(
    cheap.flat(),
    Array.from({ length: 60 }, (_, id) => id),
  );
  assert.deepEqual(roundsOf(asking(3), SECOND_US), [[0], [1], [2]]);
  assert.deepEqual(
    roundsOf(asking(8), 30_000).map(({ length }) => length),
    [1, 2, 3, 2],
  );
});

test('who has waited too long is refused once others go before, and not when it is next', () => {
  const questions = asking(3);
  questions.add(stepOf(3), 1);
  const { asked, overdue } = questions.take(WAIT_MS_MAX);
  assert.deepEqual([asked.map(({ id }) => id), overdue], [[0], [1, 2]]);
  assert.deepEqual(
    questions.take(10 * WAIT_MS_MAX).asked.map(({ id }) => id),
    [3],
  );
});

test('no more than so many wait', () => {
  const questions = asking(QUESTIONS_MAX - 1);
  assert.equal(questions.isFull, false);
  questions.add(stepOf(QUESTIONS_MAX), 0);
  assert.equal(questions.isFull, true);
  assert.equal(questions.drop().length, QUESTIONS_MAX);
  assert.equal(questions.isFull, false);
});

/** Each question is dear, and takes its time by the clock of the test. */
class SlowAnswers extends LocalThreads {
  readonly tasks: string[] = [];
  passed: (ms: number) => void = () => undefined;

  override async apply(task: ApplyTask): Promise<ApplyResult> {
    const result = await super.apply(task);
    this.tasks.push(task.steps.map(({ kind }) => kind).join(' '));
    this.passed(1000 * result.queries.length);
    return { ...result, queries: result.queries.map((rows) => ({ ...rows, us: SECOND_US })) };
  }
}

test('an event that comes behind many dear questions waits for one, and who waits in vain is told so', async () => {
  let threads: SlowAnswers | undefined;
  const rig = await openRig([STREAM], {
    shards: 1,
    threads: (parts) => {
      threads = new SlowAnswers(parts);
      return threads;
    },
  });
  try {
    const { tasks } = threads as SlowAnswers;
    await rig.send('s', [{ at: 1, k: 'a' }]);
    tasks.length = 0;
    (threads as SlowAnswers).passed = (ms) => {
      rig.nowMs += ms;
    };
    const asked = Array.from({ length: 20 }, () => refusalOf(rig.rows('s', 'w', 'open')));
    const sent = rig.send('s', [{ at: 2, k: 'a' }]);
    const refusals = await Promise.all(asked);
    assert.deepEqual((await sent).accepted, 1);
    const first = tasks.findIndex((steps) => steps.includes('events'));
    assert.ok(first >= 0 && first <= 2, tasks.join('\n'));
    assert.ok(tasks.every((steps) => steps.split(' ').filter((kind) => kind === 'query').length <= 1));
    const answered = refusals.filter((refusal) => refusal === '').length;
    assert.equal(answered, WAIT_MS_MAX / 1000 + 1);
    assert.deepEqual(new Set(refusals), new Set(['', 'asked']));
    assert.equal((await rig.rows('s', 'w', 'open'))[0]?.values['n'], 2, 'it is answered again');
  } finally {
    await rig.close();
  }
});
