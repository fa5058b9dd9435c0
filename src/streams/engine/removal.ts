/**
 * What is in force without a window or pattern that came by a call.
 *
 * Role: pure, beside `definitions.ts`. What is declared stays, and stays what it is: the next start would have it again. So
 * does what something else reads. The stream is left as it is declared where nothing of it was defined, so that the next start changes nothing.
 */
import type { StreamDefinition } from '../define/definition.ts';
import { at } from '../define/definition-problem.ts';
import { nameOf } from './connectors/connector-names.ts';
import { allBut, type Defined, type InForce } from './defined.ts';
import { StreamRefusal } from './port.ts';

/** What a start was given. */
export interface Declaration {
  readonly definitions: readonly StreamDefinition[];
  /** Where a stream is declared, for people: `streams.yaml: streams[0]`. */
  readonly placeOf: (stream: string) => string;
}

/** Throws `StreamRefusal` when it is not there, is declared, or is read. */
export function without(one: Defined, { defined, definitions }: InForce, declared: Declaration): InForce {
  const { kind, name, stream } = one;
  const noun = nounOf(kind);
  const now = definitions.find((each) => each.name === stream);
  const known = (now?.[kind] ?? []).map((each) => each.name);
  if (now === undefined || !known.includes(name)) {
    const there = known.length === 0 ? 'it has none' : `it has ${known.join(', ')}`;
    const text = `stream ${stream} has no ${noun} ${JSON.stringify(name.slice(0, 64))}; ${there}`;
    throw new StreamRefusal('unknown', text);
  }
  checkNotDeclared(one, declared, 'removed');
  const readers = readersOf(now, name);
  if (readers.length > 0) {
    throw new StreamRefusal('invalid', `${noun} ${name} cannot be removed: it is read by ${readers.join(', ')}`);
  }
  const left = now[kind]?.filter((each) => each.name !== name);
  const own = declared.definitions.find((each) => each.name === stream)?.[kind];
  const rest = { ...now, [kind]: left?.length === 0 ? own : left } as StreamDefinition;
  return {
    definitions: definitions.map((each) => (each === now ? rest : each)),
    defined: allBut(one, defined),
  };
}

const nounOf = (kind: Defined['kind']): string => (kind === 'windows' ? 'window' : 'pattern');

/** Throws `StreamRefusal`, which says where it is. */
export function checkNotDeclared(
  { kind, name, stream }: Defined,
  { definitions, placeOf }: Declaration,
  done: 'removed' | 'replaced',
): void {
  const own = definitions.find((each) => each.name === stream)?.[kind];
  const index = own?.findIndex((each) => each.name === name) ?? -1;
  if (index < 0) return;
  const place = at(at(placeOf(stream), kind), index);
  const text = `${nounOf(kind)} ${name} is declared (${place}): only what was defined by a call can be ${done}`;
  throw new StreamRefusal('invalid', text);
}

/** What says that it takes its results; sinks that name none take whatever the stream has. */
function readersOf(
  { alerts = [], anomalies = [], name: stream, sinks = [] }: StreamDefinition,
  name: string,
): string[] {
  return [
    ...anomalies.flatMap((each) => (each.window === name ? [`anomaly ${each.name}`] : [])),
    ...alerts.flatMap((each) => (each.on === name ? [`alert ${each.name}`] : [])),
    ...sinks.flatMap((sink, n) => (sink.of?.includes(name) ? [`sink ${nameOf(stream, sink, n)}`] : [])),
  ];
}
