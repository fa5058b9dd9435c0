/**
 * A served runtime as tests reach it: the address of its ready line, one tool call over HTTP, what the call answers.
 */
import assert from 'node:assert/strict';
import type { Child } from './millrace.ts';

const VERSION = '2026-07-28';
const META = {
  'io.modelcontextprotocol/protocolVersion': VERSION,
  'io.modelcontextprotocol/clientInfo': { name: 'test', version: '1' },
  'io.modelcontextprotocol/clientCapabilities': {},
};
const READY = /^millrace ready (http:\/\/127\.0\.0\.1:\d+\/mcp)$/;

/** Where a started server listens, of its ready line. */
export async function readyUrl(child: Child): Promise<string> {
  const line = await child.line();
  const url = READY.exec(line)?.[1];
  assert.ok(url !== undefined, line);
  return url;
}

export function callTool(url: string, name: string, args: unknown): Promise<Response> {
  return fetch(url, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      'mcp-protocol-version': VERSION,
      'mcp-method': 'tools/call',
      'mcp-name': name,
    },
    body: JSON.stringify({
      jsonrpc: '2.0',
      id: 1,
      method: 'tools/call',
      params: { name, arguments: args, _meta: META },
    }),
  });
}

/** The structured content of a call that must succeed. */
export async function resultOf<T>(url: string, name: string, args: unknown): Promise<T> {
  const answer = (await (await callTool(url, name, args)).json()) as {
    result?: { isError?: boolean; structuredContent?: T };
  };
  const content = answer.result?.structuredContent;
  assert.ok(content !== undefined && answer.result?.isError !== true, JSON.stringify(answer));
  return content;
}
