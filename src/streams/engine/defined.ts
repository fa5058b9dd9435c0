/**
 * What was defined at run time, put together with what a start declares.
 *
 * Role: pure. The declaration decides: an operator of its own of the same name wins, and what no longer fits it (the
 * stream is gone, a field is) is left out and told; the rest stays in force as it was defined.
 * Rule: code comes from the declaration alone. Who may define a window may not have this process load a module.
 */
import { isDeepStrictEqual } from 'node:util';
import { ReducerProblem } from '../aggregates/load-reducers.ts';
import { reducerKey } from '../aggregates/reducer.ts';
import type { StreamDefinition } from '../define/definition.ts';
import { at, DefinitionProblem, Findings, type Problem } from '../define/definition-problem.ts';
import type { AggregatePlan, Plan } from '../plan.ts';

/** A window or pattern that came by a call. */
export interface Defined {
  readonly stream: string;
  readonly kind: 'windows' | 'patterns';
  readonly name: string;
}

/** What the log and checkpoints say is in force. */
export interface InForce {
  readonly definitions: readonly StreamDefinition[];
  readonly defined: readonly Defined[];
}

export interface Merged extends InForce {
  readonly leftOut: readonly { readonly operator: string; readonly why: string }[];
}

const OPERATOR_NAME = /^streams\[\d+\]\.\w+\[\d+\]\.name$/;
const OPERATORS = ['windows', 'patterns', 'joins', 'views', 'anomalies', 'alerts'] as const;

/** `given`: goes before what was. `check` throws `DefinitionProblem` when definitions do not fit together. */
export function mergeDefined(
  given: InForce,
  before: InForce,
  check: (definitions: readonly StreamDefinition[]) => unknown,
): Merged {
  let { definitions } = given;
  const defined = [...given.defined];
  const leftOut: { operator: string; why: string }[] = [];
  for (const each of before.defined) {
    if (given.defined.some((known) => isDeepStrictEqual(known, each))) continue;
    const attempt = withOne(definitions, before.definitions, each);
    const why = typeof attempt === 'string' ? attempt : problemOf(() => check(attempt));
    if (why === '' && typeof attempt !== 'string') {
      definitions = attempt;
      defined.push(each);
    } else leftOut.push({ operator: `${each.stream}/${each.name}`, why });
  }
  return { definitions, defined, leftOut };
}

/** Windows and patterns among the definitions that are not declared so. */
export function definedBeside(
  declared: readonly StreamDefinition[],
  definitions: readonly StreamDefinition[],
): readonly Defined[] {
  if (declared === definitions) return [];
  return definitions.flatMap((definition) => {
    const own = declared.find(({ name }) => name === definition.name);
    return (['windows', 'patterns'] as const).flatMap((kind) =>
      (definition[kind] ?? [])
        .filter((each) => !own?.[kind]?.some((other) => isDeepStrictEqual(plain(other), plain(each))))
        .map(({ name }): Defined => ({ stream: definition.name, kind, name })),
    );
  });
}

export const allBut = (one: Defined, defined: readonly Defined[]): readonly Defined[] =>
  defined.filter((each) => !isDeepStrictEqual(each, one));

/** As it reads after it was kept: what is undefined is left out. */
const plain = (definition: object): unknown => JSON.parse(JSON.stringify(definition));

/** A text says why not. */
function withOne(
  definitions: readonly StreamDefinition[],
  before: readonly StreamDefinition[],
  { kind, name, stream }: Defined,
): readonly StreamDefinition[] | string {
  const now = definitions.find((each) => each.name === stream);
  const known = before.find((each) => each.name === stream)?.[kind]?.find((each) => each.name === name);
  if (now === undefined) return 'its stream is no longer declared';
  if (known === undefined) return 'its definition is not known';
  if (OPERATORS.some((each) => now[each]?.some((other) => other.name === name))) return 'the declaration has its own';
  const more = { ...now, [kind]: [...(now[kind] ?? []), known] };
  return definitions.map((each) => (each === now ? more : each));
}

function problemOf(check: () => unknown): string {
  try {
    check();
    return '';
  } catch (error) {
    if (error instanceof DefinitionProblem) return error.message;
    throw error;
  }
}

/** Of an earlier start: the declaration, which people look at, may say nothing of it. */
export function ofBefore(cause: unknown): never {
  if (!(cause instanceof ReducerProblem || cause instanceof DefinitionProblem)) throw cause;
  const text = 'the definitions in force before this start need what is not there any more, once more';
  throw new Error(`${text}: ${cause.message}`, { cause });
}

/** In the words of a call that gave one definition, the last of its kind; of others the name of their stream is told. */
export function ofCall(
  { problems }: DefinitionProblem,
  definitions: readonly StreamDefinition[],
  { kind, stream }: Pick<Defined, 'kind' | 'stream'>,
): DefinitionProblem {
  const index = definitions.findIndex(({ name }) => name === stream);
  const own = at('streams', index);
  const operators = definitions[index]?.[kind] ?? [];
  const given = at(at(own, kind), operators.length - 1);
  const name = JSON.stringify(operators.at(-1)?.name);
  const named = (path: string): string =>
    path.replace(/^streams\[(\d+)\]/, (whole, i: string) => definitions[Number(i)]?.name ?? whole);
  const told = (problem: Problem): Problem => {
    const { expected, path, value } = problem;
    if (path.startsWith(given)) return { ...problem, path: `definition${path.slice(given.length)}` };
    if (!path.startsWith(own) || !OPERATOR_NAME.test(path) || value !== name) return { ...problem, path: named(path) };
    // What was there has its name by right.
    return { ...problem, path: 'definition.name', expected: `${expected}: ${named(path)} is there` };
  };
  return new DefinitionProblem(problems.map(told));
}

/** Reducers that the later plan has and the earlier one does not: a plan that comes by a call must have none. */
export function strangeReducers(before: Plan, after: Plan): Findings {
  const known = new Set(customOf(before).map(({ exportName, module }) => reducerKey(module, exportName)));
  const findings = new Findings();
  for (const { exportName, module, name } of customOf(after)) {
    const key = reducerKey(module, exportName);
    if (!known.has(key))
      findings.add(`definition.aggregates.${name}.module`, key, 'a reducer that a declared window has');
  }
  return findings;
}

function customOf({ operators }: Plan): readonly AggregatePlan[] {
  return operators.flatMap((operator) =>
    operator.kind === 'window' ? operator.aggregates.filter(({ fn }) => fn === 'custom') : [],
  );
}
