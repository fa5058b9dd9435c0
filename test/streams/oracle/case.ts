/**
 * A case for the oracle: streams as people declare them, and what arrives, batch by batch.
 *
 * Role: the one input both sides get. `encodeBatch` makes the bytes an engine is fed with; the rest of this folder
 * computes from the same rows what must come out.
 */
import type { SchemaDefinition, StreamDefinition, WindowDefinition } from '../../../src/streams/define/definition.ts';

export type Scalar = number | string | boolean | null;

export interface OracleEvent {
  /** Members as the schema names them, the timestamp's among them. */
  readonly fields: Readonly<Record<string, Scalar>>;
  /** CloudEvents id, for streams that are told apart by it; `''` for none. */
  readonly id: string;
}

export interface OracleBatch {
  readonly stream: string;
  readonly partition: string;
  /** CloudEvents source. */
  readonly source: string;
  readonly arrivalMs: number;
  readonly events: readonly OracleEvent[];
}

/** A partition that is silent from here on does not hold the watermark back, until it sends again. */
export interface OracleIdle {
  readonly stream: string;
  readonly idle: string;
}

export type OracleStep = OracleBatch | OracleIdle;

export interface OracleCase {
  readonly streams: readonly StreamDefinition[];
  /** In the order the log holds them. */
  readonly steps: readonly OracleStep[];
}

/** The body a source would hand over: CloudEvents when the events have ids, NDJSON otherwise. */
export function encodeBatch(batch: OracleBatch): { format: 'ndjson' | 'cloudevents-batch'; body: Uint8Array } {
  const encoder = new TextEncoder();
  if (batch.events.every(({ id }) => id === '')) {
    const text = batch.events.map(({ fields }) => `${JSON.stringify(present(fields))}\n`).join('');
    return { format: 'ndjson', body: encoder.encode(text) };
  }
  const events = batch.events.map(({ fields, id }) => ({
    specversion: '1.0',
    type: 'case',
    source: batch.source,
    id,
    data: present(fields),
  }));
  return { format: 'cloudevents-batch', body: encoder.encode(JSON.stringify(events)) };
}

function present(fields: OracleEvent['fields']): Record<string, Scalar> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== null));
}

export function streamOf(given: OracleCase, name: string): StreamDefinition {
  const stream = given.streams.find((each) => each.name === name);
  if (stream === undefined) throw new Error(`the case has no stream ${name}`);
  return stream;
}

/** The window and the stream it is declared on; the only one of the case when no name is given. */
export function windowOf(given: OracleCase, name: string): { stream: StreamDefinition; window: WindowDefinition } {
  for (const stream of given.streams) {
    for (const window of stream.windows ?? []) {
      if (name === '' || window.name === name) return { stream, window };
    }
  }
  throw new Error(`the case has no window ${name}`);
}

/** Event time in ms. */
export function timeOf(schema: SchemaDefinition, event: OracleEvent, arrivalMs: number): number {
  const timestamp = schema.timestamp ?? 'arrival';
  if (timestamp === 'arrival') return arrivalMs;
  const value = event.fields[timestamp.field];
  if (typeof value === 'string') return Date.parse(value);
  const perMs = { s: 0.001, ms: 1, us: 1000, ns: 1e6, iso: 1 }[timestamp.unit ?? 'ms'];
  return Math.floor((value as number) / perMs);
}
