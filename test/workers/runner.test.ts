/**
 * The runner of a thread: whatever a tool returns, throws or leaves behind, its slot is brought to DONE with an answer
 * that carries the request's id, and the calls beside it do not notice.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { defineTool, ProtocolError } from '../../src/catalogue/define.ts';
import { STATE } from '../../src/dispatch/job-board.ts';
import { RAN } from '../../workers/runner.ts';
import { RunnerRig, textOf } from './runner-harness.ts';

const any = { type: 'object' } as const;

class HostileError extends Error {
  override get message(): string {
    throw new Error('no message for you');
  }
}

const cyclic: Record<string, unknown> = {};
cyclic['self'] = cyclic;

const THROWN: Record<string, () => unknown> = {
  nothing: () => undefined,
  'an object without prototype': () => Object.create(null),
  'an error whose message throws': () => new HostileError(),
  'an error whose stack is a number': () => Object.assign(new Error('x'), { stack: 42 }),
  'a protocol error with cyclic data': () => new ProtocolError(-32_000, 'no', cyclic),
  'a protocol error with a bigint': () => new ProtocolError(-32_000, 'no', { big: 1n }),
  'a revoked proxy': () => {
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    return proxy;
  },
};

const thrower = defineTool({ name: 'thrower', input: any }, (args) => {
  throw THROWN[String(args['what'])]?.();
});
const asyncThrower = defineTool({ name: 'async-thrower', input: any }, async (args) => {
  await null;
  throw THROWN[String(args['what'])]?.();
});

describe('what a handler throws', () => {
  for (const what of Object.keys(THROWN)) {
    for (const tool of ['thrower', 'async-thrower']) {
      test(`${tool} throws ${what}: one answer, with the id, and no stack`, async () => {
        const rig = new RunnerRig([thrower, asyncThrower]);
        const call = rig.call(tool, { args: { what } });
        const answer = await call.done;
        assert.equal(answer.message.id, call.sequence);
        assert.ok(answer.message.result !== undefined || answer.message.error !== undefined);
        assert.doesNotMatch(JSON.stringify(answer.message), /\.ts|\.js|at /);
        assert.equal(rig.board.current(0), -1);
        assert.equal(rig.runner.pending, 0);
      });
    }
  }
});

const thenable = defineTool({ name: 'thenable', input: any }, () => ({
  // biome-ignore lint/suspicious/noThenProperty: promises of other libraries are what is tested
  then(resolve: (value: string) => void) {
    resolve('later');
  },
}));
const rejected = defineTool({ name: 'rejected', input: { type: 'object', required: ['x'] } }, () => 'ran');
const plain = defineTool({ name: 'plain', input: any }, () => 'plain');
const waits = defineTool({ name: 'waits', input: any }, async (args) => {
  await new Promise((resolve) => setTimeout(resolve, Number(args['ms'])));
  return 'waited';
});
const large = defineTool({ name: 'large', input: any }, async (args) => 'ü'.repeat(Number(args['chars'])));

test('a thenable that is no Promise is waited for', async () => {
  const rig = new RunnerRig([thenable]);
  assert.equal(textOf(await rig.call('thenable').done), 'later');
});

test('a result larger than its slot is announced whole, with the sequence it belongs to', async () => {
  const rig = new RunnerRig([large]);
  const call = rig.call('large', { args: { chars: 20_000 } });
  assert.equal(textOf(await call.done).length, 20_000);
  assert.deepEqual(rig.heard('settled')[0]?.slice(0, 2), [call.slot, call.sequence]);
  assert.equal(rig.runner.overflow.length, 0);
});

describe('what may not start', () => {
  test('a slot that was assigned anew is not run for an old message', () => {
    const rig = new RunnerRig([plain]);
    rig.board.writeBody(0, Buffer.from('{}'), '');
    rig.board.publish(0, 0, 4, 0, 0, 7);
    assert.equal(rig.runner.run(0, 6, null, ''), RAN.DONE);
    assert.equal(rig.board.state(0), STATE.READY);
  });

  test('past its deadline: refused with its id', async () => {
    const rig = new RunnerRig([plain]);
    const call = rig.call('plain', { deadlineMs: -5 });
    const answer = await call.done;
    assert.equal(answer.outcome, 'timeout');
    assert.equal(answer.message.id, call.sequence);
  });

  test('cancelled while its module was loading', async () => {
    const rig = new RunnerRig([plain]);
    let load!: () => void;
    const entry = rig.entry('plain');
    rig.loading = new Promise((resolve) => {
      load = () => resolve(entry);
    });
    const call = rig.call('plain');
    rig.board.cancel(call.slot, 1);
    load();
    assert.equal((await call.done).outcome, 'timeout');
  });
});

describe('what is learnt about how long calls take', () => {
  test('nothing from a call whose arguments or envelope were refused', async () => {
    const rig = new RunnerRig([rejected, plain]);
    assert.equal((await rig.call('rejected').done).blockingUs, -1);
    assert.equal(
      (await rig.call('plain', { meta: { 'io.modelcontextprotocol/protocolVersion': 5 } }).done).blockingUs,
      -1,
    );
    assert.ok((await rig.call('plain').done).blockingUs >= 0);
  });

  test('waiting is not blocking, but counts for what the call may take at worst', async () => {
    const rig = new RunnerRig([waits]);
    let blockingUs = Number.POSITIVE_INFINITY;
    // What the machine takes for others while this thread has a call counts, too.
    for (let tries = 0; blockingUs >= 20_000 && tries < 20; tries++) {
      const answer = await rig.call('waits', { args: { ms: 40 } }).done;
      assert.ok(answer.wallUs >= 38_000, `${answer.wallUs}`);
      blockingUs = answer.blockingUs;
    }
    assert.ok(blockingUs < 20_000, `${blockingUs}`);
  });
});

test("the thread's header names the call while its result is encoded", async () => {
  const seen: number[] = [];
  let current = (): number => -1;
  const shown = { toJSON: () => seen.push(current()) };
  const rig = new RunnerRig([
    defineTool({ name: 'shows', input: any }, () => ({ shown })),
    defineTool({ name: 'shows-later', input: any }, async () => ({ shown })),
  ]);
  current = () => rig.board.current(0);
  const first = rig.call('shows');
  const second = rig.call('shows-later');
  await Promise.all([first.done, second.done]);
  assert.deepEqual(seen, [first.slot, second.slot]);
  assert.equal(rig.board.current(0), -1);
});

describe('changed built-in objects', () => {
  const strays = (rig: RunnerRig): unknown[] => rig.heard('stray').map((values) => values[0]);
  const pollutes = defineTool({ name: 'pollutes', input: any }, async () => {
    await null;
    (Object.prototype as unknown as Record<string, unknown>)['soiled'] = true;
    await new Promise((resolve) => setTimeout(resolve, 10));
    return 'done';
  });
  const fixed = defineTool({ name: 'fixed', input: any }, () => {
    Object.defineProperty(Map.prototype, 'get', {
      configurable: true,
      get() {
        throw new Error('no get');
      },
    });
    return 'done';
  });

  test('a call beside the one that did it is not blamed', async () => {
    const rig = new RunnerRig([pollutes, plain, waits]);
    const culprit = rig.call('pollutes');
    await null;
    await null;
    await rig.call('plain').done;
    assert.deepEqual(strays(rig), [-1]);
    await culprit.done;
    assert.deepEqual(strays(rig), [-1]);
  });

  test('a getter in place of a method is taken away again, and blamed on its maker', async () => {
    const rig = new RunnerRig([fixed, plain]);
    assert.equal(textOf(await rig.call('fixed').done), 'done');
    assert.deepEqual(strays(rig), [rig.entry('fixed').key]);
    assert.equal(new Map([[1, 2]]).get(1), 2);
  });
});

test('after its end a call says nothing more and asks nobody', async () => {
  let kept: Parameters<Parameters<typeof defineTool>[1]>[1] | null = null;
  const keeps = defineTool({ name: 'keeps', input: any }, (_args, context) => {
    kept = context;
    return 'kept';
  });
  const rig = new RunnerRig([keeps]);
  await rig.call('keeps', { meta: { progressToken: 1 }, capabilities: { elicitation: { form: {} } } }).done;
  const context = kept as unknown as Parameters<Parameters<typeof defineTool>[1]>[1];
  const before = rig.said.length;
  context.progress(1);
  context.log('error', 'late');
  context.releaseConnection();
  await context.startTask();
  await assert.rejects(context.elicit({ message: 'late' }), /ended/);
  assert.equal(rig.said.length, before);
  assert.equal(context.cancelled(), true);
});

test('progress and log records are right on the wire, whatever numbers and values a tool gives', async () => {
  const says = defineTool({ name: 'says', input: any }, (_args, context) => {
    for (const progress of [Number.NaN, Number.NEGATIVE_INFINITY, 1, Number.POSITIVE_INFINITY, 2]) {
      context.progress(progress, progress === 1 ? Number.POSITIVE_INFINITY : 2);
    }
    context.log('info', undefined);
    return 'said';
  });
  const rig = new RunnerRig([says]);
  const meta = { progressToken: 7, 'io.modelcontextprotocol/logLevel': 'info' };
  await rig.call('says', { meta }).done;
  const params = rig.heard('emit').map(([, , message]) => JSON.parse(String(message)).params);
  assert.deepEqual(params, [
    { progressToken: 7, progress: 1 },
    { progressToken: 7, progress: 2, total: 2 },
    { level: 'info', data: null },
  ]);
});
