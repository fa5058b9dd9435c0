/**
 * All that is checked of a declaration before anything is opened: definitions, options of connectors, and that none of
 * them is idle.
 *
 * Role: what `serve` and `millrace check` ask of what people wrote. What is in force already is compiled by the engine
 * itself, which lets it go on where it is only idle.
 */
import { compilePlan } from '../../define/compile.ts';
import type { StreamDefinition } from '../../define/definition.ts';
import { at, Findings } from '../../define/definition-problem.ts';
import { checkIdleMembers } from '../../define/idle-members.ts';
import type { Plan } from '../../plan.ts';
import { checkConnectors, checkIdleOptions } from './check-connectors.ts';
import type { ConnectorKinds } from './connectors.ts';

/** Throws `DefinitionProblem`, with paths from `streams` on. */
export function checkDeclaration(
  definitions: readonly StreamDefinition[],
  kinds: ConnectorKinds,
  options: { readonly epoch: number; readonly shards: number },
): Plan {
  const plan = compilePlan(definitions, options);
  checkConnectors(definitions, kinds);
  const findings = new Findings();
  for (const [i, definition] of definitions.entries()) {
    checkIdleMembers(definition, at('streams', i), findings);
    checkIdleOptions(definition, at('streams', i), kinds, findings);
  }
  findings.throwIfAny();
  return plan;
}
