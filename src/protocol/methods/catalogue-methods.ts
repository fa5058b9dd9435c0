/**
 * The methods that say what this server has: the four lists and `server/discover`.
 *
 * Role: looks up bytes that the catalogue encoded when it was built, and writes the id before them. A list of a kind
 * that the server does not have does not exist, as its capabilities say.
 */
import type { Catalogue, ListName } from '../../catalogue/entry.ts';
import { fault } from '../faults.ts';
import { answerFault, answerShared } from './answers.ts';
import type { MethodHandler } from './method-deps.ts';
import { methodMissing } from './method-missing.ts';
import { paramsOf } from './params.ts';

const BAD_CURSOR = fault('invalidParams', 'the cursor is not one this server made');
const CURSOR_TYPE = fault('invalidParams', 'params.cursor must be a string');

function listOf(list: ListName, exists: (catalogue: Catalogue) => boolean): MethodHandler {
  return (deps, caller, envelope, channel) => {
    const catalogue = deps.catalogue.current;
    if (!exists(catalogue)) return methodMissing(deps, caller, envelope, channel);
    const found = paramsOf(envelope);
    if (found.wrong !== null) return answerFault(deps, caller.revision, envelope, channel, found.wrong);
    const cursor = found.params['cursor'];
    if (cursor !== undefined && typeof cursor !== 'string') {
      return answerFault(deps, caller.revision, envelope, channel, CURSOR_TYPE);
    }
    const result = catalogue.list(list, caller.revision, cursor);
    if (result === null) return answerFault(deps, caller.revision, envelope, channel, BAD_CURSOR);
    return answerShared(deps, envelope, channel, result);
  };
}

export const listTools = listOf('tools', (catalogue) => catalogue.has.tools);
export const listResources = listOf('resources', (catalogue) => catalogue.has.resources);
export const listTemplates = listOf('templates', (catalogue) => catalogue.has.resources);
export const listPrompts = listOf('prompts', (catalogue) => catalogue.has.prompts);

export const discover: MethodHandler = (deps, _caller, envelope, channel) =>
  answerShared(deps, envelope, channel, deps.catalogue.current.discover());
