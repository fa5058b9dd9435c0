/**
 * A call that another node runs keeps the promises of a local one.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { PeerAnswer } from '../../../src/cluster/peers/port.ts';
import { JOB_FLAG } from '../../../src/dispatch/job.ts';
import { fault } from '../../../src/protocol/faults.ts';
import { REVISION_2025_11_25 } from '../../../src/protocol/revisions.ts';
import { turns } from '../../frontend/scripted-handler.ts';
import { until } from '../peers/two-nodes.ts';
import { type CallRig, complete, type Served, startCallRig } from './call-rig.ts';

describe('a forwarded call', () => {
  let rig: CallRig;
  let b: Served;

  before(async () => {
    rig = await startCallRig();
    b = await rig.addNode('b');
  });
  after(() => rig.close());

  const arrived = async (count: number): Promise<void> => until(() => b.dispatcher.jobs.length >= count);

  test('arrives as it was made: body, revision, flags, share, extras, time left', async () => {
    const extras = {
      principal: { id: 'ada', scopes: ['a'], claims: { n: 1 } },
      trace: { traceparent: '00-1-2-03', tracestate: 'x=y' },
      correlationId: 'ü 7',
      paramHeaders: { 'mcp-param-a': 'b' },
      logLevel: 'debug',
    };
    const body = '{"jsonrpc":"2.0","id":7,"params":{"text":"\\n ü"}}\n';
    const { listener } = rig.call('tool', { extras, body, flags: JOB_FLAG.CAN_STREAM, timeoutMs: 70_000 });
    await arrived(1);
    const { job, body: got } = b.dispatcher.jobs[0] as (typeof b.dispatcher.jobs)[number];
    assert.equal(got, body);
    assert.deepEqual(job.extras, extras);
    assert.equal(job.revision, REVISION_2025_11_25);
    assert.deepEqual([job.flags, job.share, job.entry.name], [JOB_FLAG.CAN_STREAM, 'share', 'tool']);
    assert.ok(job.timeoutMs > 20_000 && job.timeoutMs <= 70_000, String(job.timeoutMs));
    complete(job, '{"result":"ü"}');
    assert.equal(await listener.ended, 'completed 200 ok {"result":"ü"}');
  });

  test('is answered whole when it ends at once, status and outcome as they are', async () => {
    b.dispatcher.onSubmit = (job) => {
      job.outcome = 'tool-error';
      job.sink.completed(job, 400, Buffer.from('{"a":\n1}'));
    };
    const { listener, job } = rig.call('tool');
    assert.equal(await listener.ended, 'completed 400 tool-error {"a":\n1}');
    assert.ok(job.settled && job.endedAtMs >= job.acceptedAtMs);
    b.dispatcher.onSubmit = null;
  });

  test('carries progress, logs, releases and a large result, in order', async () => {
    const before = b.dispatcher.jobs.length;
    const { listener } = rig.call('tool');
    await arrived(before + 1);
    const job = b.dispatcher.last;
    const emit = (text: string, progress?: number): void => {
      if (progress !== undefined) job.progress = progress;
      job.sink.emitted(job, Buffer.from(text));
    };
    emit('{"log":1}');
    emit('{"progress":0.5}', 0.5);
    emit('{"log":2}');
    emit('{"progress":3}', 3);
    job.sink.releasedConnection(job, 250);
    const large = JSON.stringify({ text: 'é\\n'.repeat(300_000) });
    complete(job, large);
    assert.equal(await listener.ended, `completed 200 ok ${large}`);
    assert.deepEqual(listener.heard, [
      'emitted {"log":1}',
      'emitted {"progress":0.5}',
      'emitted {"log":2}',
      'emitted {"progress":3}',
      'released 250',
    ]);
  });

  test('asks its client, and the answers find the tool', async () => {
    const before = b.dispatcher.jobs.length;
    const { listener, job: asked } = rig.call('tool');
    await arrived(before + 1);
    const job = b.dispatcher.last;
    const ask = { askId: 3, method: 'elicitation/create', paramsJson: '{"message":"?"}', key: 'k' };
    job.sink.asked(job, ask);
    await until(() => listener.heard.length === 1);
    assert.deepEqual(JSON.parse((listener.heard[0] as string).slice('asked '.length)), ask);
    rig.calls.answer(asked, 3, '{"action":"accept"}', null);
    rig.calls.answer(asked, 4, null, { code: -1, message: 'no' });
    await until(() => b.dispatcher.heard.length === 2);
    assert.deepEqual(b.dispatcher.heard.splice(0).sort(), [
      'answer 3 {"action":"accept"} null',
      'answer 4 null {"code":-1,"message":"no"}',
    ]);
    complete(job, 'done');
    assert.equal(await listener.ended, 'completed 200 ok done');
  });

  test('becomes a task, with the time a task has', async () => {
    const before = b.dispatcher.jobs.length;
    const { listener, job: forwarded } = rig.call('tool', { timeoutMs: 15_000 });
    await arrived(before + 1);
    const job = b.dispatcher.last;
    job.sink.becameTask(job, { ttlMs: null, pollIntervalMs: 5 });
    await until(() => listener.heard.length === 1);
    assert.equal(listener.heard[0], 'task {"ttlMs":null,"pollIntervalMs":5}');
    assert.equal(Buffer.from(rig.calls.bodyOf(forwarded) ?? []).toString(), '{"jsonrpc":"2.0"}');
    rig.calls.taskStarted(forwarded, 'task-1', 3_600_000);
    await until(() => b.dispatcher.heard.includes('task task-1 3600000'));
    b.dispatcher.heard.length = 0;
    assert.ok(forwarded.deadlineAtMs - performance.now() > 3_000_000);
    complete(job, 'done');
    assert.equal(await listener.ended, 'completed 200 ok done');
    assert.equal(rig.calls.size, 0);
  });

  test('cancelled, it is cancelled there and says nothing more', async () => {
    const before = b.dispatcher.jobs.length;
    const { listener, job: forwarded } = rig.call('once');
    await arrived(before + 1);
    const job = b.dispatcher.last;
    job.sink.emitted(job, Buffer.from('{}'));
    await until(() => listener.heard.length === 1);
    rig.calls.cancel(forwarded);
    await until(() => b.dispatcher.heard.includes('cancel once'));
    b.dispatcher.heard.length = 0;
    assert.deepEqual([rig.calls.size, forwarded.settled, b.served.size], [0, true, 0]);
    complete(job, 'too late');
    assert.equal(listener.heard.length, 1);
  });

  test('past its deadline it is refused here and cancelled there, though the tool does not stop', async () => {
    const before = b.dispatcher.jobs.length;
    // One that arrived: a machine that stands still for as long sends none.
    while (b.dispatcher.jobs.length === before) {
      const { listener } = rig.call('once', { timeoutMs: 500 });
      assert.equal(await listener.ended, 'refused timeout');
    }
    await until(() => b.dispatcher.heard.includes('cancel once'));
    b.dispatcher.heard.length = 0;
  });

  test('refused by the tool, or by a fault this version does not know, it is refused', async () => {
    b.dispatcher.onSubmit = (job) => {
      setImmediate(() => job.sink.refused(job, fault('quarantined', 'kept out', { retryAfterMs: 5 })));
    };
    const known = rig.call('tool');
    assert.equal(await known.listener.ended, 'refused quarantined');
    assert.deepEqual(known.listener.fault, fault('quarantined', 'kept out', { retryAfterMs: 5 }));
    b.dispatcher.onSubmit = (job) => {
      setImmediate(() => job.sink.refused(job, { ...fault('internal', 'x'), name: 'newer' as never }));
    };
    assert.equal(await rig.call('tool').listener.ended, 'refused internal');
    b.dispatcher.onSubmit = null;
  });

  test('one call too many is refused at once', async () => {
    const before = b.dispatcher.jobs.length;
    const held = Array.from({ length: 50 }, () => rig.call('once'));
    assert.equal(await rig.call('once').listener.ended, 'refused overloaded');
    await arrived(before + 50);
    for (const { job } of b.dispatcher.jobs.slice(before)) complete(job, 'done');
    for (const { listener } of held) assert.equal(await listener.ended, 'completed 200 ok done');
  });
});

describe('a call whose node fails', () => {
  /** Two nodes; each call that comes goes to `react` with the node it came to. */
  async function twoNodes(react: (nth: number, node: Served, job: Served['dispatcher']['last']) => void) {
    const rig = await startCallRig({ forwardMsMax: 30_000 });
    const nodes = [await rig.addNode('b'), await rig.addNode('c')];
    let nth = 0;
    for (const node of nodes) {
      node.dispatcher.onSubmit = (job) => react(nth++, node, job);
    }
    const executions = (): number => nodes.reduce((sum, { dispatcher }) => sum + dispatcher.jobs.length, 0);
    return { rig, nodes, executions };
  }

  const die = (node: Served): void => {
    node.node.peers.close();
    void node.node.front.close();
  };

  test('mid-call: an idempotent one is answered by another node', async () => {
    const { executions, rig } = await twoNodes((nth, node, job) => {
      if (nth > 0) return complete(job, 'second');
      job.progress = 2;
      job.sink.emitted(job, Buffer.from('{"progress":2}'));
      setImmediate(() => die(node));
    });
    try {
      const { listener, job } = rig.call('tool');
      assert.equal(await listener.ended, 'completed 200 ok second');
      assert.deepEqual([executions(), job.attempts, rig.calls.retries], [2, 1, 1]);
    } finally {
      await rig.close();
    }
  });

  test('mid-call: any other is refused, the outcome unknown, and executed once', async () => {
    const { executions, rig } = await twoNodes((_nth, node, job) => {
      job.sink.emitted(job, Buffer.from('{"progress":2}'));
      setImmediate(() => die(node));
    });
    try {
      const { listener } = rig.call('once');
      assert.equal(await listener.ended, 'refused outcomeUnknown');
      assert.match(listener.fault?.message ?? '', /node [bc], which ran tool once, was lost/);
      assert.equal(executions(), 1);
    } finally {
      await rig.close();
    }
  });

  test('an idempotent one that has asked its client is not repeated either', async () => {
    const { executions, rig } = await twoNodes((_nth, node, job) => {
      job.sink.asked(job, { askId: 1, method: 'm', paramsJson: '{}', key: '' });
      setTimeout(() => die(node), 100);
    });
    try {
      assert.equal(await rig.call('tool').listener.ended, 'refused outcomeUnknown');
      assert.equal(executions(), 1);
    } finally {
      await rig.close();
    }
  });

  test('not taken by the first (overloaded, or not there): the second runs it, whatever it is', async () => {
    const { executions, nodes, rig } = await twoNodes((nth, _node, job) => {
      if (nth === 0) job.sink.refused(job, fault('overloaded', 'full', { retryAfterMs: 9 }));
      else complete(job, 'second');
    });
    try {
      assert.equal(await rig.call('once').listener.ended, 'completed 200 ok second');
      assert.equal(executions(), 2);
      await (nodes[0] as Served).node.close();
      await turns();
      for (let n = 0; n < 4; n++) assert.equal(await rig.call('once').listener.ended, 'completed 200 ok second');
      assert.equal(executions(), 6);
    } finally {
      await rig.close();
    }
  });

  test('overloaded everywhere: the client is told what the last node said', async () => {
    const { executions, rig } = await twoNodes((_nth, _node, job) =>
      job.sink.refused(job, fault('overloaded', 'full', { retryAfterMs: 9 })),
    );
    try {
      const { listener } = rig.call('once');
      assert.equal(await listener.ended, 'refused overloaded');
      assert.deepEqual([listener.fault?.data, executions()], [{ retryAfterMs: 9 }, 2]);
    } finally {
      await rig.close();
    }
  });

  test('retries end with the budgets of the nodes', async () => {
    const { executions, rig } = await twoNodes((_nth, _node, job) =>
      job.sink.refused(job, fault('overloaded', 'full', { retryAfterMs: 9 })),
    );
    try {
      for (let n = 0; n < 40; n++) await rig.call('once').listener.ended;
      // For each node ten to begin with, and one in ten calls.
      assert.ok(executions() >= 60 && executions() <= 64, String(executions()));
    } finally {
      await rig.close();
    }
  });

  test('no node, or none that can be reached: a fault that names the tool and may be tried again', async () => {
    const rig = await startCallRig();
    try {
      const none = rig.call('tool').listener;
      assert.equal(await none.ended, 'refused unavailable');
      assert.match(none.fault?.message ?? '', /no node of the cluster runs tool tool/);
      rig.membership.set('gone', { tools: ['once', 'tool'], url: 'http://127.0.0.1:1' });
      for (let n = 0; n < 8; n++) assert.equal(await rig.call('once').listener.ended, 'refused unavailable');
      assert.equal(rig.choice.openBreakers, 1);
      const open = rig.call('once').listener;
      assert.equal(await open.ended, 'refused unavailable');
      assert.match(open.fault?.message ?? '', /cannot be reached right now/);
    } finally {
      await rig.close();
    }
  });

  test('a node that has another secret is not asked for ever', async () => {
    const rig = await startCallRig();
    const stranger = await rig.addNode('stranger', { secret: 'quite another secret than the one of the others' });
    try {
      assert.equal(await rig.call('once').listener.ended, 'refused unavailable');
      assert.equal(stranger.dispatcher.jobs.length, 0);
    } finally {
      await rig.close();
    }
  });
});

describe('what a node refuses to run for others', () => {
  test('a tool it would forward itself, and one it does not know: refused, not handed on', async () => {
    const rig = await startCallRig();
    const b = await rig.addNode('b');
    try {
      for (const tool of ['elsewhere', 'unknown']) {
        const facts = {
          id: '1',
          tool,
          revision: '2025-11-25',
          flags: 0,
          share: 's',
          deadlineMs: 1000,
          wholeMs: 10,
          extras: null,
        };
        const answer = await rig.asker.peers.ask('b', { path: 'call', facts, body: '{}', timeoutMs: 5000 });
        assert.match(Buffer.from(answer.body).toString(), /"taken":false/);
      }
      assert.equal(b.dispatcher.jobs.length, 0);
      assert.equal(b.served.size, 0);
    } finally {
      await rig.close();
    }
  });

  test('facts of no call, and answers to calls that are over, do no harm', async () => {
    const rig = await startCallRig();
    const b = await rig.addNode('b');
    try {
      const ask = async (path: string, facts: object): Promise<number> =>
        (await rig.asker.peers.ask('b', { path, facts, body: '', timeoutMs: 5000 })).status;
      assert.equal(await ask('call', { id: 4, tool: [] }), 200);
      assert.equal(await ask('call/answer', { id: 'x', askId: 1, error: null }), 404);
      assert.equal(await ask('call/task', { id: 'x', taskId: 't', deadlineMs: 1 }), 404);
      assert.equal(await ask('call/answer', { nonsense: true }), 404);
      assert.equal(b.dispatcher.jobs.length, 0);
    } finally {
      await rig.close();
    }
  });

  test('a call that has ended takes nothing from a later one of its number: its asker was started anew', async () => {
    const rig = await startCallRig();
    const b = await rig.addNode('b');
    try {
      const number = '1';
      const call = (): Promise<PeerAnswer> => {
        const own = { tool: 'tool', revision: '2025-11-25', flags: 0, share: 's', extras: null };
        const facts = { id: number, ...own, deadlineMs: 60_000, wholeMs: 30_000 };
        return rig.asker.peers.ask('b', { path: 'call', facts, body: '{}', timeoutMs: 30_000 });
      };
      const older = call();
      await until(() => b.dispatcher.jobs.length === 1);
      const first = b.dispatcher.last;
      const later = call();
      await until(() => b.dispatcher.jobs.length === 2);
      complete(first, 'first');
      await older;
      const facts = { id: number, askId: 7, error: null };
      const told = await rig.asker.peers.ask('b', { path: 'call/answer', facts, body: '"yes"', timeoutMs: 5000 });
      assert.equal(told.status, 200);
      assert.deepEqual(b.dispatcher.heard, ['answer 7 "yes" null']);
      complete(b.dispatcher.last, 'second');
      await later;
      assert.equal(b.served.size, 0);
    } finally {
      await rig.close();
    }
  });
});
