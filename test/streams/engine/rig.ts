/**
 * Streams on the calling thread with a clock of the test's own.
 */
import type { StreamDefinition } from '../../../src/streams/define/definition.ts';
import type { EngineLog } from '../../../src/streams/engine/engine.ts';
import { LocalThreads } from '../../../src/streams/engine/local-threads.ts';
import type { ResultLine } from '../../../src/streams/engine/port.ts';
import type { StreamThreads } from '../../../src/streams/engine/task.ts';
import { type OpenStreams, openStreams, type StreamsOptions } from '../../../src/streams/open.ts';
import type { Accepted, IncomingBatch } from '../../../src/streams/sources/port.ts';

export interface Rig extends OpenStreams {
  nowMs: number;
  readonly troubles: { readonly level: string; readonly message: string; readonly fields: object }[];
  /** NDJSON of these events. */
  send(stream: string, events: readonly object[], heading?: Partial<IncomingBatch>): Promise<Accepted>;
  rows(stream: string, name: string, include?: 'open' | 'closed' | 'all'): Promise<readonly ResultLine[]>;
}

export interface RigOptions extends Partial<StreamsOptions> {
  readonly threads?: (parts: Parameters<StreamsOptions['threads']>[0]) => StreamThreads;
}

const FAR_MS = 3_600_000;

export async function openRig(definitions: readonly StreamDefinition[], options: RigOptions = {}): Promise<Rig> {
  const troubles: Rig['troubles'] = [];
  const note =
    (level: string): EngineLog['warn'] =>
    (fields, message) =>
      void troubles.push({ level, message, fields });
  const clock = { nowMs: 1_000_000 };
  const streams = await openStreams({
    definitions,
    dataDir: '',
    shards: 4,
    logBytesMax: 2 ** 30,
    checkpointMs: FAR_MS,
    tickMs: FAR_MS,
    threads: (parts) => new LocalThreads(parts),
    log: { error: note('error'), warn: note('warn'), info: () => undefined },
    now: () => clock.nowMs,
    ...options,
  });
  return {
    ...streams,
    troubles,
    get nowMs() {
      return clock.nowMs;
    },
    set nowMs(value: number) {
      clock.nowMs = value;
    },
    send: (stream, events, heading = {}) =>
      streams.service.accept(stream, 'test', {
        format: 'ndjson',
        partition: '',
        body: Buffer.from(events.map((event) => JSON.stringify(event)).join('\n')),
        position: '',
        batchId: '',
        traceparent: '',
        correlationId: '',
        ...heading,
      }),
    async rows(stream, name, include = 'closed') {
      const query = { stream, name, key: null, fromMs: -Infinity, toMs: Infinity, limit: 1000, by: '', include };
      return (await streams.service.query(query)).rows;
    },
  };
}
