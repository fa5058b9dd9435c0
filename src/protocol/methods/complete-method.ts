/**
 * `completion/complete`: values for a prompt argument or a template variable.
 *
 * Role: finds who completes. What is completed stands in the body, so this is the one method of the pool whose body
 * is parsed here. Something that exists and completes nothing is answered at once, with no values.
 */
import type { Catalogue } from '../../catalogue/entry.ts';
import { type Fault, fault } from '../faults.ts';
import { isJsonObject } from '../message-shape.ts';
import { answerFault, answerResult } from './answers.ts';
import type { MethodHandler } from './method-deps.ts';
import { methodMissing } from './method-missing.ts';
import { paramsOf } from './params.ts';
import { runEntry } from './pool-methods.ts';

type Ref = { readonly type: string; readonly name?: string; readonly uri?: string };

const BAD_REF = fault('invalidParams', 'params.ref must be a ref/prompt with a name or a ref/resource with a uri');
const BAD_ARGUMENT = fault('invalidParams', 'params.argument must hold the strings name and value');
const UNKNOWN_REF = fault('invalidParams', 'params.ref names nothing this server has');

export const complete: MethodHandler = (deps, caller, envelope, channel) => {
  const catalogue = deps.catalogue.current;
  if (!catalogue.has.completions) return methodMissing(deps, caller, envelope, channel);
  const found = paramsOf(envelope);
  if (found.wrong !== null) return answerFault(deps, caller.revision, envelope, channel, found.wrong);
  const ref = refOf(found.params['ref']);
  if (ref === null) return answerFault(deps, caller.revision, envelope, channel, BAD_REF);
  const wrong = argumentFault(found.params['argument']);
  if (wrong !== null) return answerFault(deps, caller.revision, envelope, channel, wrong);
  const entry = catalogue.completion(ref);
  if (entry !== undefined) return runEntry(deps, entry, caller, envelope, channel, 0);
  if (!exists(catalogue, ref)) return answerFault(deps, caller.revision, envelope, channel, UNKNOWN_REF);
  const stamp = caller.revision.stampedResults ? `,"resultType":"complete","_meta":${deps.metaJson}` : '';
  return answerResult(deps, envelope, channel, `{"completion":{"values":[]}${stamp}}`);
};

function refOf(ref: unknown): Ref | null {
  if (!isJsonObject(ref)) return null;
  const { type, name, uri } = ref;
  if (type === 'ref/prompt' && typeof name === 'string') return { type, name };
  return type === 'ref/resource' && typeof uri === 'string' ? { type, uri } : null;
}

function argumentFault(argument: unknown): Fault | null {
  const named = isJsonObject(argument) && typeof argument['name'] === 'string' && typeof argument['value'] === 'string';
  return named ? null : BAD_ARGUMENT;
}

function exists(catalogue: Catalogue, ref: Ref): boolean {
  if (ref.name !== undefined) return catalogue.prompt(ref.name) !== undefined;
  const uri = ref.uri ?? '';
  if (catalogue.resource(uri) !== undefined) return true;
  return catalogue.entries.some((entry) => entry.kind === 'template' && entry.name === uri);
}
