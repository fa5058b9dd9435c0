/**
 * Cuts replicated streams into units: those that join, derive from or feed one another are one, the others apart.
 *
 * Role: a unit is what one node at a time runs, with a log of its own, since order is only promised within one. Streams
 * of other durability stay where they are declared. A unit is named after its first stream by name, so that all nodes
 * with the same definitions cut and name alike, in whatever order they list them.
 */
import type { StreamDefinition } from '../define/definition.ts';
import { DefinitionProblem } from '../define/definition-problem.ts';

export interface Unit {
  readonly name: string;
  /** By name. */
  readonly definitions: readonly StreamDefinition[];
}

export interface CutStreams {
  readonly units: readonly Unit[];
  /** Run by every node for itself. */
  readonly local: readonly StreamDefinition[];
}

/** Throws `DefinitionProblem` when a replicated stream and one that is not depend on each other. */
export function cutIntoUnits(definitions: readonly StreamDefinition[]): CutStreams {
  const byName = new Map(definitions.map((definition) => [definition.name, definition]));
  const groups = new Map<string, Set<string>>(definitions.map(({ name }) => [name, new Set([name])]));
  for (const definition of definitions) {
    for (const other of namedBy(definition)) {
      const known = byName.get(other);
      // A name that is nowhere is told, better, when the plan is compiled.
      if (known === undefined) continue;
      refuseMixed(definition, known);
      const joined = groups.get(definition.name) as Set<string>;
      for (const name of groups.get(other) as Set<string>) joined.add(name);
      for (const name of joined) groups.set(name, joined);
    }
  }
  const isReplicated = ({ durability }: StreamDefinition): boolean => durability === 'replicated';
  const sets = new Set(definitions.filter(isReplicated).map(({ name }) => groups.get(name) as Set<string>));
  const units = [...sets].map((names): Unit => {
    const sorted = [...names].sort();
    return { name: sorted[0] as string, definitions: sorted.map((name) => byName.get(name) as StreamDefinition) };
  });
  return {
    units: units.sort((a, b) => (a.name < b.name ? -1 : 1)),
    local: definitions.filter((definition) => !isReplicated(definition)),
  };
}

/** Other streams a definition speaks of. */
function namedBy({ alerts = [], joins = [], sinks = [] }: StreamDefinition): string[] {
  const targets = sinks.flatMap(({ stream, type }) =>
    type === 'stream' && typeof stream === 'string' ? [stream] : [],
  );
  const raised = alerts.flatMap(({ actions = [] }) =>
    actions.flatMap((each) => ('stream' in each ? [each.stream] : [])),
  );
  return [...joins.map((join) => join.with), ...targets, ...raised];
}

function refuseMixed(one: StreamDefinition, other: StreamDefinition): void {
  if ((one.durability === 'replicated') === (other.durability === 'replicated')) return;
  const [local, replicated] = one.durability === 'replicated' ? [other, one] : [one, other];
  throw DefinitionProblem.of(
    `streams.${local.name}.durability`,
    local.durability ?? 'memory',
    `"replicated", as that of stream ${replicated.name}, which it is joined or fed with: both run on one node`,
  );
}
