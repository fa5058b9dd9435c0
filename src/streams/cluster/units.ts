/**
 * Cuts replicated streams into units: those that join, derive from or feed one another are one, the others apart; and each
 * of those into as many as it has partitions.
 *
 * Role: a unit is what one node at a time runs, with a log of its own, since order is only promised within one. Streams
 * of other durability stay where they are declared. Streams that belong together are named after the first of them by
 * name, so that all nodes with the same definitions cut and name alike, in whatever order they list them. The number of
 * partitions, and the fields that keys are made of, are part of a unit's name: with others keys live elsewhere, and what
 * was before is not gone on with, nor is anything taken from a node that cuts otherwise.
 */
import { createHash } from 'node:crypto';
import { streamsNamedBy } from '../define/compile-partitions.ts';
import type { StreamDefinition } from '../define/definition.ts';

const DIGEST_CHARS = 8;

export interface Unit {
  readonly name: string;
  /** Name of the streams that belong together. */
  readonly family: string;
  /** By name. */
  readonly definitions: readonly StreamDefinition[];
  /** From 0. */
  readonly partition: number;
  readonly partitions: number;
  /** What keys are spread by, for people: `6 by sensor: string`. */
  readonly cut: string;
}

export interface CutStreams {
  readonly units: readonly Unit[];
  /** Run by every node for itself. */
  readonly local: readonly StreamDefinition[];
}

/** Of definitions that were compiled together: none that is replicated depends on one that is not. */
export function cutIntoUnits(definitions: readonly StreamDefinition[]): CutStreams {
  const byName = new Map(definitions.map((definition) => [definition.name, definition]));
  const groups = new Map<string, Set<string>>(definitions.map(({ name }) => [name, new Set([name])]));
  for (const definition of definitions) {
    for (const other of streamsNamedBy(definition)) {
      const known = byName.get(other);
      if (known === undefined) continue;
      const joined = groups.get(definition.name) as Set<string>;
      for (const name of groups.get(other) as Set<string>) joined.add(name);
      for (const name of joined) groups.set(name, joined);
    }
  }
  const isReplicated = ({ durability }: StreamDefinition): boolean => durability === 'replicated';
  const sets = new Set(definitions.filter(isReplicated).map(({ name }) => groups.get(name) as Set<string>));
  const families = [...sets].map((names) => [...names].sort()).sort(([a = ''], [b = '']) => (a < b ? -1 : 1));
  return {
    units: families.flatMap((names) => partitionsOf(names.map((name) => byName.get(name) as StreamDefinition))),
    local: definitions.filter((definition) => !isReplicated(definition)),
  };
}

/** Streams of one family have the same number of partitions, which compiling sees to. */
function partitionsOf(definitions: readonly StreamDefinition[]): Unit[] {
  const { name: family, partitions = 1, schema } = definitions[0] as StreamDefinition;
  if (partitions === 1) return [{ name: family, family, definitions, partition: 0, partitions, cut: '1' }];
  const cut = `${partitions} by ${keyText(schema)}`;
  return Array.from({ length: partitions }, (_, partition): Unit => {
    const name = partitionName(family, partition, partitions, cut);
    return { name, family, definitions, partition, partitions, cut };
  });
}

export function partitionName(family: string, partition: number, partitions: number, cut: string): string {
  const digest = createHash('sha1').update(cut).digest('hex').slice(0, DIGEST_CHARS);
  return `${family}/${partition}of${partitions}-${digest}`;
}

function keyText({ fields, key = [] }: StreamDefinition['schema']): string {
  const typeOf = (field: string): string | undefined => {
    const given = fields[field];
    const type = typeof given === 'string' ? given : given?.type;
    // One is spread as the other.
    return type === 'integer' ? 'number' : type;
  };
  return key.map((field) => `${field}: ${typeOf(field)}`).join(', ');
}

/** Of an event or a dead letter, where the partitions are one stream. */
export const idIn = (partition: number, id: string): string => `${partition}/${id}`;
