/**
 * Questions a tool may ask its client: which capability each needs, and whether an answer has the shape the question
 * demands. An answer that does not is treated as not given, so that the client is asked again.
 */
import type { JsonObject } from '../src/protocol/channel.ts';
import { isJsonObject } from '../src/protocol/message-shape.ts';
import type { Revision } from '../src/protocol/revisions.ts';

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

export function answerFits(question: Question, answer: unknown): boolean {
  if (!isJsonObject(answer)) return false;
  if (question.method === 'roots/list') return Array.isArray(answer['roots']);
  if (question.method === 'sampling/createMessage')
    return typeof answer['role'] === 'string' && answer['content'] !== undefined;
  const action = answer['action'];
  if (action === 'decline' || action === 'cancel') return true;
  if (action !== 'accept') return false;
  const { requestedSchema } = question.params as { requestedSchema?: JsonObject };
  if (requestedSchema === undefined) return true;
  // A form that asks for nothing is accepted with nothing.
  return contentFits(requestedSchema, answer['content'] ?? {});
}

/** Elicitation schemas are flat objects of primitives: required members present, each of its declared type. */
function contentFits(schema: JsonObject, content: unknown): boolean {
  if (!isJsonObject(content)) return false;
  const required = Array.isArray(schema['required']) ? schema['required'] : [];
  if (required.some((name) => typeof name === 'string' && !Object.hasOwn(content, name))) return false;
  const properties = isJsonObject(schema['properties']) ? schema['properties'] : {};
  return Object.entries(content).every(([name, value]) => {
    const property = Object.hasOwn(properties, name) ? properties[name] : undefined;
    return !isJsonObject(property) || typeFits(property['type'], value);
  });
}

function typeFits(type: unknown, value: unknown): boolean {
  if (type === 'string') return typeof value === 'string';
  if (type === 'boolean') return typeof value === 'boolean';
  if (type === 'integer') return Number.isInteger(value);
  if (type === 'number') return typeof value === 'number';
  return type !== 'array' || Array.isArray(value);
}
