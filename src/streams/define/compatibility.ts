/**
 * What can keep its state when the definitions change, and why the rest cannot.
 *
 * Role: asked by the engine at a change of the plan. Operators are the same when stream and name are; state goes on when
 * key and shape are the same. Whoever reads the answer is told what changed, in the words of the plan.
 */
import type { OperatorPlan, Plan } from '../plan.ts';

export interface Compatibility {
  /** `{stream}/{operator}` */
  readonly operator: string;
  readonly kept: boolean;
  readonly why: string;
}

/** It had no state to lose. */
export const IS_NEW = 'it is new';
const WHY_CHARACTERS_MAX = 300;

/** Operators of the earlier plan in its order, then new ones. */
export function compatibility(before: Plan, after: Plan): Compatibility[] {
  const next = new Map(after.operators.map((operator) => [nameOf(after, operator), operator]));
  const verdicts: Compatibility[] = [];
  for (const operator of before.operators) {
    const name = nameOf(before, operator);
    const why = reasonAgainst(before, operator, after, next.get(name));
    verdicts.push({ operator: name, kept: why === null, why: why ?? 'same key and state' });
    next.delete(name);
  }
  for (const name of next.keys()) verdicts.push({ operator: name, kept: false, why: IS_NEW });
  return verdicts;
}

function nameOf(plan: Plan, { name, stream }: OperatorPlan): string {
  return `${plan.streams[stream]?.name}/${name}`;
}

function reasonAgainst(before: Plan, old: OperatorPlan, after: Plan, now: OperatorPlan | undefined): string | null {
  if (now === undefined) return 'it is no longer declared';
  if (before.shards !== after.shards) return `the number of shards was ${before.shards} and is ${after.shards}`;
  if (old.kind !== now.kind) return `it was a ${old.kind} and is a ${now.kind}`;
  const oldKey = keyOf(before, old.group);
  const newKey = keyOf(after, now.group);
  if (oldKey !== newKey) return `its key was ${oldKey} and is ${newKey}`;
  return old.stateShape === now.stateShape ? null : difference(old.stateShape, now.stateShape);
}

/** Streams, names and types: numbers of fields may differ. */
function keyOf(plan: Plan, group: number): string {
  const inputs = (plan.groups[group]?.inputs ?? []).map(({ fields, stream }) => {
    const of = plan.streams[stream];
    return `${of?.name}(${fields.map((field) => `${of?.fields[field]?.name}: ${of?.fields[field]?.type}`).join(', ')})`;
  });
  return inputs.join(' with ');
}

/** Which members of two shapes differ. */
function difference(before: string, after: string): string {
  const text = differences('', JSON.parse(before), JSON.parse(after)).join('; ');
  return text.length > WHY_CHARACTERS_MAX ? `${text.slice(0, WHY_CHARACTERS_MAX)}…` : text;
}

/** Down to the members that differ: aggregates, steps and values by their names, or none of it could be read. */
function differences(path: string, before: unknown, after: unknown): string[] {
  if (JSON.stringify(before) === JSON.stringify(after)) return [];
  const [old, now] = [membersOf(before), membersOf(after)];
  if (old === null || now === null) {
    return [`${path} was ${JSON.stringify(before) ?? 'absent'} and is ${JSON.stringify(after) ?? 'absent'}`];
  }
  const isList = Array.isArray(before);
  const parts = [...new Set([...old.keys(), ...now.keys()])].flatMap((member) => {
    const inner = path === '' ? member : `${path}.${member}`;
    if (isList && !old.has(member)) return [`${inner} is new`];
    if (isList && !now.has(member)) return [`${inner} is gone`];
    return differences(inner, old.get(member), now.get(member));
  });
  if (parts.length > 0) return parts;
  return [`${path} were in the order ${[...old.keys()].join(', ')} and are in the order ${[...now.keys()].join(', ')}`];
}

/** Of an object, or of a list of what has names; null: a value. */
function membersOf(value: unknown): Map<string, unknown> | null {
  if (typeof value !== 'object' || value === null) return null;
  if (!Array.isArray(value)) return new Map(Object.entries(value));
  const named = value.map((entry: unknown): [string, unknown] | null => {
    const name = typeof entry === 'object' && entry !== null && 'name' in entry ? entry.name : null;
    return typeof name === 'string' ? [name, entry] : null;
  });
  return named.length === 0 || named.includes(null) ? null : new Map(named as [string, unknown][]);
}
