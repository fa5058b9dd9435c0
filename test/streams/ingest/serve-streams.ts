/**
 * A runtime with one stream of visits, over real sockets, and how to post to it.
 */
import type { RuntimeOptions } from '../../../src/index.ts';
import type { StreamDefinition } from '../../../src/streams/define/definition.ts';
import { type FrontEndName, type Served, serve } from '../../clients/serve.ts';

export const VISITS: StreamDefinition = {
  name: 'visits',
  schema: {
    fields: { page: 'string', ms: 'number', at: 'integer' },
    timestamp: { field: 'at' },
    key: ['page'],
  },
  windows: [{ name: 'byPage', type: 'count', count: 1000, aggregates: { n: 'count', ms: { fn: 'sum', of: 'ms' } } }],
};

/** `visits`, and how to post to it. */
export interface StreamsServed extends Served, StreamServed {
  /** Another one. */
  at(stream: string): StreamServed;
}

export interface StreamServed {
  /** `http://127.0.0.1:port/streams/visits` */
  readonly base: string;
  post(body: Buffer | string, headers?: Readonly<Record<string, string>>): Promise<Answer>;
  /** Events counted so far, and those dropped as repetitions are not among them. */
  accepted(): Promise<number>;
}

export interface Answer {
  readonly status: number;
  readonly json: Readonly<Record<string, unknown>>;
  readonly headers: Headers;
}

/** `stream`: what `visits` has of its own; `others`: streams beside it. */
export async function serveStreams(
  frontend: FrontEndName,
  stream: Partial<StreamDefinition> = {},
  options: RuntimeOptions = {},
  others: readonly StreamDefinition[] = [],
): Promise<StreamsServed> {
  const liveStreams = [{ ...VISITS, ...stream }, ...others];
  const served = await serve(frontend, { workers: 1, liveStreams, ...options });
  const at = (name: string): StreamServed => {
    const base = `http://127.0.0.1:${served.port}/streams/${name}`;
    return {
      base,
      post: (body, headers = {}) =>
        call(`${base}/events`, {
          method: 'POST',
          body,
          headers: { 'Content-Type': 'application/x-ndjson', ...headers },
        }),
      accepted: () => served.metric('millrace_stream_events_total', `stream="${name}"`),
    };
  };
  return { ...served, ...at(VISITS.name), at };
}

export async function call(url: string, init: RequestInit): Promise<Answer> {
  const response = await fetch(url, init);
  const text = await response.text();
  return { status: response.status, json: text === '' ? {} : JSON.parse(text), headers: response.headers };
}

/** Clock of the events: not in the future, and all within the allowed disorder of none. */
let lastMs = 1_767_225_600_000;

export function visit(page: string, over: object = {}): object {
  lastMs += 1;
  return { page, ms: 2.5, at: lastMs, ...over };
}

export const ndjson = (events: readonly unknown[]): string => events.map((event) => JSON.stringify(event)).join('\n');
