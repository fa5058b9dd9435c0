/**
 * Sources and sinks of the declared streams: made, started, kept over changes of the plan, stopped.
 *
 * Role: between definitions and connectors. A connector whose declaration did not change goes on untouched; sinks exist
 * before the plan that needs them is used, sources start when the engine runs.
 * Positions and cursors are kept under their names (`connector-names.ts`); `source-places.ts` finds those of sources
 * whose number in the list has changed.
 */
import { resolve } from 'node:path';
import type { FileAt } from '../../connector-options.ts';
import type { SinkDefinition, SourceDefinition, StreamDefinition } from '../../define/definition.ts';
import { SINK_KINDS } from '../../sinks/kinds.ts';
import type { Sink, SinkKind } from '../../sinks/port.ts';
import { SOURCE_KINDS } from '../../sources/kinds.ts';
import type { Source, SourceHost, SourceKind } from '../../sources/port.ts';
import type { SinkFacts } from '../checkpoint-facts.ts';
import type { EngineLog } from '../engine.ts';
import { StreamRefusal, type Streams } from '../port.ts';
import { Delivery } from '../results/delivery.ts';
import type { SinkRoute } from '../results/outcomes.ts';
import { nameOf } from './connector-names.ts';
import { marked, markOf, placesOf } from './source-places.ts';

interface RunningSource {
  readonly declared: string;
  readonly source: Source;
}

interface OpenSink {
  readonly declared: string;
  readonly route: SinkRoute;
}

interface WantedSource {
  readonly stream: string;
  /** Of the stream. */
  readonly sources: readonly SourceDefinition[];
  /** Which of them. */
  readonly n: number;
}

interface WantedSink {
  readonly stream: string;
  readonly sink: SinkDefinition;
}

/** Connector types by name: those there are, and those of tests. */
export interface ConnectorKinds {
  readonly sources: ReadonlyMap<string, SourceKind>;
  readonly sinks: ReadonlyMap<string, SinkKind>;
  /** Where paths of a stream's declaration begin. Absent: in the working directory. */
  readonly folderOf?: (stream: string) => string;
}

export const fileAtOf =
  ({ folderOf }: ConnectorKinds, stream: string): FileAt =>
  (path) =>
    resolve(folderOf?.(stream) ?? '', path);

export const CONNECTOR_KINDS: ConnectorKinds = { sources: SOURCE_KINDS, sinks: SINK_KINDS };

export interface ConnectorPorts {
  readonly kinds: ConnectorKinds;
  readonly log: EngineLog;
  readonly now: () => number;
  accept: Streams['accept'];
  /** Newest record of the log. */
  lastSeq(): number;
  /** Positions of a source, by partition. */
  positions(stream: string, source: string): ReadonlyMap<string, string>;
}

export class Connectors {
  readonly #ports: ConnectorPorts;
  readonly #sources = new Map<string, RunningSource>();
  readonly #failed = new Set<Source>();
  readonly #sinks = new Map<string, OpenSink>();

  constructor(ports: ConnectorPorts) {
    this.#ports = ports;
  }

  /**
   * Closes sinks that are gone or have changed, then opens new ones, so that no two write to one place at a time.
   * Rejects, naming the sink, when one cannot be made.
   */
  async useSinks(
    definitions: readonly StreamDefinition[],
    before: ReadonlyMap<string, SinkFacts>,
  ): Promise<readonly SinkRoute[]> {
    const wanted = new Map<string, WantedSink>();
    for (const { name: stream, sinks = [] } of definitions) {
      for (const [n, sink] of sinks.entries()) wanted.set(nameOf(stream, sink, n), { stream, sink });
    }
    const facts = new Map(before);
    const moved = new Map<string, SinkFacts>();
    for (const [name, open] of this.#sinks) {
      if (open.declared === JSON.stringify(wanted.get(name)?.sink)) continue;
      this.#sinks.delete(name);
      const { delivery } = open.route;
      await delivery.handOver();
      const now = this.#nameNow(open, wanted);
      if (now === null) continue;
      // As it was under another number: what waits is its own.
      moved.set(now, { cursor: delivery.cursor, pending: delivery.pending() });
      facts.delete(name);
    }
    for (const [name, its] of moved) facts.set(name, its);
    const routes: SinkRoute[] = [];
    for (const [name, { sink, stream }] of wanted) {
      const known = this.#sinks.get(name) ?? (await this.#openSink(name, stream, sink, facts));
      this.#sinks.set(name, known);
      routes.push(known.route);
    }
    return routes;
  }

  /** Where the list has what is not in its place there any more; null: nowhere. */
  #nameNow({ declared, route }: OpenSink, wanted: ReadonlyMap<string, WantedSink>): string | null {
    for (const [name, { sink, stream }] of wanted) {
      const isIt = stream === route.stream && JSON.stringify(sink) === declared;
      if (isIt && this.#sinks.get(name)?.declared !== declared) return name;
    }
    return null;
  }

  async #openSink(
    name: string,
    stream: string,
    declaration: SinkDefinition,
    before: ReadonlyMap<string, SinkFacts>,
  ): Promise<OpenSink> {
    const { of = [], type, ...options } = declaration;
    const target = type === 'stream' ? String(options['stream']) : '';
    const delivery = new Delivery(
      name,
      target === '' ? this.#makeSink(type, options, name, stream) : NOWHERE,
      this.#ports.log,
    );
    const { cursor = null, pending = [] } = before.get(name) ?? {};
    await delivery.open(cursor, pending, this.#ports.lastSeq());
    return { declared: JSON.stringify(declaration), route: { delivery, stream, of, target } };
  }

  #makeSink(type: string, options: Readonly<Record<string, unknown>>, name: string, stream: string): Sink {
    const { kinds } = this.#ports;
    const kind = kinds.sinks.get(type);
    if (kind === undefined) {
      const known = [...kinds.sinks.keys(), 'stream'].join(', ');
      throw new StreamRefusal('invalid', `sink ${name}: type ${JSON.stringify(type)} is not one of ${known}`);
    }
    return kind.create(options, name, fileAtOf(kinds, stream));
  }

  /** Sources of which nothing is read: they try again, or failed for good, until they are declared otherwise or started anew. */
  get failingSources(): readonly string[] {
    return [...this.#sources].flatMap(([name, { source }]) =>
      source.failing === true || this.#failed.has(source) ? [name] : [],
    );
  }

  /** Starts what is new, stops what has gone. */
  async useSources(definitions: readonly StreamDefinition[]): Promise<void> {
    const wanted = new Map<string, WantedSource>();
    for (const { name: stream, sources = [] } of definitions) {
      for (const [n, declaration] of sources.entries())
        wanted.set(nameOf(stream, declaration, n), { stream, sources, n });
    }
    for (const [name, { declared, source }] of this.#sources) {
      const now = wanted.get(name);
      if (declared === JSON.stringify(now?.sources[now.n])) continue;
      await source.stop();
      this.#sources.delete(name);
      this.#failed.delete(source);
    }
    for (const [name, source] of wanted) {
      if (!this.#sources.has(name)) await this.#startSource(name, source);
    }
  }

  async #startSource(name: string, { n, sources, stream }: WantedSource): Promise<void> {
    const declaration = sources[n] as SourceDefinition;
    const kind = this.#ports.kinds.sources.get(declaration.type);
    if (kind === undefined) {
      const known = [...this.#ports.kinds.sources.keys()].join(', ');
      throw new StreamRefusal(
        'invalid',
        `source ${name}: type ${JSON.stringify(declaration.type)} is not one of ${known}`,
      );
    }
    const { accept, kinds, log, now, positions } = this.#ports;
    const mark = markOf(declaration, kind);
    const host: SourceHost = {
      accept: (batch) => accept(stream, name, { ...batch, position: marked(batch.position, mark) }),
      log,
      now,
      fileAt: fileAtOf(kinds, stream),
    };
    const source = kind.create(declaration, stream, host);
    this.#sources.set(name, { declared: JSON.stringify(declaration), source });
    source.done.then(
      () => log.info({ source: name }, 'the source has ended'),
      (error: unknown) => {
        this.#failed.add(source);
        log.warn({ err: error, source: name }, 'the source has failed');
      },
    );
    await source.start(placesOf(stream, sources, n, kind, (each) => positions(stream, each)));
  }

  /** All of them, for good. */
  async stopSources(): Promise<void> {
    // What they wait for may be behind results that wait for room.
    for (const { route } of this.#sinks.values()) route.delivery.leave();
    for (const { source } of this.#sources.values()) await source.stop();
    this.#sources.clear();
  }

  /** Waits until sinks have taken what there is, except those that fail. */
  async settled(): Promise<void> {
    await Promise.all([...this.#sinks.values()].map(({ route }) => route.delivery.settled()));
  }

  async closeSinks(): Promise<void> {
    await Promise.all([...this.#sinks.values()].map(({ route }) => route.delivery.close()));
    this.#sinks.clear();
  }
}

/** Results that become events of another stream do not leave the engine. */
const NOWHERE: Sink = {
  open: () => Promise.resolve(0),
  write: () => Promise.resolve(),
  close: () => Promise.resolve(),
};
