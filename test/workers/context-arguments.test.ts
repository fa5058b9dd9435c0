/**
 * Arguments that handlers give to their context by mistake: told to the handler at once, and nobody else hears of them.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { z } from 'zod';
import { defineTool, type HandlerContext } from '../../src/catalogue/define.ts';
import { RunnerRig, textOf } from './runner-harness.ts';

const CAPABLE = { elicitation: {}, sampling: {}, roots: {} };
const cyclic: { self?: unknown } = {};
cyclic.self = cyclic;
const form = (properties: object): object => ({ message: 'm', schema: { type: 'object', properties } });

/** As somebody without types calls it. */
type Untyped = { [K in keyof HandlerContext]: (...args: unknown[]) => unknown };

const WRONG: [(context: Untyped) => unknown, string][] = [
  [
    (c) => c.log('warn', 'x'),
    'context.log: level must be one of debug, info, notice, warning, error, critical, alert, emergency, got "warn"',
  ],
  [(c) => c.progress('1'), 'context.progress: progress must be a number, got "1"'],
  [(c) => c.progress(1, 2, 3), 'context.progress: message must be a string, got 3'],
  [(c) => c.changed('tool'), 'context.changed: the list must be tools, resources or prompts, got "tool"'],
  [(c) => c.resourceUpdated(5), 'context.resourceUpdated: uri must be a string, got 5'],
  [(c) => c.invalidate(), 'context.invalidate: tool must be a string, got nothing'],
  [
    (c) => c.elicit('name?'),
    'context.elicit: its argument must be an object { message, schema?, url?, key? }, got "name?"',
  ],
  [(c) => c.elicit({}), 'context.elicit: message must be a string, got nothing'],
  [(c) => c.elicit({ message: 'm', url: '/x' }), 'context.elicit: url must be a URL, got "/x"'],
  [
    (c) => c.elicit({ message: 'm', schema: z.object({}) }),
    'context.elicit: schema must be a JSON Schema object, got a schema of a library',
  ],
  [(c) => c.elicit({ message: 'm', schema: {} }), 'context.elicit: schema.type must be "object", got nothing'],
  [
    (c) => c.elicit(form({ a: { type: 'object' } })),
    'context.elicit: the type of schema.properties.a must be one of string, number, integer, boolean, array (forms are flat), got "object"',
  ],
  [(c) => c.sample(), 'context.sample: its argument must be an object { messages, maxTokens, … }, got nothing'],
  [(c) => c.sample({ messages: [] }), 'context.sample: maxTokens must be a number, got nothing'],
];

describe('told to the handler', () => {
  for (const [call, problem] of WRONG) {
    test(problem, async () => {
      const tool = defineTool({ name: 'it' }, async (_args, context) => {
        await call(context as unknown as Untyped);
        return 'not told';
      });
      const rig = new RunnerRig([tool]);
      assert.equal(textOf(await rig.call('it', { capabilities: CAPABLE }).done), problem);
      assert.deepEqual(
        rig.said.filter(({ what }) => what !== 'log' && what !== 'settled'),
        [],
      );
    });
  }

  for (const [what, call] of [
    ['context.log: data must be JSON: ', (c: HandlerContext) => c.log('info', cyclic)],
    [
      'sampling/createMessage: what is asked must be JSON: ',
      (c: HandlerContext) => c.sample({ messages: [1n], maxTokens: 1 }),
    ],
  ] as const) {
    test(what, async () => {
      const tool = defineTool({ name: 'it' }, async (_args, context) => {
        await call(context);
        return 'not told';
      });
      const rig = new RunnerRig([tool]);
      assert.equal(textOf(await rig.call('it', { capabilities: CAPABLE }).done).startsWith(what), true);
    });
  }
});

test('methods may be taken out of the context', async () => {
  const tool = defineTool({ name: 'it' }, async (_args, { cancelled, changed, elicit, log, progress, state }) => {
    log('info', 'a');
    progress(1);
    changed('tools');
    state.set('times', Number(state.get('times') ?? 0) + 1);
    return `${cancelled()} ${(await elicit({ message: 'm' })).action} ${String(state.get('times'))}`;
  });
  const rig = new RunnerRig([tool]);
  const options = { capabilities: CAPABLE, meta: { progressToken: 1 } };
  const { message } = await rig.call('it', options).done;
  assert.deepEqual(
    rig.said.map(({ what }) => what),
    ['log', 'emit', 'publish', 'settled'],
  );
  const params = {
    inputResponses: { elicitation: { action: 'decline' } },
    requestState: message.result?.['requestState'],
  };
  assert.equal(textOf(await rig.call('it', { ...options, params }).done), 'false decline 2');
});
