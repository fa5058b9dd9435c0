/**
 * Questions a tool may ask its client: which capability each needs, and whether an answer has the shape the question
 * demands. An answer that does not is treated as not given, so that the client is asked again.
 */
import type { Revision } from '../src/protocol/revisions.ts';

export interface Question {
  readonly method: 'elicitation/create' | 'sampling/createMessage' | 'roots/list';
  readonly params: object;
}

type Json = Record<string, unknown>;

const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** The capabilities to declare, or null when the client has them. */
export function missingCapability(question: Question, declared: Json, revision: Revision): object | null {
  if (question.method === 'roots/list') return isObject(declared['roots']) ? null : { roots: {} };
  if (question.method === 'sampling/createMessage') {
    const sampling = declared['sampling'];
    if (!isObject(sampling)) return { sampling: {} };
    const wantsTools = 'tools' in question.params;
    return wantsTools && !isObject(sampling['tools']) ? { sampling: { tools: {} } } : null;
  }
  const elicitation = declared['elicitation'];
  const wantsUrl = (question.params as { mode?: string }).mode === 'url';
  if (wantsUrl && revision.elicitation !== 'url') return { elicitation: { url: {} } };
  if (!isObject(elicitation) || revision.elicitation === 'none')
    return wantsUrl ? { elicitation: { url: {} } } : { elicitation: {} };
  if (wantsUrl) return isObject(elicitation['url']) ? null : { elicitation: { url: {} } };
  const formOff = isObject(elicitation['url']) && !isObject(elicitation['form']);
  return formOff ? { elicitation: { form: {} } } : null;
}

export function answerFits(question: Question, answer: unknown): boolean {
  if (!isObject(answer)) return false;
  if (question.method === 'roots/list') return Array.isArray(answer['roots']);
  if (question.method === 'sampling/createMessage')
    return typeof answer['role'] === 'string' && answer['content'] !== undefined;
  const action = answer['action'];
  if (action === 'decline' || action === 'cancel') return true;
  if (action !== 'accept') return false;
  const { requestedSchema } = question.params as { requestedSchema?: Json };
  if (requestedSchema === undefined) return true;
  // A form that asks for nothing is accepted with nothing.
  return contentFits(requestedSchema, answer['content'] ?? {});
}

/** Elicitation schemas are flat objects of primitives: required members present, each of its declared type. */
function contentFits(schema: Json, content: unknown): boolean {
  if (!isObject(content)) return false;
  const required = Array.isArray(schema['required']) ? schema['required'] : [];
  if (required.some((name) => typeof name === 'string' && !Object.hasOwn(content, name))) return false;
  const properties = isObject(schema['properties']) ? schema['properties'] : {};
  return Object.entries(content).every(([name, value]) => {
    const property = Object.hasOwn(properties, name) ? properties[name] : undefined;
    return !isObject(property) || typeFits(property['type'], value);
  });
}

function typeFits(type: unknown, value: unknown): boolean {
  if (type === 'string') return typeof value === 'string';
  if (type === 'boolean') return typeof value === 'boolean';
  if (type === 'integer') return Number.isInteger(value);
  if (type === 'number') return typeof value === 'number';
  return type !== 'array' || Array.isArray(value);
}
