/**
 * The events of a job: as typed columns, as row objects and as chunks of NDJSON bytes, the same ones.
 *
 * Role: made before anything is timed. `{"ts":…,"key":"host-000123","value":…}`; times begin at 0 and never go back, so
 * that windows begin at 0 as well; keys are spread evenly.
 */
import { Draws } from '../../src/streams/sources/generator-random.ts';
import type { Job } from './job.ts';

export interface EventColumns {
  readonly count: number;
  /** Whole ms, rising. */
  readonly ts: Float64Array;
  /** 0 … keys − 1. */
  readonly key: Uint32Array;
  /** Whole numbers below 10,000. */
  readonly value: Float64Array;
}

export interface EventRow {
  readonly ts: number;
  readonly key: string;
  readonly value: number;
}

const SEED = 20_260_101;
const VALUES = 10_000;
export const CHUNK_EVENTS = 1000;

export function eventColumns(job: Job): EventColumns {
  const { events, keys, ratePerS } = job;
  const ts = new Float64Array(events);
  const key = new Uint32Array(events);
  const value = new Float64Array(events);
  const draws = new Draws(SEED);
  for (let n = 0; n < events; n++) {
    draws.begin(n);
    ts[n] = Math.floor((n * 1000) / ratePerS);
    key[n] = draws.below(keys);
    value[n] = draws.below(VALUES);
  }
  return { count: events, ts, key, value };
}

export function keyText(key: number): string {
  return `host-${String(key).padStart(6, '0')}`;
}

export function eventRows(job: Job): EventRow[] {
  const { count, key, ts, value } = eventColumns(job);
  return Array.from({ length: count }, (_, n) => ({
    ts: ts[n] as number,
    key: keyText(key[n] as number),
    value: value[n] as number,
  }));
}

/** NDJSON bodies of `CHUNK_EVENTS` events, as an ingest endpoint would see them; times begin at `fromMs`. */
export function eventChunks(job: Job, chunkEvents = CHUNK_EVENTS, fromMs = 0): Uint8Array[] {
  const { count, key, ts, value } = eventColumns(job);
  const encoder = new TextEncoder();
  const chunks: Uint8Array[] = [];
  for (let from = 0; from < count; from += chunkEvents) {
    let text = '';
    for (let n = from; n < Math.min(count, from + chunkEvents); n++) {
      text += `{"ts":${fromMs + (ts[n] as number)},"key":"${keyText(key[n] as number)}","value":${value[n]}}\n`;
    }
    chunks.push(encoder.encode(text));
  }
  return chunks;
}
