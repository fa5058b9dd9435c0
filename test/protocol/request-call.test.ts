import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Job } from '../../src/dispatch/job.ts';
import type { AskRouter, Caller, RequestEnvelope } from '../../src/protocol/channel.ts';
import { fault } from '../../src/protocol/faults.ts';
import { REVISION_2025_11_25 } from '../../src/protocol/revisions.ts';
import { callerOf, entry, envelopeOf, FakeChannel, META, META_WITH_TASKS, methodsWith, request } from './fakes.ts';

const ENTRIES = [
  entry('tool', 'echo'),
  entry('tool', 'maybe', { task: 'optional' }),
  entry('tool', 'always', {
    task: 'required',
    definition: { taskOptions: { ttlMs: 9000, pollIntervalMs: 50 } } as never,
  }),
];
const RESULT = Buffer.from('{"jsonrpc":"2.0","id":1,"result":{}}');
const WISH = { ttlMs: 1000, pollIntervalMs: 10 };
const ASK = { askId: 3, method: 'elicitation/create', paramsJson: '{}', key: 'k' };

function start(name: string, params: object = {}, caller: Caller = callerOf(), rest: Partial<RequestEnvelope> = {}) {
  const table = methodsWith(ENTRIES);
  const channel = new FakeChannel();
  const run = () =>
    table.methods.request(caller, envelopeOf('tools/call', { name, _meta: META, ...params }, rest), channel);
  return { ...table, channel, run };
}

describe('a call', () => {
  test('is answered once, with what the job said', () => {
    const { run, channel, dispatcher, meters } = start('echo');
    const open = run();
    const job = dispatcher.last;
    job.outcome = 'tool-error';
    job.sink.completed(job, 200, RESULT);
    job.sink.refused(job, fault('timeout', 'late'));
    open?.cancel('late');
    assert.deepEqual([channel.answers, channel.status, channel.text], [1, 200, RESULT.toString()]);
    assert.deepEqual(meters.finished, [['tools/call', 'tool-error']]);
    assert.deepEqual(dispatcher.cancelled, []);
  });

  test('that ends while it is submitted leaves nothing open', () => {
    const { run, channel, dispatcher } = start('echo');
    dispatcher.onSubmit = (job) => job.sink.completed(job, 200, RESULT);
    assert.equal(run(), null);
    assert.equal(channel.answers, 1);
  });

  test('that is cancelled tells the dispatcher and nobody else', () => {
    const { run, channel, dispatcher, meters } = start('echo');
    const open = run();
    open?.cancel('gone');
    open?.cancel('again');
    const job = dispatcher.last;
    job.sink.completed(job, 200, RESULT);
    job.sink.emitted(job, RESULT);
    assert.deepEqual([channel.answers, channel.sent.length], [0, 0]);
    assert.deepEqual(dispatcher.cancelled, [[job, 'gone']]);
    assert.deepEqual(meters.finished, [['tools/call', 'cancelled']]);
  });

  for (const [name, status, outcome] of [
    ['overloaded', 503, 'shed'],
    ['draining', 503, 'shed'],
    ['timeout', 200, 'timeout'],
    ['workerLost', 200, 'lost'],
    ['quarantined', 200, 'lost'],
    ['internal', 200, 'internal'],
    ['resultTooLarge', 200, 'internal'],
    ['missingCapability', 400, 'invalid'],
  ] as const) {
    test(`refused as ${name}: ${status}, counted as ${outcome}`, () => {
      const { run, channel, dispatcher, meters } = start('echo');
      run();
      dispatcher.last.sink.refused(dispatcher.last, fault(name, 'why', { a: 1 }));
      assert.equal(channel.status, status);
      assert.deepEqual(channel.json.error?.data, { a: 1 });
      assert.deepEqual(meters.finished, [['tools/call', outcome]]);
    });
  }

  test('whose id was never read is refused with it: at once from the lent body, later from the dispatcher', () => {
    for (const later of [false, true]) {
      const body = request('tools/call', { name: 'echo' }, 'x-7');
      const { run, channel, dispatcher } = start('echo', {}, callerOf(), { idJson: '', params: null, body });
      const refuse = (job: Job): void => job.sink.refused(job, fault('overloaded', 'full', { retryAfterMs: 20 }));
      if (!later) dispatcher.onSubmit = refuse;
      run();
      body.fill(0x20);
      if (later) refuse(dispatcher.last);
      assert.equal(channel.json.id, 'x-7');
      assert.equal(channel.retryAfterMs, 20);
    }
  });

  test('whose body is no message is refused without an id', () => {
    const { run, channel, dispatcher } = start('echo', {}, callerOf(), {
      idJson: '',
      params: null,
      body: Buffer.from('{'),
    });
    run();
    dispatcher.last.sink.refused(dispatcher.last, fault('timeout', 'late'));
    assert.equal('id' in channel.json, false);
  });
});

describe('what a call says before its answer', () => {
  test('notifications and early release go to the channel', () => {
    const { run, channel, dispatcher } = start('echo');
    run();
    dispatcher.last.sink.emitted(dispatcher.last, Buffer.from('{"n":1}'));
    dispatcher.last.sink.releasedConnection(dispatcher.last, 250);
    assert.deepEqual([channel.sent, channel.released], [['{"n":1}'], 250]);
  });

  test('questions go to the client of a session, and are forgotten at the end', () => {
    const forgotten: Job[] = [];
    const asks: AskRouter = { open: (_job, ask) => `{"ask":${ask.askId}}`, forget: (job) => void forgotten.push(job) };
    const { run, channel, dispatcher } = start('echo', {}, callerOf(REVISION_2025_11_25, { asks }));
    run();
    const job = dispatcher.last;
    job.sink.asked(job, ASK);
    assert.deepEqual(channel.sent, ['{"ask":3}']);
    assert.deepEqual(forgotten, []);
    job.sink.completed(job, 200, RESULT);
    assert.deepEqual(forgotten, [job]);
  });

  test('questions nobody can carry are answered with an error', () => {
    const { run, channel, dispatcher } = start('echo');
    run();
    dispatcher.last.sink.asked(dispatcher.last, ASK);
    assert.deepEqual(channel.sent, []);
    assert.deepEqual(dispatcher.answered, [
      [3, null, { code: -32603, message: 'this call has no connection that can carry questions' }],
    ]);
  });
});

describe('a tool whose calls are tasks', () => {
  const TASK_RESULT = '{"jsonrpc":"2.0","id":1,"result":{"resultType":"task","taskId":"task-1"}}';

  test('answers with the task, which then gets all events', () => {
    const { run, channel, dispatcher, tasks } = start('always', { _meta: META_WITH_TASKS });
    assert.equal(run(), null);
    assert.deepEqual(tasks.calls, [['create', null, { ttlMs: 9000, pollIntervalMs: 50 }]]);
    assert.equal(channel.text, TASK_RESULT);
    const job = dispatcher.last;
    assert.equal(job.extras?.taskId, 'task-1');
    assert.equal(job.timeoutMs, 60_000);
    job.sink.emitted(job, RESULT);
    job.sink.asked(job, ASK);
    job.sink.becameTask(job, WISH);
    job.sink.releasedConnection(job, 1);
    job.sink.completed(job, 200, RESULT);
    assert.deepEqual(tasks.sink.events, ['emitted', 'asked', 'becameTask', 'releasedConnection', 'completed 200']);
    assert.equal(channel.answers, 1);
  });

  test('runs as a plain call where a task is only possible', () => {
    const { run, channel, dispatcher, tasks } = start('maybe');
    run();
    dispatcher.last.sink.completed(dispatcher.last, 200, RESULT);
    assert.deepEqual([tasks.calls, channel.text], [[], RESULT.toString()]);
  });

  test('is refused where a task is the only way, in the manner of the era', () => {
    const data = { requiredCapabilities: { extensions: { 'io.modelcontextprotocol/tasks': {} } } };
    for (const [caller, status] of [
      [callerOf(), 400],
      [callerOf(REVISION_2025_11_25), 200],
    ] as const) {
      const { run, channel, dispatcher } = start('always', {}, caller);
      assert.equal(run(), null);
      assert.deepEqual([channel.status, channel.json.error?.code, channel.json.error?.data], [status, -32021, data]);
      assert.equal(dispatcher.jobs.length, 0);
    }
  });

  test('that is refused on submission is an error, not a task', () => {
    const { run, channel, dispatcher, tasks } = start('always', { _meta: META_WITH_TASKS });
    dispatcher.onSubmit = (job) => job.sink.refused(job, fault('overloaded', 'full'));
    run();
    assert.deepEqual([channel.answers, channel.status], [1, 503]);
    // Nobody goes on with what its client was refused.
    assert.deepEqual(tasks.sink.events, []);
    assert.deepEqual(tasks.calls.at(-1), ['drop', 'task-1']);
  });

  test('is refused when there is no room for its task', () => {
    const { run, channel, dispatcher, tasks } = start('always', { _meta: META_WITH_TASKS });
    tasks.created = fault('limitReached', 'too many tasks');
    run();
    assert.deepEqual([channel.status, dispatcher.jobs.length], [503, 0]);
  });

  test('waits for a slow store with its own copy of the body', async () => {
    const body = request('tools/call', { name: 'always' });
    const { run, channel, dispatcher, tasks } = start('always', { _meta: META_WITH_TASKS }, callerOf(), { body });
    const created = tasks.created;
    tasks.created = Promise.resolve(created);
    const expected = body.toString();
    run();
    body.fill(0);
    assert.equal(dispatcher.jobs.length, 0);
    await tasks.created;
    assert.equal(dispatcher.bodies[0], expected);
    assert.equal(channel.text, TASK_RESULT);
  });

  test('whose client leaves meanwhile does not start, and its task is forgotten', async () => {
    const { run, channel, dispatcher, tasks } = start('always', { _meta: META_WITH_TASKS });
    tasks.created = Promise.resolve(tasks.created);
    run()?.cancel('gone');
    await tasks.created;
    assert.deepEqual([dispatcher.jobs.length, channel.answers], [0, 0]);
    assert.deepEqual(tasks.calls.at(-1), ['drop', 'task-1']);
  });

  test('whose store fails is an internal error', async () => {
    const { run, channel, log, tasks } = start('always', { _meta: META_WITH_TASKS });
    const failing = Promise.reject(new Error('disk'));
    tasks.created = failing;
    run();
    await failing.catch(() => undefined);
    assert.deepEqual([channel.json.error?.code, log.errors], [-32603, ['a task could not be created']]);
  });
});

describe('a call that becomes a task on its way', () => {
  test('is answered with the task, though its id was never read', () => {
    const body = request('tools/call', { name: 'echo' }, 'x-7');
    const { run, channel, dispatcher, tasks } = start('echo', {}, callerOf(), { idJson: '', params: null, body });
    const open = run();
    const job = dispatcher.last;
    job.sink.becameTask(job, WISH);
    assert.deepEqual(tasks.calls, [['create', null, WISH]]);
    assert.deepEqual(dispatcher.tasksStarted, [['task-1', 60_000]]);
    assert.deepEqual([channel.json.id, channel.json.result], ['x-7', { resultType: 'task', taskId: 'task-1' }]);
    open?.cancel('the client has its answer and may go');
    assert.deepEqual(dispatcher.cancelled, []);
    job.sink.completed(job, 200, RESULT);
    assert.deepEqual(tasks.sink.events, ['completed 200']);
    assert.equal(channel.answers, 1);
  });

  test('goes on as it was when there is no room for a task', () => {
    const { run, channel, dispatcher, tasks } = start('echo');
    tasks.created = fault('limitReached', 'too many tasks');
    run();
    const job = dispatcher.last;
    job.sink.becameTask(job, WISH);
    assert.deepEqual(dispatcher.tasksStarted, [['', 0]]);
    job.sink.completed(job, 200, RESULT);
    assert.equal(channel.text, RESULT.toString());
  });

  test('that ended before its task was stored leaves no task behind', async () => {
    const { run, channel, dispatcher, tasks } = start('echo');
    tasks.created = Promise.resolve(tasks.created);
    run();
    const job = dispatcher.last;
    job.sink.becameTask(job, WISH);
    job.sink.completed(job, 200, RESULT);
    await tasks.created;
    assert.equal(channel.text, RESULT.toString());
    assert.deepEqual(tasks.calls.at(-1), ['drop', 'task-1']);
    assert.deepEqual(dispatcher.tasksStarted, []);
  });
});
