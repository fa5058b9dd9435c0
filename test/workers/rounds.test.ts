/**
 * Questions to the client: as rounds of a 2026-07-28 call, whose handler runs again with the answers, and sent to it
 * while the handler waits, in sessions and tasks. Clients that answer wrongly, late, twice or not at all.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { definePrompt, defineResource, defineTool } from '../../src/catalogue/define.ts';
import { REVISION_2025_11_25 } from '../../src/protocol/revisions.ts';
import { type Answer, type CallOptions, RunnerRig, textOf } from './runner-harness.ts';

const any = { type: 'object' } as const;
const CAPABLE = { elicitation: { form: {}, url: {} }, sampling: {}, roots: {} };
const named = { type: 'object', properties: { name: { type: 'string' } }, required: ['name'] } as const;
const accepted = (name: string): object => ({ action: 'accept', content: { name } });

const both = defineTool({ name: 'both', input: any }, async (_args, context) => {
  const [user, roots] = await Promise.all([context.elicit({ message: 'who?', schema: named }), context.roots()]);
  return `${String(user.content?.['name'])} ${roots.roots.length}`;
});
const swallows = defineTool({ name: 'swallows', input: any }, async (_args, context) => {
  try {
    const { content } = await context.elicit({ message: 'who?', schema: named });
    return String(content?.['name']);
  } catch {
    return 'swallowed';
  }
});
const remembers = defineTool({ name: 'remembers', input: any }, async (_args, context) => {
  const times = Number(context.state.get('times') ?? 0) + 1;
  context.state.set('times', times);
  const first = await context.elicit({ message: 'first?', schema: named });
  const second = await context.elicit({ message: 'second?', schema: named });
  return `${times} ${String(first.content?.['name'])} ${String(second.content?.['name'])}`;
});
const hoards = defineTool({ name: 'hoards', input: any }, async (args, context) => {
  context.state.set('much', args['what'] === 'bigint' ? 1n : 'x'.repeat(10_000_000));
  await context.elicit({ message: 'who?' });
  return 'never';
});
const changes = defineTool({ name: 'changes', input: any }, async (args, context) => {
  const names = args['names'] as string[];
  delete args['padding'];
  const before = names.splice(0);
  names.push(...before, String((await context.elicit({ message: 'who else?', schema: named })).content?.['name']));
  return names.join(' ');
});
const picks = defineTool({ name: 'picks', input: any }, async (_args, context) => {
  const properties = { fruit: { type: 'string', enum: ['apple', 'pear'] } };
  const ask = (message: string) => context.elicit({ message, schema: { type: 'object', properties } });
  const { content } = await ask('which?').catch((error: Error) => ask(error.message));
  return String(content?.['fruit']);
});
const confirms = defineTool({ name: 'confirms', input: any }, async (_args, context) => {
  return (await context.elicit({ message: 'go on?' })).action;
});
const tasks = defineTool({ name: 'tasks', input: any }, async (_args, context) => {
  // What follows must not turn a call that has asked into a task.
  await context.elicit({ message: 'before?', schema: named }).catch(() => undefined);
  await context.startTask();
  return 'as a task';
});
const asksInTask = defineTool({ name: 'asks-in-task', input: any }, async (_args, context) => {
  await context.startTask();
  const { content } = await context.elicit({ message: 'who?', schema: named });
  return `${context.isTask} ${String(content?.['name'])}`;
});

/** Does not wait until it is a task. */
const startsThenAsks = defineTool({ name: 'starts-then-asks', input: any }, async (_args, context) => {
  void context.startTask();
  const { content } = await context.elicit({ message: 'who?', schema: named });
  return `${context.isTask} ${String(content?.['name'])}`;
});
const deaf = defineTool({ name: 'deaf', input: any }, async (_args, context) => {
  await new Promise((resolve) => context.signal.addEventListener('abort', resolve, { once: true }));
  await context.startTask();
  const asked = await context.elicit({ message: 'still there?' }).then(
    () => 'answered',
    (error: Error) => error.name,
  );
  return `${context.isTask} ${asked}`;
});
const promptOfTask = definePrompt({ name: 'prompt-of-task' }, async (_args, context) => {
  await context.startTask();
  return 'no task';
});
const resourceOfTask = defineResource({ uri: 'test://task', name: 'resource-of-task' }, async (_uri, _is, context) => {
  await context.startTask();
  return 'no task';
});

const TOOLS = [both, swallows, remembers, hoards, confirms, tasks, asksInTask, startsThenAsks, deaf, changes, picks];
const TASK_CAPABLE = { ...CAPABLE, extensions: { 'io.modelcontextprotocol/tasks': {} } };

interface Round {
  readonly answer: Answer;
  readonly state: unknown;
  readonly asked: readonly string[];
}

async function round(rig: RunnerRig, tool: string, params: object = {}, options: CallOptions = {}): Promise<Round> {
  const answer = await rig.call(tool, { capabilities: CAPABLE, params, ...options }).done;
  const requests = answer.message.result?.['inputRequests'] as object | undefined;
  return { answer, state: answer.message.result?.['requestState'], asked: Object.keys(requests ?? {}).sort() };
}

describe('rounds of a stateless call', () => {
  test('two questions at once are asked in one round, and answered in the next', async () => {
    const rig = new RunnerRig(TOOLS);
    const first = await round(rig, 'both');
    assert.deepEqual(first.asked, ['elicitation', 'roots']);
    const inputResponses = { elicitation: accepted('ann'), roots: { roots: [] } };
    const second = await round(rig, 'both', { inputResponses, requestState: first.state });
    assert.equal(textOf(second.answer), 'ann 0');
  });

  test('only one of two answered: the other is asked again, the one is remembered', async () => {
    const rig = new RunnerRig(TOOLS);
    const first = await round(rig, 'both');
    const second = await round(rig, 'both', {
      inputResponses: { elicitation: accepted('ann') },
      requestState: first.state,
    });
    assert.deepEqual(second.asked, ['roots']);
    const third = await round(rig, 'both', {
      inputResponses: { roots: { roots: [] } },
      requestState: second.state,
    });
    assert.equal(textOf(third.answer), 'ann 0');
  });

  test('a handler that swallows the unwinding asks all the same', async () => {
    const rig = new RunnerRig(TOOLS);
    const first = await round(rig, 'swallows');
    assert.equal(first.answer.outcome, 'input-required');
    const second = await round(rig, 'swallows', {
      inputResponses: { elicitation: accepted('bob') },
      requestState: first.state,
    });
    assert.equal(textOf(second.answer), 'bob');
  });

  test('answers of the wrong shape are asked for again, however often', async () => {
    const rig = new RunnerRig(TOOLS);
    const first = await round(rig, 'swallows');
    for (const wrong of [null, 7, [], {}, { action: 'maybe' }, { action: 'accept', content: { name: 1 } }]) {
      const again = await round(rig, 'swallows', { inputResponses: { elicitation: wrong }, requestState: first.state });
      assert.deepEqual(again.asked, ['elicitation'], JSON.stringify(wrong));
    }
    for (const wrong of [null, 7, 'x', []]) {
      const { answer } = await round(rig, 'swallows', { inputResponses: wrong, requestState: first.state });
      assert.equal(answer.message.error?.code, -32_602);
    }
  });

  test('state and answers are carried over three rounds; answers to what was not asked are not', async () => {
    const rig = new RunnerRig(TOOLS);
    const first = await round(rig, 'remembers');
    const second = await round(rig, 'remembers', {
      inputResponses: { elicitation: accepted('a'), 'never-asked': accepted('x'), ['__proto__']: accepted('x') },
      requestState: first.state,
    });
    assert.deepEqual(second.asked, ['elicitation-2']);
    const third = await round(rig, 'remembers', {
      inputResponses: { 'elicitation-2': accepted('b') },
      requestState: second.state,
    });
    assert.equal(textOf(third.answer), '3 a b');
  });

  test('a state that was altered, or belongs to other arguments or another caller, is refused', async () => {
    const rig = new RunnerRig(TOOLS);
    const first = await round(rig, 'swallows', {}, { args: { a: 1 } });
    const state = String(first.state);
    const inputResponses = { elicitation: accepted('x') };
    const last = state.at(-1) === 'A' ? 'B' : 'A';
    const wrong: [object, CallOptions][] = [
      [{ requestState: state.slice(0, -1) + last, inputResponses }, { args: { a: 1 } }],
      [{ requestState: state, inputResponses }, { args: { a: 2 } }],
      [
        { requestState: state, inputResponses },
        { args: { a: 1 }, extras: { principal: { id: 'eve', scopes: [] } } },
      ],
      [{ requestState: 5, inputResponses }, { args: { a: 1 } }],
      [{ requestState: null, inputResponses }, { args: { a: 1 } }],
    ];
    for (const [params, options] of wrong) {
      const { answer } = await round(rig, 'swallows', params, options);
      assert.equal(answer.message.error?.code, -32_602, JSON.stringify(params));
    }
  });

  for (const [what, said] of [
    ['too-much', /hoards .*1\d{7} bytes of JSON, at most 49115/],
    ['bigint', /hoards .*BigInt/],
  ] as const) {
    test(`a state that cannot be sealed (${what}) is an error of the call alone, with its id`, async () => {
      const rig = new RunnerRig(TOOLS);
      const call = rig.call('hoards', { capabilities: CAPABLE, args: { what } });
      const answer = await call.done;
      assert.equal(answer.message.error?.code, -32_603);
      assert.match(answer.message.error?.message ?? '', said);
      assert.equal(answer.message.id, call.sequence);
      assert.equal(rig.heard('log').length, 1);
    });
  }

  for (const padding of [0, 8000]) {
    test(`a handler that changes its arguments (${padding} bytes more) does not spoil the state of the call`, async () => {
      const rig = new RunnerRig(TOOLS);
      const args = { names: ['a'], padding: 'x'.repeat(padding) };
      const first = await round(rig, 'changes', {}, { args });
      assert.deepEqual(first.asked, ['elicitation']);
      const params = { inputResponses: { elicitation: accepted('b') }, requestState: first.state };
      assert.equal(textOf((await round(rig, 'changes', params, { args })).answer), 'a b');
    });
  }

  test('what a form does not allow is told to the handler, which asks again and says why', async () => {
    const rig = new RunnerRig(TOOLS);
    const first = await round(rig, 'picks');
    const kiwi = { action: 'accept', content: { fruit: 'kiwi' } };
    const second = await round(rig, 'picks', { inputResponses: { elicitation: kiwi }, requestState: first.state });
    assert.deepEqual(second.asked, ['elicitation-2']);
    const requests = second.answer.message.result?.['inputRequests'] as Record<string, { params: { message: string } }>;
    assert.match(requests['elicitation-2']?.params.message ?? '', /fruit must be one of "apple", "pear", got "kiwi"/);
    const pear = { action: 'accept', content: { fruit: 'pear' } };
    const third = { inputResponses: { 'elicitation-2': pear }, requestState: second.state };
    assert.equal(textOf((await round(rig, 'picks', third)).answer), 'pear');
  });

  test('a form that asks for nothing is accepted with nothing', async () => {
    const rig = new RunnerRig(TOOLS);
    const { state } = await round(rig, 'confirms');
    const inputResponses = { elicitation: { action: 'accept' } };
    assert.equal(textOf((await round(rig, 'confirms', { inputResponses, requestState: state })).answer), 'accept');
  });

  test('a call that has asked does not become a task in the same round', async () => {
    const rig = new RunnerRig(TOOLS);
    const first = await round(rig, 'tasks', {}, { capabilities: TASK_CAPABLE });
    assert.deepEqual(first.asked, ['elicitation']);
    assert.equal(rig.heard('task').length, 0);
  });
});

describe('questions that are sent', () => {
  const session = { revision: REVISION_2025_11_25, extras: { clientCapabilities: CAPABLE } } as const;
  const ask = (rig: RunnerRig): number => Number(rig.heard('ask').at(-1)?.[2]);

  test("answered, then answered again: the second is nobody's", async () => {
    const rig = new RunnerRig(TOOLS);
    const { done, sequence, slot } = rig.call('swallows', session);
    rig.runner.answer(slot, sequence, ask(rig), JSON.stringify(accepted('cyd')), null);
    rig.runner.answer(slot, sequence, ask(rig), JSON.stringify(accepted('dan')), null);
    assert.equal(textOf(await done), 'cyd');
  });

  test('an answer under an old sequence number does not reach the call that has the slot now', async () => {
    const rig = new RunnerRig(TOOLS);
    const { done, sequence, slot } = rig.call('swallows', session);
    rig.runner.answer(slot, sequence - 1, ask(rig), JSON.stringify(accepted('old')), null);
    rig.runner.cancel(slot, sequence - 1, 'old');
    assert.equal(rig.runner.pending, 1);
    rig.runner.answer(slot, sequence, ask(rig), JSON.stringify(accepted('new')), null);
    assert.equal(textOf(await done), 'new');
  });

  for (const wrong of ['null', '{}', '[]', '{"action":"accept","content":{"name":1}}']) {
    test(`an answer of the wrong shape (${wrong}) is an error to the handler`, async () => {
      const rig = new RunnerRig(TOOLS);
      const { done, sequence, slot } = rig.call('swallows', session);
      rig.runner.answer(slot, sequence, ask(rig), wrong, null);
      assert.equal(textOf(await done), 'swallowed');
    });
  }

  test('what a form does not allow is told to the handler that waits for it', async () => {
    const rig = new RunnerRig(TOOLS);
    const { done, sequence, slot } = rig.call('picks', session);
    const answer = (fruit: string): void =>
      rig.runner.answer(slot, sequence, ask(rig), JSON.stringify({ action: 'accept', content: { fruit } }), null);
    answer('kiwi');
    await new Promise((resolve) => setImmediate(resolve));
    assert.match(String(rig.heard('ask').at(-1)?.[4]), /fruit must be one of .*got .*kiwi/);
    answer('apple');
    assert.equal(textOf(await done), 'apple');
  });

  test('a cancelled call does not wait for its answer, nor for its task', async () => {
    const rig = new RunnerRig(TOOLS);
    const asking = rig.call('swallows', session);
    const starting = rig.call('asks-in-task', { capabilities: TASK_CAPABLE });
    for (const { sequence, slot } of [asking, starting]) {
      rig.board.cancel(slot, 1);
      rig.runner.cancel(slot, sequence, 'gone');
    }
    assert.equal(textOf(await asking.done), 'swallowed');
    await starting.done;
    assert.equal(rig.runner.pending, 0);
  });

  for (const era of ['session', 'stateless'] as const) {
    test(`a cancelled call that asks only then, or wants to be a task, is told so at once (${era})`, async () => {
      const rig = new RunnerRig(TOOLS);
      const { done, sequence, slot } = rig.call('deaf', era === 'session' ? session : { capabilities: TASK_CAPABLE });
      rig.board.cancel(slot, 1);
      rig.runner.cancel(slot, sequence, 'gone');
      assert.equal(textOf(await done), 'false AbortError');
      assert.deepEqual([rig.heard('ask').length, rig.heard('task').length], [0, 0]);
    });
  }

  for (const [which, taskId] of [
    ['is sent once it is one', 'task-1'],
    ['is collected when it does not become one', ''],
  ] as const) {
    test(`a question of a call on its way to be a task ${which}`, async () => {
      const rig = new RunnerRig(TOOLS);
      const { done, sequence, slot } = rig.call('starts-then-asks', { capabilities: TASK_CAPABLE });
      await null;
      assert.equal(rig.heard('ask').length, 0);
      rig.runner.taskStarted(slot, sequence, taskId);
      await null;
      await null;
      if (taskId !== '') rig.runner.answer(slot, sequence, ask(rig), JSON.stringify(accepted('gil')), null);
      const answer = await done;
      if (taskId !== '') assert.equal(textOf(answer), 'true gil');
      else assert.deepEqual(Object.keys(answer.message.result?.['inputRequests'] as object), ['elicitation']);
    });
  }

  test('only calls of tools become tasks', async () => {
    const rig = new RunnerRig([promptOfTask, resourceOfTask]);
    const answers = [
      await rig.call('prompt-of-task', { capabilities: TASK_CAPABLE }).done,
      await rig.call('resource-of-task', { capabilities: TASK_CAPABLE, params: { uri: 'test://task' } }).done,
    ];
    assert.deepEqual(rig.heard('task'), []);
    for (const { message } of answers) assert.match(JSON.stringify(message.result), /no task/);
  });

  test('from the start of a task on, questions are sent and not collected', async () => {
    const rig = new RunnerRig(TOOLS);
    const { done, sequence, slot } = rig.call('asks-in-task', { capabilities: TASK_CAPABLE });
    rig.runner.taskStarted(slot, sequence, 'task-1');
    await null;
    await null;
    rig.runner.answer(slot, sequence, ask(rig), JSON.stringify(accepted('eli')), null);
    assert.equal(textOf(await done), 'true eli');
  });

  test('on the front-end thread the answer may come before the question has returned', async () => {
    const rig = new RunnerRig(TOOLS);
    rig.onSaid = (what, [slot, sequence, askId]) => {
      if (what === 'task') rig.runner.taskStarted(Number(slot), Number(sequence), 'task-1');
      if (what === 'ask') {
        const answer = JSON.stringify(accepted('fay'));
        rig.runner.answer(Number(slot), Number(sequence), Number(askId), answer, null);
      }
    };
    assert.equal(textOf(await rig.call('swallows', session).done), 'fay');
    assert.equal(textOf(await rig.call('asks-in-task', { capabilities: TASK_CAPABLE }).done), 'true fay');
  });
});
