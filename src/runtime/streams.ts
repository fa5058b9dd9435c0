/**
 * Joins the live streams to the runtime: threads of the pool, MCP definitions, subscriptions, ingest endpoint, gauges.
 *
 * Role: what `create-runtime.ts` needs of `src/streams`, which is loaded only when streams are declared.
 */
import type { SourcedDefinition } from '../catalogue/entries.ts';
import type { Settings } from '../config/settings.ts';
import { readStreamFiles } from '../config/stream-files.ts';
import type { RequestHead } from '../frontend/port.ts';
import type { Endpoint } from '../frontend/router.ts';
import type { Log, Meters } from '../observe/port.ts';
import { type Authenticator, type AuthRefusal, isAuthRefusal } from '../protocol/authenticator.ts';
import type { StreamDefinition } from '../streams/define/definition.ts';
import type { Refused } from '../streams/ingest/http-endpoint.ts';
import type { OpenStreams } from '../streams/open.ts';
import type { Bus } from '../subscriptions/port.ts';
import type { Engine } from './engine.ts';

export interface StreamsPorts {
  readonly settings: Settings;
  readonly engine: Engine;
  readonly bus: Bus;
  readonly log: Log;
  readonly meters: Meters;
  readonly authenticator: Authenticator | null;
  readonly give: (source: string, definitions: readonly SourcedDefinition[]) => void;
}

export interface RuntimeStreams {
  readonly endpoint: Required<Endpoint>;
  readonly degraded: readonly string[];
  close(): Promise<void>;
}

/** Null when no streams are declared. Rejects when they cannot be opened. */
export async function startStreams(
  ports: StreamsPorts,
  declared: readonly StreamDefinition[],
): Promise<RuntimeStreams | null> {
  const { settings } = ports;
  const definitions = [
    ...settings.streaming.definitions,
    ...(await readStreamFiles(settings.streaming.files)),
    ...declared,
  ];
  if (definitions.length === 0) return null;
  const [
    { openStreams },
    { openStores },
    { CONNECTOR_KINDS },
    { PoolThreads },
    { StreamEndpoint },
    { streamDefinitions },
    { uriOf },
  ] = await Promise.all([
    import('../streams/open.ts'),
    import('../streams/stores.ts'),
    import('../streams/engine/connectors.ts'),
    import('../streams/engine/pool-threads.ts'),
    import('../streams/ingest/http-endpoint.ts'),
    import('../streams/mcp/definitions.ts'),
    import('../streams/mcp/describe.ts'),
  ]);
  const { bus, engine, log, meters } = ports;
  const threads = new PoolThreads(engine.streamPorts(), settings.streaming.taskMsMax);
  engine.onWorker(() => threads.pump());
  const streams = await openStreams({
    ...settings.streaming,
    definitions,
    kinds: CONNECTOR_KINDS,
    stores: () => openStores({ ...settings.streaming, definitions }),
    threads: () => threads,
    log,
    now: Date.now,
  });
  const { service } = streams;
  const publish = (): void => ports.give('streams', streamDefinitions(service));
  publish();
  service.onChange(({ kind, operator, stream }) => {
    bus.publish({ kind: 'resource', uri: uriOf(stream, kind, operator) });
  });
  service.onDefined(publish);
  registerStreamGauges(meters, streams);
  const refused = (head: RequestHead) => refusalFor(ports.authenticator, head);
  return {
    endpoint: new StreamEndpoint({ streams: service, bodyBytesMax: settings.requestBytesMax, refused, log }),
    get degraded() {
      return service.degraded;
    },
    async close() {
      await streams.close();
      threads.close();
    },
  };
}

function refusalFor(authenticator: Authenticator | null, head: RequestHead): Refused | null | Promise<Refused | null> {
  if (authenticator === null) return null;
  const verdict = authenticator.authenticate(head.header('authorization'));
  if (verdict instanceof Promise) return verdict.then((known) => (isAuthRefusal(known) ? refusedBy(known) : null));
  return isAuthRefusal(verdict) ? refusedBy(verdict) : null;
}

function refusedBy({ message, status, wwwAuthenticate }: AuthRefusal): Refused {
  return { status, message, headers: [['WWW-Authenticate', wwwAuthenticate]] };
}

function registerStreamGauges(meters: Meters, { service }: OpenStreams): void {
  for (const { name } of service.list()) {
    const of = (): ReturnType<typeof service.list>[number] | undefined =>
      service.list().find((each) => each.name === name);
    const labels = { stream: name };
    meters.gauge('millrace_stream_events', 'Events accepted.', () => of()?.counters.accepted ?? 0, labels);
    meters.gauge('millrace_stream_late', 'Late events dropped.', () => of()?.counters.late ?? 0, labels);
    meters.gauge('millrace_stream_rejected', 'Poison events.', () => of()?.counters.rejected ?? 0, labels);
    meters.gauge('millrace_stream_results', 'Results emitted.', () => of()?.counters.results ?? 0, labels);
    meters.gauge(
      'millrace_stream_pending_bytes',
      'Bytes accepted and not applied.',
      () => of()?.pendingBytes ?? 0,
      labels,
    );
    const lagOf = (): number => Math.max(0, Date.now() - (of()?.watermark ?? Date.now()));
    meters.gauge('millrace_stream_watermark_lag_ms', 'Wall clock minus watermark.', lagOf, labels);
  }
}
