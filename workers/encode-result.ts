// HOT PATH
/**
 * Encodes results as JSON-RPC responses, per revision.
 *
 * Role: the last step of a job. Strings are joined rather than objects built, since the envelope and the stamp of a
 * 2026-07-28 result (`resultType`, server info) never change. Members a revision does not have are left out here.
 */
import type { CallToolResult, ContentBlock } from '../src/catalogue/define.ts';
import { SERVER_INFO_KEY } from '../src/catalogue/server-facts.ts';
import type { Revision } from '../src/protocol/revisions.ts';
import { adaptContent } from './adapt-content.ts';

export class ResultEncoder {
  readonly #serverInfo: object;
  /** Members every complete stateless result ends with. */
  readonly #stamp: string;
  readonly #stampInputRequired: string;

  constructor(serverInfo: object) {
    this.#serverInfo = serverInfo;
    const meta = `"_meta":${JSON.stringify({ [SERVER_INFO_KEY]: serverInfo })}`;
    this.#stamp = `"resultType":"complete",${meta}`;
    this.#stampInputRequired = `"resultType":"input_required",${meta}`;
  }

  /** Joins encoded members (`"a":1,"b":2`, or '') and the stamp into a response. */
  response(idJson: string, revision: Revision, members: string, meta: Record<string, unknown> | undefined): string {
    return `{"jsonrpc":"2.0","id":${idJson},"result":{${this.#joined(revision, members, meta)}}}`;
  }

  #joined(revision: Revision, members: string, meta: Record<string, unknown> | undefined): string {
    const comma = members === '' ? '' : ',';
    if (meta === undefined) return revision.stampedResults ? members + comma + this.#stamp : members;
    if (!revision.stampedResults) return `${members}${comma}"_meta":${JSON.stringify(meta)}`;
    const merged = JSON.stringify(Object.assign({ [SERVER_INFO_KEY]: this.#serverInfo }, meta));
    return `${members}${comma}"resultType":"complete","_meta":${merged}`;
  }

  /** What most tools return: `toolResult` of one text, without building it first. */
  textResult(idJson: string, revision: Revision, text: string): string {
    return this.response(idJson, revision, textMember(text), undefined);
  }

  toolResult(idJson: string, revision: Revision, result: CallToolResult): string {
    const text = soleText(result.content);
    const content = revision.titles || text !== null ? result.content : adaptContent(result.content, revision);
    let members = text === null ? `"content":${returnedJson(content)}` : textMember(text);
    const structured = result.structuredContent;
    if (structured !== undefined && mayCarry(structured, revision))
      members += `,"structuredContent":${returnedJson(structured)}`;
    if (result.isError === true) members += ',"isError":true';
    return this.response(idJson, revision, members, result._meta);
  }

  inputRequired(idJson: string, inputRequests: object, requestState: string): string {
    const members = `"inputRequests":${JSON.stringify(inputRequests)},"requestState":${JSON.stringify(requestState)}`;
    return `{"jsonrpc":"2.0","id":${idJson},"result":{${members},${this.#stampInputRequired}}}`;
  }
}

const textMember = (text: string): string => `"content":[{"type":"text","text":${JSON.stringify(text)}}]`;

/** The text of a content that is one text block and nothing else: a third of what encoding it as an object costs. */
function soleText(content: readonly ContentBlock[]): string | null {
  const block = content[0];
  if (content.length !== 1 || block?.type !== 'text' || typeof block.text !== 'string') return null;
  if (Object.getPrototypeOf(block) !== Object.prototype) return null;
  let members = 0;
  for (const _member in block) members += 1;
  return members === 2 ? block.text : null;
}

function mayCarry(structured: unknown, revision: Revision): boolean {
  if (revision.structuredContent === 'any') return true;
  if (revision.structuredContent === 'none') return false;
  return typeof structured === 'object' && structured !== null && !Array.isArray(structured);
}

/** A tool failure the model can read and correct. */
export function errorResult(message: string): CallToolResult {
  return { content: [{ type: 'text', text: message }], isError: true };
}

/** Throws a TypeError that says what it is that is no JSON. */
function returnedJson(value: unknown): string | undefined {
  try {
    return JSON.stringify(value);
  } catch (cause) {
    throw new TypeError(`what was returned is no JSON: ${cause instanceof Error ? cause.message : cause}`, { cause });
  }
}

export function isFullResult(value: unknown): value is CallToolResult {
  return typeof value === 'object' && value !== null && Array.isArray((value as { content?: unknown }).content);
}

/** Wraps what a handler returned; see `ToolReturn`. */
export function toolResultOf(value: unknown, declaresOutput: boolean): CallToolResult {
  if (typeof value === 'string') {
    const content = [{ type: 'text', text: value }];
    return declaresOutput ? { content, structuredContent: value } : { content };
  }
  if (isFullResult(value)) return value;
  const text = value === undefined ? '' : (returnedJson(value) ?? String(value));
  const content: ContentBlock[] = value === undefined ? [] : [{ type: 'text', text }];
  return declaresOutput ? { content, structuredContent: value } : { content };
}
