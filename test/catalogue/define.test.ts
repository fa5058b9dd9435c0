import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { z } from 'zod';
import { definePrompt, defineResource, defineTool, type HandlerContext } from '../../src/catalogue/define.ts';

const nothing = () => undefined;

describe('a definition is checked where it is written', () => {
  const tool = (options: object): (() => unknown) => {
    return () => defineTool({ name: 't', ...options } as Parameters<typeof defineTool>[0], nothing);
  };
  const resource = (options: object): (() => unknown) => {
    return () => defineResource({ name: 'r', ...options } as Parameters<typeof defineResource>[0], nothing);
  };
  const prompt = (options: object): (() => unknown) => {
    return () => definePrompt({ name: 'p', ...options } as Parameters<typeof definePrompt>[0], () => 'text');
  };

  const refused: readonly (readonly [make: () => unknown, message: RegExp])[] = [
    [tool({ name: 'a b' }), /^tool "a b": name must be 1 to 128 of A-Z a-z 0-9 _ \. \/ -, got "a b"$/],
    [tool({ name: '' }), /^tool "": name must be 1 to 128 of /],
    [tool({ name: 'x'.repeat(129) }), /name must be 1 to 128 of /],
    [tool({ name: undefined }), /name must be .*, got nothing/],
    [tool({ inputSchema: {} }), /^tool "t": unknown option "inputSchema"; known are .*\binput\b/],
    [tool({ input: 'string' }), /input must be a Standard Schema or a JSON Schema object, got "string"/],
    [tool({ run: 'worker' }), /run must be one of pool, inline, isolated, got "worker"/],
    [tool({ concurrency: 0 }), /concurrency must be a whole number from 1 to 1000000, got 0/],
    [tool({ timeoutMs: 1.5 }), /timeoutMs must be a whole number from 1 to 2147483647, got 1.5/],
    [tool({ annotations: { readonly: true } }), /annotations must be an object without "readonly", got an object/],
    [tool({ annotations: { readOnlyHint: 1 } }), /annotations must be an object whose "readOnlyHint" is true or false/],
    [tool({ icons: [{ source: 'x' }] }), /icons must be an array of icons/],
    [tool({ cache: { ttlMs: 1 } }), /cache must be an object whose "scope" is given/],
    [tool({ task: 'maybe' }), /task must be one of never, optional, required/],
    [
      () => defineTool({ name: 't' }, undefined as never),
      /handler must be a function, the second argument, got nothing/,
    ],
    [
      () => defineTool('add' as never, nothing),
      /^defineTool: the first argument must be an object of options, got "add"$/,
    ],
    [() => defineResource(undefined as never, nothing), /^defineResource: the first argument must be .*, got nothing$/],
    [
      () => definePrompt(nothing as never, () => 'text'),
      /^definePrompt: the first argument must be .*, got a function$/,
    ],
    [tool({ input: { text: z.string() } }), /input must be one schema of all members \(zod: z\.object\(\{ … \}\)\)/],
    [resource({}), /give either uri or template/],
    [resource({ uri: 'a://b', template: 'a://{b}' }), /give either uri or template/],
    [resource({ uri: 'no scheme' }), /uri must be an absolute URI of at most 2048 characters, got "no scheme"/],
    [resource({ uri: 'a://b', run: 'isolated' }), /run must be one of pool, inline, got "isolated"/],
    [resource({ uri: 'a://b', complete: { b: nothing } }), /complete needs a template/],
    [resource({ uri: 'a://b', annotations: { priority: 2 } }), /"priority" is a number from 0 to 1/],
    [prompt({ name: '' }), /name must be a string of 1 to 256 characters/],
    [prompt({ name: '\ud800' }), /name must be a string/],
    [prompt({ arguments: [{ name: 'a' }, { name: 'a' }] }), /the argument "a" is declared twice/],
    [prompt({ arguments: {} }), /arguments must be an array of arguments/],
  ];
  for (const [make, message] of refused) {
    test(String(message), () => assert.throws(make, { name: 'DefinitionError', message }));
  }

  test('what is good is frozen and keeps what was written', () => {
    const input = { type: 'object' };
    const made = defineTool({ name: 'a/b.c-d_E9', input, title: undefined }, nothing);
    assert.equal(made.kind, 'tool');
    assert.equal(made.input, input);
    assert.ok(Object.isFrozen(made));
  });

  test('without an input schema the handler has its arguments by name, of whatever type', () => {
    // The compiler is what refuses this when the arguments are `unknown`.
    const { handler } = defineTool({ name: 't' }, ({ a }, { isTask }) => [typeof a, isTask]);
    assert.deepEqual(handler({ a: 1 } as never, { isTask: true } as HandlerContext), ['number', true]);
  });
});
