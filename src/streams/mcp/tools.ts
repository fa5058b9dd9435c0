/**
 * The stream tools: what an agent asks of the streams.
 *
 * Role: thin definitions over `Streams`; everything they say comes from there. They run inline, since all they do on
 * this thread is to ask the engine: what takes time is done by the pool. A refusal is a tool error a model can read.
 * Names and parameters are fixed: other people's prompts rely on them.
 */
import { type CallToolResult, defineTool, type ToolDefinition } from '../../catalogue/define.ts';
import { patternDefinitionJsonSchema, windowDefinitionJsonSchema } from '../define/schema.ts';
import { StreamRefusal, type Streams, type WindowAnswer } from '../engine/port.ts';
import { QUERY_ROWS_MAX } from '../engine/service.ts';
import { scopedBatchId } from '../sources/port.ts';
import { describeStream } from './describe.ts';

const ALERTS_MAX = 200;
const EVENTS_MAX = 10_000;
const NAME = { type: 'string', minLength: 1, maxLength: 64 } as const;
const STREAM = { ...NAME, description: 'Name of a stream, as stream_list gives it.' } as const;
const READ_ONLY = { readOnlyHint: true, openWorldHint: false } as const;

const ROW = {
  type: 'object',
  properties: {
    id: { type: 'string' },
    stream: { type: 'string' },
    name: { type: 'string' },
    key: { type: 'object' },
    start: { type: ['number', 'null'], description: 'Start of the window, ms since 1970.' },
    end: { type: ['number', 'null'], description: 'End of the window, exclusive.' },
    pane: { type: 'integer' },
    timing: { enum: ['early', 'on-time', 'late'] },
    final: { type: 'boolean', description: 'False: the window is open and the values will change.' },
    retraction: { type: 'boolean' },
    output: { type: 'string' },
    values: { type: 'object' },
    context: { type: 'object', description: 'Ids of contributing events, trace and correlation ids.' },
  },
  required: ['id', 'stream', 'name', 'key', 'start', 'end', 'pane', 'timing', 'final', 'values'],
};

export function streamTools(streams: Streams): readonly ToolDefinition[] {
  return [
    listTool(streams),
    describeTool(streams),
    publishTool(streams),
    queryTool(streams),
    defineWindowTool(streams),
    definePatternTool(streams),
    alertsTool(streams),
  ];
}

/** A refusal is an answer the model can act on; anything else is a bug. */
async function answered(work: () => object | Promise<object>): Promise<CallToolResult | object> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof StreamRefusal)) throw error;
    return { content: [{ type: 'text', text: error.message }], isError: true };
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
      output: {
        type: 'object',
        properties: { streams: { type: 'array', items: { type: 'object' } } },
        required: ['streams'],
      },
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
      input: { type: 'object', properties: { stream: STREAM }, required: ['stream'] },
      output: { type: 'object' },
    },
    (args) => answered(() => describeStream(streams, (args as { stream: string }).stream)),
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
      },
      output: {
        type: 'object',
        properties: { accepted: { type: 'integer' }, rejected: { type: 'integer' }, late: { type: 'integer' } },
        required: ['accepted', 'rejected', 'late'],
      },
    },
    (args, context) => {
      const { batchId = '', events, stream } = args as { stream: string; events: object[]; batchId?: string };
      return answered(() =>
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
    by: { type: 'string', description: 'Name of a value: the highest first.' },
    include: { enum: ['open', 'closed', 'all'], default: 'all' },
  },
  required: ['stream', 'window'],
};

const QUERY_OUTPUT = {
  type: 'object',
  properties: {
    rows: { type: 'array', items: ROW },
    watermark: { type: ['number', 'null'], description: 'Event time up to which results are complete.' },
    truncated: { type: 'boolean', description: 'There may be more than these.' },
    truncatedBy: {
      type: 'array',
      items: { enum: ['limit', 'retained'] },
      description:
        'Why: more rows than `limit` match, or closed results of the range are kept no more, so that the rows with the ' +
        'highest values are those of what is left.',
    },
  },
  required: ['rows', 'watermark', 'truncated', 'truncatedBy'],
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
      output: QUERY_OUTPUT,
    },
    (args) => {
      const {
        by = '',
        from,
        include = 'all',
        key,
        limit = 100,
        stream,
        to,
        window,
      } = args as unknown as QueryArguments;
      return answered(
        (): Promise<WindowAnswer> =>
          streams.query({
            stream,
            name: window,
            key: key ?? null,
            fromMs: from ?? Number.NEGATIVE_INFINITY,
            toMs: to ?? Number.POSITIVE_INFINITY,
            limit,
            by,
            include,
          }),
      );
    },
  );
}

const KEPT = {
  type: 'object',
  properties: {
    operators: {
      type: 'array',
      items: {
        type: 'object',
        properties: { name: { type: 'string' }, kept: { type: 'boolean' }, why: { type: 'string' } },
      },
    },
  },
  required: ['operators'],
};

const DEFINES = { readOnlyHint: false, destructiveHint: true, idempotentHint: true, openWorldHint: false } as const;

function defineWindowTool(streams: Streams): ToolDefinition {
  return defineTool(
    {
      name: 'window_define',
      title: 'Define a window',
      description: 'Adds a window to a stream, or replaces the one of that name. It sees events from now on.',
      run: 'inline',
      callerRuns: false,
      annotations: DEFINES,
      input: {
        type: 'object',
        properties: { stream: STREAM, definition: windowDefinitionJsonSchema },
        required: ['stream', 'definition'],
      },
      output: KEPT,
    },
    (args) => {
      const { definition, stream } = args as { stream: string; definition: unknown };
      return answered(() => streams.define(stream, 'windows', definition));
    },
  );
}

function definePatternTool(streams: Streams): ToolDefinition {
  return defineTool(
    {
      name: 'pattern_define',
      title: 'Define a pattern',
      description: 'Adds a pattern to a stream, or replaces the one of that name. It sees events from now on.',
      run: 'inline',
      callerRuns: false,
      annotations: DEFINES,
      input: {
        type: 'object',
        properties: { stream: STREAM, definition: patternDefinitionJsonSchema },
        required: ['stream', 'definition'],
      },
      output: KEPT,
    },
    (args) => {
      const { definition, stream } = args as { stream: string; definition: unknown };
      return answered(() => streams.define(stream, 'patterns', definition));
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
      },
      output: {
        type: 'object',
        properties: { alerts: { type: 'array', items: { type: 'object' } } },
        required: ['alerts'],
      },
    },
    (args) => {
      const asked = args as { stream?: string; active?: boolean; evidence?: boolean; limit?: number };
      const { active = false, evidence = false, limit = 50, stream = '' } = asked;
      return answered(async () => {
        const alerts = await streams.alerts({ stream, active, limit });
        if (!evidence) return { alerts };
        const shown = alerts.map(async (alert) => ({
          ...alert,
          events: await streams.events(alert.stream, alert.result.context?.events ?? []),
        }));
        return { alerts: await Promise.all(shown) };
      });
    },
  );
}
