/**
 * Sources and sinks of the declared streams: made, started, kept over changes of the plan, stopped.
 *
 * Role: between definitions and connectors. A connector whose declaration did not change goes on untouched; sinks exist
 * before the plan that needs them is used, sources start when the engine runs.
 * Names: `{stream}/{type}#{n}`, or `{stream}/{name}` where the declaration has a `name`; positions and cursors are kept
 * under them.
 */
import type { SinkDefinition, SourceDefinition, StreamDefinition } from '../define/definition.ts';
import { SINK_KINDS } from '../sinks/kinds.ts';
import type { Sink, SinkKind } from '../sinks/port.ts';
import { SOURCE_KINDS } from '../sources/kinds.ts';
import type { Source, SourceHost, SourceKind } from '../sources/port.ts';
import { Delivery, type DeliveryLog } from './delivery.ts';
import type { SinkFacts } from './lifecycle.ts';
import type { SinkRoute } from './outcomes.ts';
import { StreamRefusal, type Streams } from './port.ts';

interface RunningSource {
  readonly declared: string;
  readonly source: Source;
}

interface OpenSink {
  readonly declared: string;
  readonly route: SinkRoute;
}

/** Connector types by name: those there are, and those of tests. */
export interface ConnectorKinds {
  readonly sources: ReadonlyMap<string, SourceKind>;
  readonly sinks: ReadonlyMap<string, SinkKind>;
}

export const CONNECTOR_KINDS: ConnectorKinds = { sources: SOURCE_KINDS, sinks: SINK_KINDS };

export interface ConnectorPorts {
  readonly kinds: ConnectorKinds;
  readonly log: DeliveryLog;
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
  #sinks = new Map<string, OpenSink>();

  constructor(ports: ConnectorPorts) {
    this.#ports = ports;
  }

  /** Opens what is new, closes what has gone. Rejects, naming the sink, when one cannot be made. */
  async useSinks(
    definitions: readonly StreamDefinition[],
    before: ReadonlyMap<string, SinkFacts>,
  ): Promise<readonly SinkRoute[]> {
    const next = new Map<string, OpenSink>();
    for (const { name: stream, sinks = [] } of definitions) {
      for (const [n, sink] of sinks.entries()) {
        const name = nameOf(stream, sink, n);
        const declared = JSON.stringify(sink);
        const known = this.#sinks.get(name);
        next.set(
          name,
          known?.declared === declared ? known : await this.#openSink(name, stream, sink, declared, before),
        );
      }
    }
    for (const [name, { declared, route }] of this.#sinks) {
      if (next.get(name)?.declared !== declared) await route.delivery.close();
    }
    this.#sinks = next;
    return [...next.values()].map(({ route }) => route);
  }

  async #openSink(
    name: string,
    stream: string,
    declaration: SinkDefinition,
    declared: string,
    before: ReadonlyMap<string, SinkFacts>,
  ): Promise<OpenSink> {
    const { of = [], type, ...options } = declaration;
    const target = type === 'stream' ? String(options['stream']) : '';
    const delivery = new Delivery(name, target === '' ? this.#makeSink(type, options, name) : NOWHERE, this.#ports.log);
    const { cursor = 0, pending = [] } = before.get(name) ?? {};
    await delivery.open(cursor, pending, this.#ports.lastSeq());
    return { declared, route: { delivery, stream, of, target } };
  }

  #makeSink(type: string, options: Readonly<Record<string, unknown>>, name: string): Sink {
    const kind = this.#ports.kinds.sinks.get(type);
    if (kind === undefined) {
      const known = [...this.#ports.kinds.sinks.keys(), 'stream'].join(', ');
      throw new StreamRefusal('invalid', `sink ${name}: type ${JSON.stringify(type)} is not one of ${known}`);
    }
    return kind.create(options, name);
  }

  /** Starts what is new, stops what has gone. */
  async useSources(definitions: readonly StreamDefinition[]): Promise<void> {
    const wanted = new Map<string, { readonly stream: string; readonly declaration: SourceDefinition }>();
    for (const { name: stream, sources = [] } of definitions) {
      for (const [n, declaration] of sources.entries())
        wanted.set(nameOf(stream, declaration, n), { stream, declaration });
    }
    for (const [name, { declared, source }] of this.#sources) {
      if (declared === JSON.stringify(wanted.get(name)?.declaration)) continue;
      await source.stop();
      this.#sources.delete(name);
    }
    for (const [name, { declaration, stream }] of wanted) {
      if (!this.#sources.has(name)) await this.#startSource(name, stream, declaration);
    }
  }

  async #startSource(name: string, stream: string, declaration: SourceDefinition): Promise<void> {
    const kind = this.#ports.kinds.sources.get(declaration.type);
    if (kind === undefined) {
      const known = [...this.#ports.kinds.sources.keys()].join(', ');
      throw new StreamRefusal(
        'invalid',
        `source ${name}: type ${JSON.stringify(declaration.type)} is not one of ${known}`,
      );
    }
    const { log, now } = this.#ports;
    const host: SourceHost = { accept: (batch) => this.#ports.accept(stream, name, batch), log, now };
    const source = kind.create(declaration, stream, host);
    this.#sources.set(name, { declared: JSON.stringify(declaration), source });
    source.done.then(
      () => log.info({ source: name }, 'the source has ended'),
      (error: unknown) => log.warn({ err: error, source: name }, 'the source has failed'),
    );
    await source.start(this.#ports.positions(stream, name));
  }

  async stopSources(): Promise<void> {
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

function nameOf(stream: string, declaration: SourceDefinition | SinkDefinition, n: number): string {
  const { name, type } = declaration;
  return `${stream}/${typeof name === 'string' ? name : `${type}#${n}`}`;
}
