/**
 * Whether events made of results can come back to where they came from: then there would be no end to them.
 *
 * Role: last look of `compile.ts` at sinks of type `stream` and at actions of alerts, over all streams. A stream leads to
 * another one when its events can lead to results that become events there; a join has two streams behind it. The sink
 * or action that closes a circle is told, with the circle; those that name their own stream are found before.
 */
import type { PlanParts } from '../expressions/result-columns.ts';
import { streamsBehind } from '../feeds.ts';
import type { StreamContext } from './compile-stream.ts';
import { at, type Findings } from './definition-problem.ts';

/** A sink or an action. */
interface Edge {
  /** Streams whose events it hands on. */
  readonly from: readonly number[];
  readonly target: number;
  readonly path: string;
}

export function checkFeeds(streams: readonly StreamContext[], parts: PlanParts, findings: Findings): void {
  const indexes = new Map(streams.map(({ plan }) => [plan.name, plan.index]));
  const targets = streams.map(() => new Set<number>());
  const nameOf = (stream: number): string => parts.streams[stream]?.name ?? '';
  for (const stream of streams) {
    for (const { from, path, target } of edgesOf(stream, indexes, parts)) {
      if (target === stream.plan.index) continue;
      const back = from.map((each) => wayBetween(target, each, targets)).find((way) => way !== null);
      if (back === undefined || back === null) {
        for (const each of from) targets[each]?.add(target);
        continue;
      }
      const circle = [back.at(-1) as number, ...back].map(nameOf).join(' → ');
      findings.add(path, nameOf(target), `a stream whose results do not come back: ${circle}`);
    }
  }
}

function edgesOf(stream: StreamContext, indexes: ReadonlyMap<string, number>, parts: PlanParts): readonly Edge[] {
  const { definition, path, plan } = stream;
  const operators = parts.operators.filter((operator) => operator.stream === plan.index);
  const behind = (names: readonly string[] | undefined): readonly number[] => {
    const taken = operators.filter(({ name }) => names === undefined || names.length === 0 || names.includes(name));
    return [...new Set([plan.index, ...taken.flatMap((operator) => streamsBehind(operator, parts.operators))])];
  };
  const edges: Edge[] = [];
  const add = (from: readonly number[], name: unknown, here: string): void => {
    const target = typeof name === 'string' ? indexes.get(name) : undefined;
    if (target !== undefined) edges.push({ from, target, path: at(here, 'stream') });
  };
  for (const [i, alert] of (definition.alerts ?? []).entries()) {
    for (const [k, action] of (alert.actions ?? []).entries()) {
      if (!('stream' in action)) continue;
      add(behind([alert.name]), action.stream, at(at(at(at(path, 'alerts'), i), 'actions'), k));
    }
  }
  for (const [i, sink] of (definition.sinks ?? []).entries()) {
    if (sink.type === 'stream') add(behind(sink.of), sink['stream'], at(at(path, 'sinks'), i));
  }
  return edges;
}

/** The shortest way from the one to the other; null: there is none. */
function wayBetween(from: number, to: number, targets: readonly ReadonlySet<number>[]): readonly number[] | null {
  const before = new Map<number, number>([[from, from]]);
  const open = [from];
  for (let stream = open.shift(); stream !== undefined; stream = open.shift()) {
    if (stream === to) return wayBack(from, to, before);
    for (const target of targets[stream] as ReadonlySet<number>) {
      if (before.has(target)) continue;
      before.set(target, stream);
      open.push(target);
    }
  }
  return null;
}

function wayBack(from: number, to: number, before: ReadonlyMap<number, number>): readonly number[] {
  const way = [to];
  for (let stream = to; stream !== from; ) {
    stream = before.get(stream) as number;
    way.unshift(stream);
  }
  return way;
}
