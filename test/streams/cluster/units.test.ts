import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ranking } from '../../../src/streams/cluster/rendezvous.ts';
import { cutIntoUnits } from '../../../src/streams/cluster/units.ts';
import type { JoinDefinition, StreamDefinition } from '../../../src/streams/define/definition.ts';

function stream(name: string, more: Partial<StreamDefinition> = {}): StreamDefinition {
  return { name, schema: { fields: { at: 'integer' } }, durability: 'replicated', ...more };
}

const namesOf = (definitions: readonly StreamDefinition[]): string[][] =>
  cutIntoUnits(definitions).units.map((unit) => [unit.name, ...unit.definitions.map(({ name }) => name)]);

describe('units', () => {
  test('are streams that join, feed or alert into one another, whatever the order they are declared in', () => {
    const join = {
      name: 'j',
      type: 'window',
      with: 'd',
      on: { left: [], right: [] },
      select: {},
    } satisfies JoinDefinition;
    const alert = { name: 'a', on: 'w', actions: [{ stream: 'e' }] };
    const definitions = [
      stream('z'),
      stream('c', { joins: [join] }),
      stream('b', { sinks: [{ type: 'stream', stream: 'c' }, { type: 'redis' }] }),
      stream('e'),
      stream('d', { alerts: [alert] }),
      stream('y', { sinks: [{ type: 'redis', stream: 'z' }] }),
      stream('m', { durability: 'memory' }),
    ];
    const expected = [
      ['b', 'b', 'c', 'd', 'e'],
      ['y', 'y'],
      ['z', 'z'],
    ];
    assert.deepEqual(namesOf(definitions), expected);
    assert.deepEqual(namesOf(definitions.toReversed()), expected);
    assert.deepEqual(
      cutIntoUnits(definitions).local.map(({ name }) => name),
      ['m'],
    );
  });
});

describe('rendezvous', () => {
  const units = Array.from({ length: 600 }, (_, i) => `unit${i}`);
  const firsts = (nodes: readonly string[]): (string | undefined)[] => units.map((unit) => ranking(unit, nodes)[0]);

  test('gives each node about its share, in whatever order they are listed', () => {
    const shares = new Map<string, number>();
    for (const node of firsts(['a', 'b', 'c'])) shares.set(String(node), (shares.get(String(node)) ?? 0) + 1);
    assert.ok(
      [...shares.values()].every((share) => share > 150 && share < 250),
      JSON.stringify([...shares]),
    );
    assert.deepEqual(firsts(['a', 'b', 'c']), firsts(['c', 'a', 'b']));
    assert.deepEqual(ranking('unit', []), []);
  });

  test('moves to a node that comes only what it takes, and from one that goes only what it had', () => {
    const before = firsts(['a', 'b', 'c']);
    const after = firsts(['a', 'b', 'c', 'd']);
    const moved = after.filter((node, i) => node !== before[i]);
    assert.ok(moved.every((node) => node === 'd'));
    assert.ok(moved.length > 100 && moved.length < 200, `${moved.length} of ${units.length} moved`);
  });
});
