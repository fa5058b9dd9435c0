/**
 * The stream tools: what an agent asks of the streams.
 *
 * Role: thin definitions over `Streams`; everything they say comes from there. They run inline, since all they do on
 * this thread is to ask the engine: what takes time is done by the pool. A refusal is a tool error a model can read.
 * Names and parameters are fixed: other people's prompts rely on them.
 */
import { type CallToolResult, defineTool, type ToolDefinition } from '../../catalogue/define.ts';
import { patternDefinitionJsonSchema, windowDefinitionJsonSchema } from '../define/schema.ts';
import { type ResultLine, StreamRefusal, type Streams } from '../engine/port.ts';
import { QUERY_ROWS_MAX } from '../engine/service.ts';
import { scopedBatchId } from '../sources/port.ts';
import { describeStream, unknownStream } from './describe.ts';
import { ACCEPTED, ALERTS, ANSWER, DESCRIPTION, KEPT, STREAMS } from './output-schemas.ts';

const ALERTS_MAX = 200;
const EVENTS_MAX = 10_000;
/** Each of their events is read from the log and decoded again. */
const EVIDENCE_ROWS_MAX = 20;
const NAME = { type: 'string', minLength: 1, maxLength: 64 } as const;
const STREAM = { ...NAME, description: 'Name of a stream, as stream_list gives it.' } as const;
const READ_ONLY = { readOnlyHint: true, openWorldHint: false } as const;

export function streamTools(streams: Streams): readonly ToolDefinition[] {
  return [
    listTool(streams),
    describeTool(streams),
    publishTool(streams),
    queryTool(streams),
    defineOperatorTool(streams, 'windows', windowDefinitionJsonSchema),
    defineOperatorTool(streams, 'patterns', patternDefinitionJsonSchema),
    removeOperatorTool(streams, 'windows'),
    removeOperatorTool(streams, 'patterns'),
    alertsTool(streams),
  ];
}

/** A refusal is an answer the model can act on; anything else is a bug. `stream`: what is asked; `''` for all. */
async function answered(
  { plan }: Streams,
  stream: string,
  work: () => object | Promise<object>,
): Promise<CallToolResult | object> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof StreamRefusal)) throw error;
    const isKnown = stream === '' || plan.streams.some(({ name }) => name === stream);
    const text = error.refusal === 'unknown' && !isKnown ? unknownStream(plan, stream) : error.message;
    return { content: [{ type: 'text', text }], isError: true };
  }
}

function listTool(streams: Streams): ToolDefinition {
  return defineTool(
    {
      name: 'stream_list',
      title: 'List streams',
      description: 'Live streams of this server, with watermark and counters.',
      run: 'inline',
      annotations: READ_ONLY,
      output: STREAMS,
    },
    async () => ({ streams: await streams.list() }),
  );
}

function describeTool(streams: Streams): ToolDefinition {
  return defineTool(
    {
      name: 'stream_describe',
      title: 'Describe a stream',
      description: 'Fields, windows, patterns, joins, anomalies and alerts of a stream, and how to query them.',
      run: 'inline',
      annotations: READ_ONLY,
      input: { type: 'object', properties: { stream: STREAM }, required: ['stream'], additionalProperties: false },
      output: DESCRIPTION,
    },
    (args) => {
      const { stream } = args as { stream: string };
      return answered(streams, stream, () => describeStream(streams, stream));
    },
  );
}

function publishTool(streams: Streams): ToolDefinition {
  return defineTool(
    {
      name: 'stream_publish',
      title: 'Publish events',
      description: 'Sends events to a stream; answers when they are counted.',
      run: 'inline',
      callerRuns: false,
      annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: false, openWorldHint: false },
      input: {
        type: 'object',
        properties: {
          stream: STREAM,
          events: { type: 'array', items: { type: 'object' }, minItems: 1, maxItems: EVENTS_MAX },
          batchId: { type: 'string', maxLength: 256, description: 'The same id again counts nothing twice.' },
        },
        required: ['stream', 'events'],
        additionalProperties: false,
      },
      output: ACCEPTED,
    },
    (args, context) => {
      const { batchId = '', events, stream } = args as { stream: string; events: object[]; batchId?: string };
      return answered(streams, stream, () =>
        streams.accept(stream, 'mcp', {
          format: 'json',
          partition: '',
          body: Buffer.from(JSON.stringify(events)),
          position: '',
          batchId: scopedBatchId(context.principal?.id ?? '', batchId),
          traceparent: context.trace.traceparent,
          correlationId: context.correlationId,
        }),
      );
    },
  );
}

interface QueryArguments {
  stream: string;
  window: string;
  key?: Record<string, string | number | boolean | null>;
  from?: number;
  to?: number;
  limit?: number;
  by?: string;
  include?: 'open' | 'closed' | 'all';
  evidence?: boolean;
}

const QUERY_INPUT = {
  type: 'object',
  properties: {
    stream: STREAM,
    window: { ...NAME, description: 'Name of the window, pattern, join, view or anomaly.' },
    key: { type: 'object', description: 'Members of the key, all or some: {"host":"a"}.' },
    from: { type: 'number', description: 'Only windows that end after this, ms since 1970.' },
    to: { type: 'number', description: 'Only windows that start before this.' },
    limit: { type: 'integer', minimum: 1, maximum: QUERY_ROWS_MAX, default: 100 },
    by: { type: 'string', description: 'Name of a value that is a number: the highest first.' },
    include: {
      enum: ['open', 'closed', 'all'],
      default: 'all',
      description:
        'open: windows as they are now; closed: results that were told, early panes and retractions included.',
    },
    evidence: {
      type: 'boolean',
      default: false,
      description: `With the original events behind each of the first ${EVIDENCE_ROWS_MAX} rows, where still held.`,
    },
  },
  required: ['stream', 'window'],
  additionalProperties: false,
};

function queryTool(streams: Streams): ToolDefinition {
  return defineTool(
    {
      name: 'window_query',
      title: 'Query a window',
      description:
        'Results of a window, pattern, join, view or anomaly of a stream: open windows as they are now, and closed ones. ' +
        'With `by`, the rows with the highest values.',
      run: 'inline',
      annotations: READ_ONLY,
      input: QUERY_INPUT,
      output: ANSWER,
    },
    (args) => {
      const {
        by = '',
        evidence = false,
        from,
        include = 'all',
        key,
        limit = 100,
        stream,
        to,
        window,
      } = args as unknown as QueryArguments;
      return answered(streams, stream, async () => {
        const answer = await streams.query({
          stream,
          name: window,
          key: key ?? null,
          fromMs: from ?? Number.NEGATIVE_INFINITY,
          toMs: to ?? Number.POSITIVE_INFINITY,
          limit,
          by,
          include,
        });
        if (!evidence) return answer;
        const shown = answer.rows.slice(0, EVIDENCE_ROWS_MAX).map((row) => withEvents(streams, stream, row, row));
        return { ...answer, rows: [...(await Promise.all(shown)), ...answer.rows.slice(EVIDENCE_ROWS_MAX)] };
      });
    },
  );
}

/** With the original events behind the result. */
async function withEvents<T extends object>(
  streams: Streams,
  stream: string,
  shown: T,
  { context }: ResultLine,
): Promise<T & { events: Awaited<ReturnType<Streams['events']>> }> {
  return { ...shown, events: await streams.events(stream, context?.events ?? []) };
}

/** Of tools that change what is in force. */
const DEFINES = { readOnlyHint: false, destructiveHint: true, idempotentHint: true, openWorldHint: false } as const;

const NOUNS = { windows: 'window', patterns: 'pattern' } as const;

function defineOperatorTool(streams: Streams, kind: keyof typeof NOUNS, schema: object): ToolDefinition {
  const noun = NOUNS[kind];
  return defineTool(
    {
      name: `${noun}_define`,
      title: `Define a ${noun}`,
      description: `Adds a ${noun} to a stream, or replaces the one of that name that was defined so. It sees events from now on.`,
      run: 'inline',
      callerRuns: false,
      annotations: DEFINES,
      input: {
        type: 'object',
        properties: { stream: STREAM, definition: schema },
        required: ['stream', 'definition'],
        additionalProperties: false,
      },
      output: KEPT,
    },
    (args) => {
      const { definition, stream } = args as { stream: string; definition: unknown };
      return answered(streams, stream, () => streams.define(stream, kind, definition));
    },
  );
}

function removeOperatorTool(streams: Streams, kind: keyof typeof NOUNS): ToolDefinition {
  const noun = NOUNS[kind];
  return defineTool(
    {
      name: `${noun}_remove`,
      title: `Remove a ${noun}`,
      description: `Takes a ${noun} that ${noun}_define added away from a stream, with its state and results.`,
      run: 'inline',
      callerRuns: false,
      annotations: DEFINES,
      input: {
        type: 'object',
        properties: { stream: STREAM, [noun]: { ...NAME, description: `Name of the ${noun}.` } },
        required: ['stream', noun],
        additionalProperties: false,
      },
      output: KEPT,
    },
    (args) => {
      const { [noun]: name = '', stream = '' } = args as Readonly<Record<string, string>>;
      return answered(streams, stream, () => streams.remove(stream, kind, name));
    },
  );
}

function alertsTool(streams: Streams): ToolDefinition {
  return defineTool(
    {
      name: 'alert_list',
      title: 'List alerts',
      description: 'Alerts, newest first, with the result that raised each and, on request, the events behind it.',
      run: 'inline',
      annotations: READ_ONLY,
      input: {
        type: 'object',
        properties: {
          stream: { ...NAME, description: 'Only of this stream.' },
          active: { type: 'boolean', default: false, description: 'Only alerts that are raised now.' },
          evidence: { type: 'boolean', default: false, description: 'With the original events, where still held.' },
          limit: { type: 'integer', minimum: 1, maximum: ALERTS_MAX, default: 50 },
        },
        additionalProperties: false,
      },
      output: ALERTS,
    },
    (args) => {
      const asked = args as { stream?: string; active?: boolean; evidence?: boolean; limit?: number };
      const { active = false, evidence = false, limit = 50, stream = '' } = asked;
      return answered(streams, stream, async () => {
        const alerts = await streams.alerts({ stream, active, limit });
        if (!evidence) return { alerts };
        const shown = alerts.map((alert) => withEvents(streams, alert.stream, alert, alert.result));
        return { alerts: await Promise.all(shown) };
      });
    },
  );
}
