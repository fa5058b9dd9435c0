/**
 * Streams on the calling thread with a clock of the test's own.
 */
import type { StreamDefinition } from '../../../src/streams/define/definition.ts';
import { CONNECTOR_KINDS } from '../../../src/streams/engine/connectors/connectors.ts';
import type { EngineLog } from '../../../src/streams/engine/engine.ts';
import type { ResultLine } from '../../../src/streams/engine/port.ts';
import { StreamRefusal } from '../../../src/streams/engine/port.ts';
import type { StreamThreads } from '../../../src/streams/engine/task.ts';
import { LocalThreads } from '../../../src/streams/engine/threads/local-threads.ts';
import { type OpenStreams, openStreams, type StreamsOptions } from '../../../src/streams/open.ts';
import type { SinkBatch, SinkKind } from '../../../src/streams/sinks/port.ts';
import type { Accepted, IncomingBatch } from '../../../src/streams/sources/port.ts';
import { openStores } from '../../../src/streams/stores.ts';
import { EVERYTHING, ndjsonBatch } from '../rig-parts.ts';

export interface Rig extends OpenStreams {
  readonly tap: Tap;
  nowMs: number;
  readonly troubles: { readonly level: string; readonly message: string; readonly fields: object }[];
  /** NDJSON of these events. */
  send(stream: string, events: readonly object[], heading?: Partial<IncomingBatch>): Promise<Accepted>;
  rows(stream: string, name: string, include?: 'open' | 'closed' | 'all'): Promise<readonly ResultLine[]>;
}

export interface RigOptions extends Partial<StreamsOptions> {
  readonly threads?: (parts: Parameters<StreamsOptions['threads']>[0]) => StreamThreads;
  readonly tap?: Tap;
}

const FAR_MS = 3_600_000;

/** A sink of type `tap`: what it was given, and where it says it stands when it is opened. */
/** Why it was not taken; `''`: it was. */
export const refusalOf = (sent: Promise<unknown>): Promise<string> =>
  sent.then(
    () => '',
    (error: unknown) => (error instanceof StreamRefusal ? error.refusal : String(error)),
  );

export interface Tap {
  readonly batches: SinkBatch[];
  /** Lines in order. */
  lines(): string[];
  cursor: number;
  /** Called before a batch is taken; throws to refuse it. */
  refuse: () => void;
}

export function createTap(): Tap {
  return {
    batches: [],
    lines() {
      return this.batches.flatMap(({ lines }) => lines);
    },
    cursor: 0,
    refuse: () => undefined,
  };
}

function tapKind(tap: Tap): SinkKind {
  return {
    type: 'tap',
    guarantee: 'exactly-once',
    options: [],
    create: () => ({
      open: () => Promise.resolve(tap.cursor),
      write(batch) {
        tap.refuse();
        tap.batches.push({ seq: batch.seq, lines: batch.lines });
        tap.cursor = batch.seq;
        return Promise.resolve();
      },
      close: () => Promise.resolve(),
    }),
  };
}

export async function openRig(
  definitions: readonly StreamDefinition[],
  { tap = createTap(), ...options }: RigOptions = {},
): Promise<Rig> {
  const troubles: Rig['troubles'] = [];
  const note =
    (level: string): EngineLog['warn'] =>
    (fields, message) =>
      void troubles.push({ level, message, fields });
  const clock = { nowMs: 1_000_000 };
  const streams = await openStreams({
    definitions,
    shards: 4,
    logBytesMax: 2 ** 30,
    checkpointMs: FAR_MS,
    tickMs: FAR_MS,
    kinds: { ...CONNECTOR_KINDS, sinks: new Map([...CONNECTOR_KINDS.sinks, ['tap', tapKind(tap)]]) },
    stores: () => openStores({ definitions, dataDir: '', logBytesMax: 2 ** 30 }),
    threads: (parts) => new LocalThreads(parts),
    log: { error: note('error'), warn: note('warn'), info: () => undefined },
    now: () => clock.nowMs,
    monotonic: options.now ?? ((): number => clock.nowMs),
    ...options,
  });
  return {
    ...streams,
    tap,
    troubles,
    get nowMs() {
      return clock.nowMs;
    },
    set nowMs(value: number) {
      clock.nowMs = value;
    },
    send: (stream, events, heading) => streams.service.accept(stream, 'test', ndjsonBatch(events, heading)),
    async rows(stream, name, include = 'closed') {
      return (await streams.service.query({ ...EVERYTHING, stream, name, include })).rows;
    },
  };
}
