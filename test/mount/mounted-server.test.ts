/** A real McpServer behind millrace definitions: lists, calls, questions, reports, errors, cancellation. */
import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { after, before, describe, test } from 'node:test';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { z } from 'zod';
import {
  type CallToolResult,
  type Definition,
  MissingCapabilityError,
  type PromptDefinition,
  ProtocolError,
  type ResourceDefinition,
  type ToolDefinition,
} from '../../src/catalogue/define.ts';
import { compileDefinition } from '../../src/catalogue/entries.ts';
import type { MountListener } from '../../src/mount/answer-server.ts';
import { definitionsOfFactoryModule } from '../../src/mount/factory-module.ts';
import { mountMcpServer } from '../../src/mount/mount-mcp-server.ts';
import { MountedServer } from '../../src/mount/mounted-server.ts';
import { RecordingContext } from './recording-context.ts';
import { makeServer } from './sdk-server.ts';

class Listener extends EventEmitter implements MountListener {
  readonly problems: Error[] = [];
  listChanged(list: string): void {
    this.emit('list', list);
  }
  resourceUpdated(uri: string): void {
    this.emit('updated', uri);
  }
  problem(error: Error): void {
    this.problems.push(error);
  }
}

const listener = new Listener();
let mounted: MountedServer;
let definitions: Definition[];

before(async () => {
  mounted = await MountedServer.open(makeServer, listener);
  definitions = await mounted.definitions('inline');
});
after(() => mounted.close());

function tool(name: string): ToolDefinition {
  const found = definitions.find((each) => each.kind === 'tool' && each.name === name);
  assert.ok(found?.kind === 'tool', `tool ${name}`);
  return found;
}
function resource(uri: string): ResourceDefinition {
  const found = definitions.find((each) => each.kind === 'resource' && (each.uri === uri || each.template === uri));
  assert.ok(found?.kind === 'resource', `resource ${uri}`);
  return found;
}
function prompt(name: string): PromptDefinition {
  const found = definitions.find((each) => each.kind === 'prompt' && each.name === name);
  assert.ok(found?.kind === 'prompt', `prompt ${name}`);
  return found;
}

async function call(name: string, args: object = {}, context = new RecordingContext()): Promise<CallToolResult> {
  return (await tool(name).handler(args as never, context)) as CallToolResult;
}
async function textOf(answer: Promise<CallToolResult>): Promise<unknown> {
  const { content } = await answer;
  return content[0]?.['text'];
}

describe('lists', () => {
  test('tools keep the schemas, annotations and _meta the SDK lists', () => {
    const add = tool('add');
    assert.equal(add.title, 'Adder');
    assert.equal(add.run, 'inline');
    assert.deepEqual(add._meta, { team: 'maths' });
    assert.deepEqual(add.annotations, { readOnlyHint: true, title: 'Add' });
    const input = add.input as Record<string, unknown>;
    assert.equal(input['type'], 'object');
    assert.deepEqual(Object.keys(input['properties'] as object), ['a', 'b']);
    assert.deepEqual(input['required'], ['a']);
    assert.deepEqual((add.output as Record<string, unknown>)['required'], ['sum']);
  });

  test('every definition is one the catalogue takes', () => {
    const kinds = definitions.map((definition) => compileDefinition({ definition, module: null }).entry.kind);
    assert.deepEqual([...new Set(kinds)].sort(), ['prompt', 'resource', 'template', 'tool']);
  });

  test('lists in pages are taken whole', async () => {
    const server = new McpServer({ name: 'paged', version: '1' }, { capabilities: { prompts: {} } });
    const { ListPromptsRequestSchema } = await import('@modelcontextprotocol/sdk/types.js');
    server.server.setRequestHandler(ListPromptsRequestSchema, ({ params }) => {
      const page = Number(params?.cursor ?? 0);
      return { prompts: [{ name: `p${page}` }], ...(page < 3 && { nextCursor: String(page + 1) }) };
    });
    const names = (await mountMcpServer(server)).map((each) => each.name);
    assert.deepEqual(names, ['p0', 'p1', 'p2', 'p3']);
  });

  test('a changed list is reported, and the next look sees it', async () => {
    const server = new McpServer({ name: 'changing', version: '1' }, { capabilities: { tools: {} } });
    const own = new Listener();
    const changing = await MountedServer.open(server, own);
    assert.deepEqual(await changing.definitions('inline'), []);
    const changed = once(own, 'list');
    server.registerTool('new', { inputSchema: { n: z.number() } }, () => ({ content: [] }));
    assert.deepEqual(await changed, ['tools']);
    assert.deepEqual(
      (await changing.definitions('inline')).map((each) => each.name),
      ['new'],
    );
    await changing.close();
  });

  test('what is no McpServer is refused', async () => {
    await assert.rejects(mountMcpServer((() => ({})) as never), /not an McpServer/);
  });
});

describe('calls', () => {
  test('a tool runs with its arguments and its result comes back whole', async () => {
    const result = await call('add', { a: 2, b: 3 });
    assert.deepEqual(result.structuredContent, { sum: 5 });
    assert.deepEqual(result.content, [{ type: 'text', text: '5' }]);
    assert.deepEqual(result._meta, { calls: 1 });
  });

  test('resources and templates are read', async () => {
    const context = new RecordingContext();
    const fixed = await resource('library://catalogue').handler('library://catalogue', {}, context);
    assert.deepEqual(fixed, { contents: [{ uri: 'library://catalogue', mimeType: 'text/plain', text: 'a, b, c' }] });
    const uri = 'library://shelves/north/books/7';
    const one = await resource('library://shelves/{shelf}/books/{id}').handler(uri, {}, context);
    assert.deepEqual(one, { contents: [{ uri, text: 'north 7' }] });
  });

  test('prompts are rendered and list their arguments', async () => {
    const review = prompt('review');
    assert.deepEqual(
      review.arguments?.map(({ name, description, required }) => ({ name, description, required })),
      [
        { name: 'title', description: 'of the book', required: true },
        { name: 'tone', description: undefined, required: false },
      ],
    );
    assert.deepEqual(await review.handler({ title: 'Emma', tone: 'kind' }, new RecordingContext()), {
      description: 'a review',
      messages: [{ role: 'user', content: { type: 'text', text: 'review Emma, kind' } }],
    });
  });

  test('completions come from the server, with the arguments given so far', async () => {
    const { complete } = resource('library://shelves/{shelf}/books/{id}');
    const shelf = await complete?.['shelf']?.('s', { arguments: {}, argument: 'shelf' });
    assert.deepEqual((shelf as { values: string[] }).values, ['south', 'stairs']);
    const tone = prompt('review').arguments?.find(({ name }) => name === 'tone');
    const completed = await tone?.complete?.('ke', { arguments: { title: 'kettle' }, argument: 'tone' });
    assert.deepEqual((completed as { values: string[] }).values, ['keen', 'kettle']);
  });

  test('a tool that must run as a task is waited for', async () => {
    assert.equal(await textOf(call('long-job', { name: 'x' })), 'job x done');
  });

  test('principal and _meta reach the tool, the token does not', async () => {
    const context = new RecordingContext();
    context.principal = { id: 'alice', scopes: ['read'], claims: { tenant: 'acme' } };
    context.meta = { 'example.com/flag': true };
    context.trace = { traceparent: '00-1-2-01', tracestate: '', baggage: '' };
    context.clientCapabilities = { elicitation: { url: {} } };
    assert.deepEqual(JSON.parse(String(await textOf(call('who', {}, context)))), {
      auth: { token: '', clientId: 'alice', scopes: ['read'], extra: { tenant: 'acme' } },
      meta: { 'example.com/flag': true, traceparent: '00-1-2-01' },
      elicitation: { url: {} },
    });
    const anonymous = JSON.parse(String(await textOf(call('who'))));
    assert.deepEqual({ auth: anonymous.auth, elicitation: anonymous.elicitation }, { auth: null, elicitation: null });
  });
});

describe('questions and reports of a running call', () => {
  test('elicitation through the server object finds its own call among many', async () => {
    const calls = Array.from({ length: 20 }, async (_, i) => {
      const context = new RecordingContext();
      context.answerElicit = async () => ({ action: 'accept', content: { name: `user-${i}` } });
      const answer = await textOf(call('ask-name', { question: `who ${i}?` }, context));
      assert.equal(answer, `accept user-${i}`);
      const [event] = context.events as { elicit: { message: string; schema: { required: string[] } } }[];
      assert.ok(event);
      assert.equal(event.elicit.message, `who ${i}?`);
      assert.deepEqual(event.elicit.schema.required, ['name']);
    });
    await Promise.all(calls);
  });

  test('a question asked from elsewhere finds its call by the request it names', async () => {
    const calls = Array.from({ length: 20 }, async (_, i) => {
      const context = new RecordingContext();
      context.rootUris = [`file:///${i}`];
      assert.equal(await textOf(call('roots-by-desk', {}, context)), `file:///${i}`);
    });
    await Promise.all(calls);
  });

  test('a refusal is the server’s to deal with', async () => {
    const context = new RecordingContext();
    context.answerElicit = async () => ({ action: 'decline' });
    assert.equal(await textOf(call('ask-name', { question: '?' }, context)), 'decline undefined');
  });

  test('sampling and roots are answered by the call', async () => {
    const context = new RecordingContext();
    context.answerSample = async () => ({ role: 'assistant', model: 'm', content: { type: 'text', text: 'Paris' } });
    context.rootUris = ['file:///a', 'file:///b'];
    assert.equal(await textOf(call('ask-model', {}, context)), 'Paris');
    assert.equal((context.events[0] as { sample: { maxTokens: number } }).sample.maxTokens, 9);
    assert.equal(await textOf(call('roots', {}, context)), 'file:///a,file:///b');
  });

  test('progress is asked for only when the caller wants it, logs are passed on', async () => {
    const context = new RecordingContext();
    context.meta = { progressToken: 'p-1' };
    assert.equal(await textOf(call('report', { steps: 2 }, context)), 'reported');
    assert.deepEqual(context.events, [
      { progress: 1, total: 2, message: 'step 1' },
      { progress: 2, total: 2, message: 'step 2' },
      { level: 'warning', data: { steps: 2 }, logger: 'library' },
    ]);
    const quiet = new RecordingContext();
    await call('report', { steps: 2 }, quiet);
    assert.equal(quiet.events.length, 1);
  });

  test('a question that has to wait for a retry breaks the call off with what the context threw', async () => {
    const retry = new Error('waiting for the answer');
    const context = new RecordingContext();
    context.answerElicit = () => Promise.reject(retry);
    await assert.rejects(call('ask-name', { question: '?' }, context), (error) => error === retry);
  });

  test('a missing capability is what the call fails with, though the server made a tool error of it', async () => {
    const missing = new MissingCapabilityError({ elicitation: {} });
    const context = new RecordingContext();
    context.answerElicit = () => Promise.reject(missing);
    await assert.rejects(call('ask-name', { question: '?' }, context), (error) => error === missing);
  });

  test('an error the client gave reaches the server as an error', async () => {
    const context = new RecordingContext();
    context.answerElicit = () => Promise.reject(new ProtocolError(-32603, 'client fell over'));
    const result = await call('ask-name', { question: '?' }, context);
    assert.equal(result.isError, true);
    assert.match(String(result.content[0]?.['text']), /client fell over/);
  });

  test('a question outside any call is refused', async () => {
    const server = makeServer();
    const own = await MountedServer.open(server, new Listener());
    await assert.rejects(server.server.listRoots(), /no call is being served/);
    await own.close();
  });
});

describe('errors', () => {
  test('a tool that throws is a tool error, as the SDK has it', async () => {
    const result = await call('fails');
    assert.equal(result.isError, true);
    assert.deepEqual(result.content, [{ type: 'text', text: 'the shelf broke' }]);
  });

  test('protocol errors keep code, message and data', async () => {
    await assert.rejects(
      async () => prompt('locked').handler({}, new RecordingContext()),
      (error) => {
        assert.ok(error instanceof ProtocolError);
        assert.deepEqual(
          { code: error.code, message: error.message, data: error.data },
          { code: -32602, message: 'the prompt is locked', data: { key: 'lost' } },
        );
        return true;
      },
    );
  });

  test('a resource that is not there is "not found", whose code the runtime knows', async () => {
    assert.equal(
      await resource('library://missing').handler('library://missing', {}, new RecordingContext()),
      undefined,
    );
  });

  test('a URL that must be opened first is asked for, and the tool called again', async () => {
    const context = new RecordingContext();
    context.answerElicit = async () => ({ action: 'accept' });
    assert.equal(await textOf(call('pay-first', { forget: false }, context)), 'thank you');
    assert.deepEqual(context.events, [{ elicit: { message: 'pay here', url: 'https://pay.example/1' } }]);
    const again = await call('pay-first', { forget: true }, context);
    assert.equal(again.isError, true, 'asked once per call, not for ever');
    context.answerElicit = async () => ({ action: 'decline' });
    assert.match(String(await textOf(call('pay-first', { forget: true }, context))), /did not open/);
  });
});

describe('cancellation and closing', () => {
  test('a cancelled call ends at once and its tool sees the signal', async () => {
    const context = new RecordingContext();
    const aborted = once(context.signal, 'abort');
    const waiting = call('wait', {}, context);
    const reason = new DOMException('client gone', 'AbortError');
    setImmediate(() => context.controller.abort(reason));
    await assert.rejects(waiting, (error) => error === reason);
    await aborted;
    while (!context.events.some((event) => (event as { updated?: string }).updated === 'library://wait-was-aborted')) {
      await new Promise(setImmediate);
    }
  });

  test('a call cancelled before it starts never reaches the server', async () => {
    const context = new RecordingContext();
    context.controller.abort(new Error('too late'));
    const { calls } = (await call('add', { a: 1, b: 1 }))._meta as { calls: number };
    await assert.rejects(call('add', { a: 1, b: 1 }, context), /too late/);
    assert.equal(((await call('add', { a: 1, b: 1 }))._meta as { calls: number }).calls, calls + 1);
  });

  test('closing fails the calls under way and those after', async () => {
    const own = await MountedServer.open(makeServer, new Listener());
    const [wait] = (await own.definitions('inline')).filter((each) => each.name === 'wait') as ToolDefinition[];
    const waiting = assert.rejects(async () => wait?.handler({} as never, new RecordingContext()));
    await own.close();
    await waiting;
    await assert.rejects(async () => wait?.handler({} as never, new RecordingContext()));
  });

  test('nothing above puzzled the SDK', () => {
    assert.deepEqual(listener.problems, []);
  });
});

describe('factory modules', () => {
  const url = new URL(`./sdk-server.${import.meta.url.endsWith('.ts') ? 'ts' : 'js'}`, import.meta.url).href;

  test('definitions carry the module and run in the pool; a worker’s own server answers the same', async () => {
    const module = await definitionsOfFactoryModule(url, 'makeServer', new Listener());
    assert.deepEqual(
      module.definitions.map(({ definition }) => definition.name),
      definitions.map(({ name }) => name),
    );
    for (const source of module.definitions) {
      assert.deepEqual(source.module, { url, exportName: 'makeServer', form: 'mcp-server' });
      const { entry } = compileDefinition(source);
      assert.equal(entry.run, 'pool');
    }
    const inWorker = (await mountMcpServer(makeServer)).find((each) => each.name === 'add') as ToolDefinition;
    const result = (await inWorker.handler({ a: 1, b: 1 } as never, new RecordingContext())) as CallToolResult;
    assert.deepEqual(result._meta, { calls: 1 }, 'a server of its own');
    await module.close();
  });

  test('an export that is no factory, or builds no server, is refused by name', async () => {
    await assert.rejects(
      definitionsOfFactoryModule(url, 'nothing', new Listener()),
      /export nothing of .*sdk-server\.[jt]s is not a function/,
    );
    const other = url.replace('sdk-server', 'recording-context');
    await assert.rejects(
      definitionsOfFactoryModule(other, 'RecordingContext', new Listener()),
      /export RecordingContext of .* cannot be mounted/,
    );
  });
});
