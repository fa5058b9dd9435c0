/**
 * Questions a tool may ask its client: which capability each needs, and whether an answer has the shape the question
 * demands. Between rounds (2026-07-28) an answer that does not is treated as not given, so that the client is asked
 * again. One of the right shape whose values the form does not allow came from a user: the tool is told, in every
 * revision, and may ask again and say why.
 */
import { excerpt } from '../src/catalogue/definition-error.ts';
import type { JsonObject } from '../src/protocol/channel.ts';
import { isJsonObject } from '../src/protocol/message-shape.ts';
import type { Revision } from '../src/protocol/revisions.ts';
import { formTypeProblem, formValueProblem } from './form-answer.ts';

export interface Question {
  readonly method: 'elicitation/create' | 'sampling/createMessage' | 'roots/list';
  readonly params: object;
}

/** The capabilities to declare, or null when the client has them. */
export function missingCapability(question: Question, declared: JsonObject, revision: Revision): object | null {
  if (question.method === 'roots/list') return isJsonObject(declared['roots']) ? null : { roots: {} };
  if (question.method === 'sampling/createMessage') {
    const sampling = declared['sampling'];
    if (!isJsonObject(sampling)) return { sampling: {} };
    const wantsTools = 'tools' in question.params;
    return wantsTools && !isJsonObject(sampling['tools']) ? { sampling: { tools: {} } } : null;
  }
  const elicitation = declared['elicitation'];
  const wantsUrl = (question.params as { mode?: string }).mode === 'url';
  if (wantsUrl && revision.elicitation !== 'url') return { elicitation: { url: {} } };
  if (!isJsonObject(elicitation) || revision.elicitation === 'none')
    return wantsUrl ? { elicitation: { url: {} } } : { elicitation: {} };
  if (wantsUrl) return isJsonObject(elicitation['url']) ? null : { elicitation: { url: {} } };
  const formOff = isJsonObject(elicitation['url']) && !isJsonObject(elicitation['form']);
  return formOff ? { elicitation: { form: {} } } : null;
}

/** Why an answer is none to this question, or null. */
export function answerProblem(question: Question, answer: unknown): string | null {
  if (!isJsonObject(answer)) return `it must be an object, got ${excerpt(answer)}`;
  if (question.method === 'roots/list')
    return Array.isArray(answer['roots']) ? null : `roots must be an array, got ${excerpt(answer['roots'])}`;
  if (question.method === 'sampling/createMessage') {
    if (typeof answer['role'] !== 'string') return `role must be a string, got ${excerpt(answer['role'])}`;
    return answer['content'] === undefined ? 'it must have content' : null;
  }
  const action = answer['action'];
  if (action === 'decline' || action === 'cancel') return null;
  if (action !== 'accept') return `action must be accept, decline or cancel, got ${excerpt(action)}`;
  const schema = requestedSchema(question);
  return schema === undefined ? null : formTypeProblem(schema, formContent(answer));
}

/** Why a form that was filled in is not what its schema allows, or null. The answer has no `answerProblem`. */
export function filledInProblem(question: Question, answer: JsonObject): string | null {
  const schema = requestedSchema(question);
  if (schema === undefined || answer['action'] !== 'accept') return null;
  return formValueProblem(schema, formContent(answer) as JsonObject);
}

const requestedSchema = ({ params }: Question): JsonObject | undefined =>
  (params as { requestedSchema?: JsonObject }).requestedSchema;

/** A form that asks for nothing is accepted with nothing. */
const formContent = (answer: JsonObject): unknown => answer['content'] ?? {};
