/** A server as its users write it, with the official SDK only; also a factory module for workers. */
import { randomUUID } from 'node:crypto';
import { EventEmitter, on } from 'node:events';
import { InMemoryTaskStore } from '@modelcontextprotocol/sdk/experimental/tasks/stores/in-memory.js';
import { completable } from '@modelcontextprotocol/sdk/server/completable.js';
import { McpServer, ResourceTemplate } from '@modelcontextprotocol/sdk/server/mcp.js';
import { ErrorCode, McpError, UrlElicitationRequiredError } from '@modelcontextprotocol/sdk/types.js';
import { z } from 'zod';

const text = (value: string) => ({ content: [{ type: 'text' as const, text: value }] });

/** Every new server counts its calls from one: tells two servers apart. */
export function makeServer(): McpServer {
  const taskStore = new InMemoryTaskStore();
  const server = new McpServer(
    { name: 'library', version: '2.0.0' },
    {
      capabilities: { logging: {}, tasks: { requests: { tools: { call: {} } } } },
      taskStore,
      instructions: 'ask the librarian',
    },
  );
  let calls = 0;
  server.registerTool(
    'add',
    {
      title: 'Adder',
      description: 'adds',
      inputSchema: { a: z.number(), b: z.number().int().default(1) },
      outputSchema: { sum: z.number() },
      annotations: { readOnlyHint: true, title: 'Add' },
      _meta: { team: 'maths' },
    },
    ({ a, b }) => {
      calls++;
      return { ...text(String(a + b)), structuredContent: { sum: a + b }, _meta: { calls } };
    },
  );
  registerTalkers(server);
  registerFailures(server);
  registerReading(server);
  server.experimental.tasks.registerToolTask(
    'long-job',
    { inputSchema: { name: z.string() }, execution: { taskSupport: 'required' } },
    {
      async createTask({ name }, { taskStore: store, taskRequestedTtl }) {
        const task = await store.createTask({ ttl: taskRequestedTtl ?? null, pollInterval: 1 });
        await store.storeTaskResult(task.taskId, 'completed', text(`job ${name} done`));
        return { task };
      },
      getTask: (_args, { taskId, taskStore: store }) => store.getTask(taskId),
      getTaskResult: async (_args, { taskId, taskStore: store }) =>
        (await store.getTaskResult(taskId)) as ReturnType<typeof text>,
    },
  );
  return server;
}

/** Tools that talk to the client while they run, each by another way the SDK has for it. */
function registerTalkers(server: McpServer): void {
  const schema = { type: 'object' as const, properties: { name: { type: 'string' as const } }, required: ['name'] };
  // Through the server object, which knows of no request.
  server.registerTool('ask-name', { inputSchema: { question: z.string() } }, async ({ question }) => {
    const answer = await server.server.elicitInput({ message: question, requestedSchema: schema });
    return text(`${answer.action} ${String(answer.content?.['name'])}`);
  });
  // Through `extra`, which does.
  server.registerTool('ask-model', {}, async (extra) => {
    const request = {
      method: 'sampling/createMessage' as const,
      params: {
        messages: [{ role: 'user' as const, content: { type: 'text' as const, text: 'capital?' } }],
        maxTokens: 9,
      },
    };
    const { content } = await extra.sendRequest(
      request,
      z.looseObject({ content: z.looseObject({ text: z.string() }) }),
    );
    return text(content.text);
  });
  // Through `extra` again, but from a loop that was there before any call: only the request's id leads back.
  const desk = new EventEmitter();
  const jobs = on(desk, 'job');
  void (async () => {
    for await (const [job] of jobs) await job();
  })();
  server.registerTool('roots-by-desk', {}, async (extra) => {
    const roots = z.looseObject({ roots: z.array(z.looseObject({ uri: z.string() })) });
    const answer = await new Promise<z.infer<typeof roots>>((resolve, reject) => {
      desk.emit('job', () => extra.sendRequest({ method: 'roots/list' }, roots).then(resolve, reject));
    });
    return text(answer.roots.map(({ uri }) => uri).join());
  });
  server.registerTool('roots', {}, async () => text((await server.server.listRoots()).roots.map((r) => r.uri).join()));
  server.registerTool('report', { inputSchema: { steps: z.number() } }, async ({ steps }, extra) => {
    for (let step = 1; step <= steps && extra._meta?.progressToken !== undefined; step++) {
      const params = {
        progressToken: extra._meta.progressToken,
        progress: step,
        total: steps,
        message: `step ${step}`,
      };
      await extra.sendNotification({ method: 'notifications/progress', params });
    }
    await server.sendLoggingMessage({ level: 'warning', logger: 'library', data: { steps } });
    return text('reported');
  });
  server.registerTool('wait', {}, async (extra) => {
    await new Promise((resolve) => extra.signal.addEventListener('abort', resolve, { once: true }));
    await server.server.sendResourceUpdated({ uri: 'library://wait-was-aborted' });
    return text('aborted');
  });
  server.registerTool('who', {}, (extra) =>
    text(
      JSON.stringify({
        auth: extra.authInfo ?? null,
        meta: extra._meta ?? null,
        elicitation: server.server.getClientCapabilities()?.elicitation ?? null,
      }),
    ),
  );
}

function registerFailures(server: McpServer): void {
  server.registerTool('fails', {}, () => {
    throw new Error('the shelf broke');
  });
  let paid = false;
  server.registerTool('pay-first', { inputSchema: { forget: z.boolean() } }, ({ forget }) => {
    if (paid && !forget) return text('thank you');
    paid = true;
    throw new UrlElicitationRequiredError([
      { mode: 'url', message: 'pay here', url: 'https://pay.example/1', elicitationId: randomUUID() },
    ]);
  });
  server.registerPrompt('locked', {}, () => {
    throw new McpError(ErrorCode.InvalidParams, 'the prompt is locked', { key: 'lost' });
  });
  server.registerResource('missing', 'library://missing', {}, () => {
    throw new McpError(-32002, 'no such book');
  });
}

function registerReading(server: McpServer): void {
  server.registerResource(
    'catalogue',
    'library://catalogue',
    { mimeType: 'text/plain', title: 'All books' },
    (uri) => ({
      contents: [{ uri: uri.href, mimeType: 'text/plain', text: 'a, b, c' }],
    }),
  );
  const shelves = ['north', 'south', 'stairs'];
  server.registerResource(
    'book',
    new ResourceTemplate('library://shelves/{shelf}/books/{id}', {
      list: undefined,
      complete: { shelf: (value) => shelves.filter((name) => name.startsWith(value)) },
    }),
    { description: 'one book' },
    (uri, { shelf, id }) => ({ contents: [{ uri: uri.href, text: `${String(shelf)} ${String(id)}` }] }),
  );
  server.registerPrompt(
    'review',
    {
      title: 'Review',
      description: 'reviews a book',
      argsSchema: {
        title: z.string().describe('of the book'),
        tone: completable(z.string().optional(), (value, context) =>
          ['kind', 'keen', context?.arguments?.['title'] ?? ''].filter((tone) => tone.startsWith(value ?? '')),
        ),
      },
    },
    ({ title, tone }) => ({
      description: 'a review',
      messages: [{ role: 'user', content: { type: 'text', text: `review ${title}, ${tone ?? 'plainly'}` } }],
    }),
  );
}
