/**
 * What was defined at run time, put together with what a start declares.
 *
 * Role: pure. The declaration decides: an operator of its own of the same name wins, and what no longer fits it (the
 * stream is gone, a field is) is left out and told; the rest stays in force as it was defined.
 */
import type { StreamDefinition } from '../define/definition.ts';
import { DefinitionProblem } from '../define/definition-problem.ts';

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

const OPERATORS = ['windows', 'patterns', 'joins', 'views', 'anomalies', 'alerts'] as const;

/** `check` throws `DefinitionProblem` when definitions do not fit together. */
export function mergeDefined(
  declared: readonly StreamDefinition[],
  before: InForce,
  check: (definitions: readonly StreamDefinition[]) => unknown,
): Merged {
  let definitions = declared;
  const defined: Defined[] = [];
  const leftOut: { operator: string; why: string }[] = [];
  for (const each of before.defined) {
    const attempt = withOne(definitions, before.definitions, each);
    const why = typeof attempt === 'string' ? attempt : problemOf(() => check(attempt));
    if (why === '' && typeof attempt !== 'string') {
      definitions = attempt;
      defined.push(each);
    } else leftOut.push({ operator: `${each.stream}/${each.name}`, why });
  }
  return { definitions, defined, leftOut };
}

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
