/**
 * A stream as a model should see it: what its events hold, what is computed of them, where to ask and what to watch.
 */

import type { StreamFacts, Streams } from '../engine/port.ts';
import { StreamRefusal } from '../engine/port.ts';
import { columnNames } from '../expressions/result-columns.ts';
import type { Plan } from '../plan.ts';

export interface StreamDescription extends StreamFacts {
  readonly fields: Readonly<Record<string, string>>;
  readonly key: readonly string[];
  readonly timestamp: string;
  /** Parts by key that nodes compute apart. */
  readonly partitions: number;
  readonly operators: readonly OperatorDescription[];
}

export interface OperatorDescription {
  readonly name: string;
  readonly kind: string;
  readonly type: string;
  readonly key: readonly string[];
  /** Names of the values its results carry. */
  readonly values: readonly string[];
  readonly uri: string;
}

/** Rejects with `StreamRefusal` for a name that is not there, with the names that are. */
export async function describeStream(streams: Streams, name: string): Promise<StreamDescription> {
  const { plan } = streams;
  const stream = plan.streams.find((each) => each.name === name);
  const facts = (await streams.list()).find((each) => each.name === name);
  if (stream === undefined || facts === undefined) throw new StreamRefusal('unknown', unknownStream(plan, name));
  const fieldName = (index: number): string => stream.fields[index]?.name ?? '';
  return {
    ...facts,
    fields: Object.fromEntries(
      stream.fields.map((field) => [field.name, field.optional ? `${field.type}?` : field.type]),
    ),
    key: stream.key.map(fieldName),
    timestamp: stream.timestampField < 0 ? 'arrival' : `${fieldName(stream.timestampField)} (${stream.timestampUnit})`,
    partitions: stream.partitions,
    operators: operatorsOf(plan, stream.index),
  };
}

/** With the names there are, for who mistyped one. */
export function unknownStream({ streams }: Plan, name: string): string {
  const names = streams.map((each) => each.name).join(', ');
  return `no stream named ${JSON.stringify(name.slice(0, 64))}; there are ${names}`;
}

export function operatorsOf(plan: Plan, stream: number): OperatorDescription[] {
  const name = plan.streams[stream]?.name ?? '';
  return plan.operators
    .filter((operator) => operator.stream === stream)
    .map((operator) => ({
      name: operator.name,
      kind: operator.kind,
      type: 'type' in operator ? operator.type : '',
      key: plan.groups[operator.group]?.keyNames ?? [],
      values: columnNames(plan, operator),
      uri: uriOf(name, operator.kind, operator.name),
    }));
}

export function uriOf(stream: string, kind: string, operator: string): string {
  return `stream://${stream}/${kind === 'anomaly' ? 'anomalies' : `${kind}s`}/${operator}`;
}
