// HOT PATH
/**
 * Whether what a handler returned is something the protocol can carry: content blocks, contents, messages, completions.
 *
 * Role: asked before a result is encoded. A client refuses a whole result for one wrong member and cannot say whose doing
 * it is; here the author is told which member, its value and what was expected.
 * Invariants: null means that nothing is wrong; a message begins with the path of the member.
 * Left to others: members that only decorate (annotations, icons, `_meta` of a block) are sent as they are.
 */
import { excerpt } from '../src/catalogue/definition-error.ts';
import type { JsonObject } from '../src/protocol/channel.ts';
import { isJsonObject } from '../src/protocol/message-shape.ts';

const BLOCK_TYPES = 'one of text, image, audio, resource_link, resource';

const wrong = (path: string, expected: string, value: unknown): string =>
  `${path} must be ${expected}, got ${excerpt(value)}`;

/** Of anything else: what JSON has no word for would be lost, and nobody told. */
export function valueProblem(value: unknown): string | null {
  const lost = typeof value === 'function' || typeof value === 'symbol' || value instanceof Map || value instanceof Set;
  return lost ? `expected a JSON value or a full result { content }, got ${excerpt(value)}` : null;
}

/** Of a full tool result: `content` is known to be an array. */
export function resultProblem(result: {
  content: readonly unknown[];
  isError?: unknown;
  _meta?: unknown;
}): string | null {
  const { content, isError, _meta } = result;
  if (isError !== undefined && typeof isError !== 'boolean') return wrong('isError', 'true or false', isError);
  if (_meta !== undefined && !isJsonObject(_meta)) return wrong('_meta', 'an object', _meta);
  return firstProblem(content, 'content', blockProblem);
}

type Check = (value: unknown, path: string) => string | null;

function firstProblem(values: readonly unknown[], name: string, problemOf: Check): string | null {
  for (let i = 0; i < values.length; i++) {
    const problem = problemOf(values[i], `${name}/${i}`);
    if (problem !== null) return problem;
  }
  return null;
}

function blockProblem(block: unknown, path: string): string | null {
  if (!isJsonObject(block)) return wrong(path, 'an object { type, … }', block);
  switch (block['type']) {
    case 'text':
      return textProblem(block, 'text', path);
    case 'image':
    case 'audio':
      return base64Problem(block, 'data', path) ?? textProblem(block, 'mimeType', path);
    case 'resource_link':
      return textProblem(block, 'uri', path) ?? textProblem(block, 'name', path);
    case 'resource':
      return contentProblem(block['resource'], `${path}/resource`);
    default:
      return wrong(`${path}/type`, BLOCK_TYPES, block['type']);
  }
}

function textProblem(owner: JsonObject, member: string, path: string): string | null {
  return typeof owner[member] === 'string' ? null : wrong(`${path}/${member}`, 'a string', owner[member]);
}

function base64Problem(owner: JsonObject, member: string, path: string): string | null {
  return typeof owner[member] === 'string' ? null : wrong(`${path}/${member}`, 'a string of base64', owner[member]);
}

/** One of a resource's contents. */
function contentProblem(content: unknown, path: string): string | null {
  if (!isJsonObject(content)) return wrong(path, 'an object { uri, text } or { uri, blob }', content);
  const { text, blob } = content;
  if (typeof content['uri'] !== 'string') return textProblem(content, 'uri', path);
  if (text === undefined && blob === undefined) return `${path} must have a text or a blob`;
  return blob === undefined ? textProblem(content, 'text', path) : base64Problem(content, 'blob', path);
}

/** What a resource may return beside a string, bytes and nothing. */
export function contentsProblem(value: unknown): string | null {
  const contents = isJsonObject(value) ? value['contents'] : undefined;
  if (!Array.isArray(contents)) {
    return isJsonObject(value) && contents !== undefined
      ? wrong('contents', 'an array', contents)
      : `expected a string, a Uint8Array, { contents } or undefined, got ${excerpt(value)}`;
  }
  return firstProblem(contents, 'contents', contentProblem);
}

/** What a prompt may return beside a string. */
export function messagesProblem(value: unknown): string | null {
  const messages = isJsonObject(value) ? value['messages'] : value;
  if (!Array.isArray(messages)) {
    return isJsonObject(value) && messages !== undefined
      ? wrong('messages', 'an array', messages)
      : `expected a string, an array of messages or { messages }, got ${excerpt(value)}`;
  }
  return firstProblem(messages, 'messages', messageProblem);
}

function messageProblem(message: unknown, path: string): string | null {
  if (!isJsonObject(message)) return wrong(path, 'an object { role, content }', message);
  const { role, content } = message;
  if (role !== 'user' && role !== 'assistant') return wrong(`${path}/role`, 'user or assistant', role);
  return blockProblem(content, `${path}/content`);
}

/** What a completion may return beside nothing. */
export function completionProblem(value: unknown): string | null {
  const values = isJsonObject(value) ? value['values'] : value;
  if (!Array.isArray(values)) return `expected an array of strings or { values }, got ${excerpt(value)}`;
  for (let i = 0; i < values.length; i++) {
    if (typeof values[i] !== 'string') return wrong(`values/${i}`, 'a string', values[i]);
  }
  return null;
}
