/**
 * Posts bytes as they are, in either era's clothes, and reads the JSON-RPC answer.
 */
import { POST_HEADERS } from '../wire/raw-clients.ts';

export interface Posted {
  readonly status: number;
  readonly text: string;
  /** JSON-RPC error code; 0 when there is none. */
  readonly code: number;
}

export async function post(
  url: string,
  body: string | Uint8Array,
  headers: Readonly<Record<string, string>> = POST_HEADERS,
): Promise<Posted> {
  const response = await fetch(url, { method: 'POST', headers, body });
  return postedOf(response.status, await response.text());
}

export function postedOf(status: number, text: string): Posted {
  const message = text === '' ? {} : (JSON.parse(text) as { readonly error?: { readonly code?: number } });
  return { status, text, code: message.error?.code ?? 0 };
}

/** Headers of a call whose body is not looked at before the worker has it. */
export function callHeaders(tool: string): Record<string, string> {
  return {
    ...POST_HEADERS,
    'mcp-protocol-version': '2026-07-28',
    'mcp-method': 'tools/call',
    'mcp-name': tool,
  };
}

export const META_TEXT =
  '"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}';

/** A 2026-07-28 call with the text of its arguments spliced in. */
export function callText(tool: string, argumentsText: string, id = '1'): string {
  return `{"jsonrpc":"2.0","id":${id},"method":"tools/call","params":{"name":"${tool}","arguments":${argumentsText},${META_TEXT}}}`;
}

export function concat(...parts: readonly (string | Uint8Array)[]): Buffer {
  return Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : part)));
}
