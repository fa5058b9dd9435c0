/**
 * From definitions to a plan: shape, then streams, then operators in the order in which they can look at each other.
 *
 * Role: the one way in. All problems of all definitions are told at once; of a definition whose shape is wrong, those of
 * its shape. Windows, patterns, joins and views come before anomalies, anomalies before alerts, so that operators run
 * after what they are fed by.
 */
import type { OperatorPlan, Plan, StreamPlan } from '../plan.ts';
import { checkFeeds } from './compile-feeds.ts';
import { joinPlan, viewPlan } from './compile-join.ts';
import { checkPartitions } from './compile-partitions.ts';
import { patternPlan } from './compile-pattern.ts';
import { listed, type StreamContext, streamPlan } from './compile-stream.ts';
import { alertPlan, anomalyPlan } from './compile-watcher.ts';
import { windowPlan } from './compile-window.ts';
import type { StreamDefinition } from './definition.ts';
import { at, DefinitionProblem, Findings } from './definition-problem.ts';
import { Groups } from './groups.ts';
import { checkIdleMembers } from './idle-members.ts';
import { STREAMS_MAX } from './limits.ts';
import { streamSchema } from './schema.ts';
import { shaped } from './shape-problems.ts';
import { shapeOf } from './state-shape.ts';

export interface CompileOptions {
  /** Number of the plan, rising with each change. */
  readonly epoch: number;
  /** Power of two. */
  readonly shards: number;
}

/** Throws `DefinitionProblem`. */
export function compilePlan(definitions: readonly unknown[], { epoch, shards }: CompileOptions): Plan {
  const findings = new Findings();
  if (definitions.length > STREAMS_MAX) {
    throw DefinitionProblem.of('streams', definitions, `at most ${STREAMS_MAX} streams`);
  }
  const read = definitions.map((definition, i) => shaped(streamSchema, definition, at('streams', i), findings));
  // Streams whose shape is wrong are not there for the others to name.
  const compiler = new Compiler(findings, findings.none);
  compiler.add(read, (i) => at('streams', i));
  findings.throwIfAny();
  return { epoch, shards, streams: compiler.streams, groups: compiler.groups.all, operators: compiler.operators };
}

/** The definition of one stream, checked by itself, and frozen. Throws `DefinitionProblem`. */
export function defineStream(definition: StreamDefinition): StreamDefinition {
  const findings = new Findings();
  const read = shaped(streamSchema, definition, '', findings);
  findings.throwIfAny();
  new Compiler(findings, false).add([read], () => '');
  if (findings.none) checkIdleMembers(definition, '', findings);
  findings.throwIfAny();
  return deeplyFrozen(definition);
}

type Writable<T> = { -readonly [K in keyof T]: T[K] };

class Compiler {
  streams: readonly StreamPlan[] = [];
  readonly groups = new Groups();
  readonly operators: Writable<OperatorPlan>[] = [];
  readonly #findings: Findings;
  /** Whether these are all streams there are. */
  readonly #complete: boolean;
  readonly #feeds = new Map<number, number[]>();

  constructor(findings: Findings, complete: boolean) {
    this.#findings = findings;
    this.#complete = complete;
  }

  /** Null: a definition whose shape is wrong. */
  add(definitions: readonly (StreamDefinition | null)[], pathOf: (definition: number) => string): void {
    const findings = this.#findings;
    const streams: StreamContext[] = [];
    for (const [i, definition] of definitions.entries()) {
      if (definition === null) continue;
      const path = pathOf(i);
      if (streams.some(({ plan }) => plan.name === definition.name)) {
        findings.add(at(path, 'name'), definition.name, 'a name that no other stream has');
      }
      streams.push({ definition, plan: streamPlan(definition, streams.length, path, findings), path, findings });
    }
    this.streams = streams.map(({ plan }) => plan);
    for (const stream of streams) this.#operatorsOf(stream);
    checkFeeds(streams, this.#parts, findings);
    checkPartitions(streams, this.#parts, findings);
    if (findings.none) this.#finish();
  }

  #operatorsOf(stream: StreamContext): void {
    const { definition, path } = stream;
    const { groups } = this;
    const used = new Set<string>();
    const each = <D extends { name: string }>(
      member: string,
      list: readonly D[] | undefined,
      plan: (definition: D, index: number, path: string) => OperatorPlan | null,
    ): void => {
      for (const [i, entry] of (list ?? []).entries()) {
        const here = at(at(path, member), i);
        if (used.has(entry.name)) {
          this.#findings.add(
            at(here, 'name'),
            entry.name,
            'a name that no other window, pattern, join, view, … of the stream has',
          );
        }
        used.add(entry.name);
        const made = plan(entry, this.operators.length, here);
        if (made !== null) this.operators.push(made);
      }
    };
    const known = this.#complete ? this.streams.map(({ name }) => name) : null;
    each('windows', definition.windows, (given, i, here) => windowPlan(given, i, stream, groups, here));
    each('patterns', definition.patterns, (given, i, here) => patternPlan(given, i, stream, groups, here));
    each('joins', definition.joins, (given, i, here) => {
      const reachable = this.#complete || this.streams.some(({ name }) => name === given.with);
      return reachable ? joinPlan(given, i, stream, this.streams, groups, here) : null;
    });
    each('views', definition.views, (given, i, here) => viewPlan(given, i, stream, groups, here));
    each('anomalies', definition.anomalies, (given, i, here) =>
      anomalyPlan(given, i, stream, this.#parts, groups, here),
    );
    each('alerts', definition.alerts, (given, i, here) => {
      const unknowable = !this.#complete && definition.joins?.some(({ name }) => name === given.on);
      return unknowable ? null : alertPlan(given, i, stream, this.#parts, known, here);
    });
    this.#checkSinks(stream, [...used], known);
  }

  get #parts() {
    return { streams: this.streams, groups: this.groups.all, operators: this.operators };
  }

  #checkSinks(
    { definition, findings, path, plan }: StreamContext,
    operators: readonly string[],
    known: readonly string[] | null,
  ): void {
    for (const [i, sink] of (definition.sinks ?? []).entries()) {
      const here = at(at(path, 'sinks'), i);
      for (const [k, name] of (sink.of ?? []).entries()) {
        if (operators.includes(name)) continue;
        findings.add(
          at(at(here, 'of'), k),
          name,
          `a window, pattern or the like of the stream: ${listed(operators)}`,
          operators,
        );
      }
      const { stream } = sink;
      if (sink.type !== 'stream') continue;
      if (stream === plan.name)
        findings.add(at(here, 'stream'), stream, 'another stream than the one results come from');
      else if (known !== null && (typeof stream !== 'string' || !known.includes(stream))) {
        findings.add(at(here, 'stream'), stream, `a stream: ${listed(known)}`, known);
      }
    }
  }

  /** Feeds and shapes: every operator is there now and every expression is good. */
  #finish(): void {
    for (const operator of this.operators) {
      if ((operator.kind !== 'anomaly' && operator.kind !== 'alert') || operator.source < 0) continue;
      this.#feeds.set(operator.source, [...(this.#feeds.get(operator.source) ?? []), operator.index]);
    }
    for (const operator of this.operators) {
      const source = operator.kind === 'anomaly' || operator.kind === 'alert' ? operator.source : -1;
      operator.feeds = this.#feeds.get(operator.index) ?? [];
      operator.stateShape = shapeOf(operator, this.streams, this.operators[source]);
    }
  }
}

function deeplyFrozen<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value;
  Object.freeze(value);
  for (const member of Object.values(value)) deeplyFrozen(member);
  return value;
}
