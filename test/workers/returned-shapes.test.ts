/**
 * What handlers return by mistake: the client gets an error that names the member, its value and what was expected, and
 * never a result that it could not read.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { z } from 'zod';
import { definePrompt, defineResource, defineTool } from '../../src/catalogue/define.ts';
import { completionProblem } from '../../workers/returned-shapes.ts';
import { type Answer, RunnerRig, textOf } from './runner-harness.ts';

async function returned(kind: 'tool' | 'resource' | 'prompt', value: unknown): Promise<Answer> {
  const handler = (): never => value as never;
  const definition =
    kind === 'tool'
      ? defineTool({ name: 'it' }, handler)
      : kind === 'prompt'
        ? definePrompt({ name: 'it' }, handler)
        : defineResource({ name: 'it', uri: 'it:1' }, handler);
  return await new RunnerRig([definition]).call('it', { params: { uri: 'it:1' } }).done;
}

function said(answer: Answer): string {
  assert.equal(answer.message.error?.code, -32_603, JSON.stringify(answer.message));
  return answer.message.error.message;
}

describe('a full result of a tool', () => {
  const wrong: [unknown, string][] = [
    ['hello', 'content/0 must be an object { type, … }, got "hello"'],
    [{ text: 'x' }, 'content/0/type must be one of text, image, audio, resource_link, resource, got nothing'],
    [
      { type: 'txt', text: 'x' },
      'content/0/type must be one of text, image, audio, resource_link, resource, got "txt"',
    ],
    [{ type: 'text', text: 5 }, 'content/0/text must be a string, got 5'],
    [
      { type: 'image', data: Buffer.from('x'), mimeType: 'image/png' },
      'content/0/data must be a string of base64, got bytes',
    ],
    [{ type: 'audio', data: 'AA==' }, 'content/0/mimeType must be a string, got nothing'],
    [{ type: 'resource_link', uri: 'a:b' }, 'content/0/name must be a string, got nothing'],
    [
      { type: 'resource', uri: 'a:b' },
      'content/0/resource must be an object { uri, text } or { uri, blob }, got nothing',
    ],
    [{ type: 'resource', resource: { uri: 'a:b' } }, 'content/0/resource must have a text or a blob'],
  ];
  for (const [block, problem] of wrong) {
    test(problem, async () => {
      assert.equal(
        said(await returned('tool', { content: [block] })),
        `tool it returned what is no result: ${problem}`,
      );
    });
  }

  for (const [value, what] of [
    [new Map([['a', 1]]), 'a Map'],
    [new Set([1]), 'a Set'],
    [() => 1, 'a function'],
  ] as const) {
    test(`${what}, of which JSON would keep nothing`, async () => {
      const problem = `expected a JSON value or a full result { content }, got ${what}`;
      assert.equal(said(await returned('tool', value)), `tool it returned what is no result: ${problem}`);
    });
  }

  for (const value of [{ n: 1n }, { content: [{ type: 'text', text: 'x', _meta: { n: 1n } }] }]) {
    test(`what is no JSON is said to be what was returned (${Object.keys(value)[0]})`, async () => {
      assert.match(textOf(await returned('tool', value)), /^what was returned is no JSON: .*BigInt/);
    });
  }

  test('isError that is no boolean', async () => {
    assert.match(
      said(await returned('tool', { content: [], isError: 'yes' })),
      /isError must be true or false, got "yes"/,
    );
  });

  test('blocks of every type pass', async () => {
    const content = [
      { type: 'text', text: '' },
      { type: 'image', data: '', mimeType: 'image/png' },
      { type: 'audio', data: '', mimeType: 'audio/wav' },
      { type: 'resource_link', uri: 'a:b', name: 'b' },
      { type: 'resource', resource: { uri: 'a:b', text: '' } },
      { type: 'resource', resource: { uri: 'a:b', blob: '' } },
    ];
    const { message } = await returned('tool', { content, isError: false, _meta: {} });
    assert.deepEqual(message.result?.['content'], content);
  });

  test('a string is the structured content of a tool whose output is one', async () => {
    const rig = new RunnerRig([defineTool({ name: 'it', output: z.string() }, () => 'x')]);
    const { message } = await rig.call('it').done;
    assert.equal(message.result?.['structuredContent'], 'x');
  });

  test('what the output schema makes of a result is sent: its defaults, and only its members', async () => {
    const output = z.object({ name: z.string(), seats: z.number().default(2) });
    const row = { name: 'Ann', password: 'x' };
    const content = [{ type: 'text', text: 'Ann' }];
    const rig = new RunnerRig([
      defineTool({ name: 'it', output }, () => row),
      defineTool({ name: 'full', output }, () => ({ content, structuredContent: row, _meta: { a: 1 } })),
    ]);
    const structuredContent = { name: 'Ann', seats: 2 };
    const { result } = (await rig.call('it').done).message;
    assert.deepEqual(result?.['structuredContent'], structuredContent);
    assert.deepEqual(result?.['content'], [{ type: 'text', text: JSON.stringify(structuredContent) }]);
    const full = (await rig.call('full').done).message.result;
    assert.deepEqual([full?.['structuredContent'], full?.['content']], [structuredContent, content]);
    assert.deepEqual(Object.entries(full?.['_meta'] ?? {})[1], ['a', 1]);
  });

  test('a number that JSON has not is refused by a plain schema', async () => {
    const output = { type: 'object', properties: { a: { type: 'number' } } } as const;
    const rig = new RunnerRig([defineTool({ name: 'it', output }, () => ({ a: Number.NaN }))]);
    assert.match(said(await rig.call('it').done), /structuredContent\/a must be number, got NaN/);
  });

  test('a value that is not awaited is named', async () => {
    const output = { type: 'object', properties: { rows: { type: 'array' } } } as const;
    const rows = Promise.resolve([]);
    const rig = new RunnerRig([defineTool({ name: 'it', output }, () => ({ rows }) as never)]);
    assert.match(said(await rig.call('it').done), /structuredContent\/rows must be array, got a Promise/);
  });
});

describe('a resource', () => {
  const wrong: [unknown, string][] = [
    [null, 'expected a string, a Uint8Array, { contents } or undefined, got null'],
    [5, 'expected a string, a Uint8Array, { contents } or undefined, got 5'],
    [[], 'expected a string, a Uint8Array, { contents } or undefined, got an array of 0'],
    [{ a: 1 }, 'expected a string, a Uint8Array, { contents } or undefined, got an object'],
    [{ contents: 'x' }, 'contents must be an array, got "x"'],
    [{ contents: [{ text: 'x' }] }, 'contents/0/uri must be a string, got nothing'],
    [{ contents: [{ uri: 'a:b', blob: Buffer.from('x') }] }, 'contents/0/blob must be a string of base64, got bytes'],
  ];
  for (const [value, problem] of wrong) {
    test(problem, async () => {
      const text = said(await returned('resource', value));
      assert.equal(text, `resource it returned what is no result: ${problem}`);
    });
  }
});

describe('a prompt', () => {
  const wrong: [unknown, string][] = [
    [undefined, 'expected a string, an array of messages or { messages }, got nothing'],
    [{ role: 'user', content: 'x' }, 'expected a string, an array of messages or { messages }, got an object'],
    [['x'], 'messages/0 must be an object { role, content }, got "x"'],
    [
      [{ role: 'system', content: { type: 'text', text: 'x' } }],
      'messages/0/role must be user or assistant, got "system"',
    ],
    [[{ role: 'user', content: 'x' }], 'messages/0/content must be an object { type, … }, got "x"'],
  ];
  for (const [value, problem] of wrong) {
    test(problem, async () => {
      assert.equal(said(await returned('prompt', value)), `prompt it returned what is no result: ${problem}`);
    });
  }
});

test('a completion', () => {
  assert.equal(completionProblem(['a']), null);
  assert.equal(completionProblem({ values: ['a'], total: 1 }), null);
  assert.equal(completionProblem('abc'), 'expected an array of strings or { values }, got "abc"');
  assert.equal(completionProblem([1]), 'values/0 must be a string, got 1');
});

describe('what handlers throw', () => {
  const thrown = async (what: unknown): Promise<{ answer: Answer; logged: string }> => {
    const rig = new RunnerRig([
      defineTool({ name: 'it' }, () => {
        throw what;
      }),
    ]);
    const answer = await rig.call('it').done;
    return { answer, logged: String(rig.heard('log').at(-1)?.[3]) };
  };

  test('objects that are no errors: their message is told, the rest is logged', async () => {
    const { answer, logged } = await thrown({ code: 'PGRST116', message: 'no rows' });
    assert.equal(textOf(answer), 'no rows');
    assert.match(logged, /PGRST116/);
  });

  test('what is behind an error is logged, and not told to the client', async () => {
    const { answer, logged } = await thrown(
      new TypeError('fetch failed', { cause: new Error('ECONNREFUSED 10.0.0.1') }),
    );
    assert.equal(textOf(answer), 'fetch failed');
    assert.match(logged, /fetch failed.*ECONNREFUSED/s);
    assert.match((await thrown(new AggregateError([new Error('first'), 'second'], 'none'))).logged, /first.*second/s);
  });
});
