/**
 * Events over HTTP into the whole server: worker threads, and what durability costs.
 *
 * Role: variants of the scenario `streams`. A few connections post batches as fast as they are acknowledged.
 */
import { availableParallelism } from 'node:os';
import { readTree } from '../measure/process-tree.ts';
import type { Sample } from '../report/model.ts';
import type { ServerProcess } from '../servers/server-process.ts';
import { ingest, type StreamServerOptions, startStreamServer } from '../servers/stream-server.ts';
import { eventChunks } from '../streams/data.ts';
import { jobOf } from '../streams/job.ts';
import { withoutNaN } from './load-variant.ts';
import { workerCounts } from './scaling.ts';
import type { Round, Variant } from './scenario.ts';

const BATCH_EVENTS = 5000;
const BATCHES = 40;
const KEYS = 1000;
const CONNECTIONS = 4;
const RATE_PER_S = 100_000;
const BATCH_MS = (BATCH_EVENTS * 1000) / RATE_PER_S;
/** Thirteen digits from the first event to the last. */
const FIRST_MS = 1_000_000_000_000;
const COMMA = 44;
const LINE_FEED = 10;

export function ingestVariants(): Variant[] {
  const counts = workerCounts(availableParallelism());
  return [
    ...counts.map((workers) => ingestVariant({ workers, durability: 'memory', windowMs: 1000 })),
    ingestVariant({ workers: counts.at(-1) ?? 1, durability: 'fsync', windowMs: 1000 }),
  ];
}

function ingestVariant(options: StreamServerOptions): Variant {
  const { durability, workers } = options;
  return {
    name: `HTTP ingest, ${workers} ${workers === 1 ? 'worker' : 'workers'}, ${durability}`,
    role: 'millrace',
    quick: false,
    measure: (round) => measure(options, round),
  };
}

async function measure(options: StreamServerOptions, { plan, stopped }: Round): Promise<Sample> {
  const bodies = new TimedBatches();
  const server = await startStreamServer(options);
  try {
    return await server.during(stopped, (until) => taken(server, bodies, { plan, stopped: until }));
  } finally {
    await server.end();
  }
}

async function taken(server: ServerProcess, bodies: TimedBatches, { plan, stopped }: Round): Promise<Sample> {
  await pour(server.url, bodies, plan.warmupMs, stopped);
  const before = readTree(server.pid);
  const began = performance.now();
  const accepted = await pour(server.url, bodies, plan.durationMs, stopped);
  const elapsedMs = performance.now() - began;
  const after = readTree(server.pid);
  const cpuUs = before === null || after === null ? Number.NaN : after.cpuUs - before.cpuUs;
  return {
    figures: withoutNaN({
      eventsPerSecond: (accepted * 1000) / elapsedMs,
      cpuNsPerEvent: accepted === 0 ? Number.NaN : (cpuUs * 1000) / accepted,
      residentMiB: (after?.residentBytes ?? Number.NaN) / 2 ** 20,
    }),
    curveUs: [],
    curveCount: 0,
    intervals: [],
    client: 'own',
    problem: '',
  };
}

/** Events taken within the time. */
async function pour(url: string, batches: TimedBatches, durationMs: number, stopped: AbortSignal): Promise<number> {
  const untilMs = performance.now() + durationMs;
  let accepted = 0;
  const connection = async (): Promise<void> => {
    while (performance.now() < untilMs && !stopped.aborted) {
      const taken = await ingest(url, batches.next());
      // Not in one expression: it would read the sum before it waits, and lose what the others add meanwhile.
      accepted += taken;
    }
  };
  await Promise.all(Array.from({ length: CONNECTIONS }, connection));
  return accepted;
}

/** Bodies whose times go on from one to the next: digits are written over, nothing else changes. */
class TimedBatches {
  readonly #bodies: readonly Uint8Array<ArrayBuffer>[];
  /** Of each body, where the digits of the events' times end. */
  readonly #places: readonly Uint32Array[];
  #given = 0;

  constructor() {
    const job = { ...jobOf('tumbling', KEYS, BATCH_EVENTS * BATCHES), ratePerS: RATE_PER_S };
    this.#bodies = eventChunks(job, BATCH_EVENTS, FIRST_MS).map((body) => Uint8Array.from(body));
    this.#places = this.#bodies.map((body) => {
      const places: number[] = [];
      for (let at = body.indexOf(COMMA); at !== -1; at = body.indexOf(LINE_FEED, at) + 1) {
        if (at === 0) break;
        places.push(body.indexOf(COMMA, at));
      }
      return Uint32Array.from(places);
    });
  }

  next(): Uint8Array<ArrayBuffer> {
    const index = this.#given % this.#bodies.length;
    const body = this.#bodies[index] as Uint8Array<ArrayBuffer>;
    const base = FIRST_MS + this.#given * BATCH_MS;
    const places = this.#places[index] as Uint32Array;
    for (let event = 0; event < places.length; event++) {
      let rest = base + Math.floor((event * BATCH_MS) / places.length);
      for (let at = (places[event] as number) - 1; rest > 0; at--, rest = Math.floor(rest / 10)) {
        body[at] = 48 + (rest % 10);
      }
    }
    this.#given += 1;
    return body.slice();
  }
}
