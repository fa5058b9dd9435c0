/**
 * The MCP messages the scenarios send, for both eras.
 *
 * Role: everything the harness knows of the protocol as a client. 2026-07-28: the revision in `_meta`, and method and
 * name once more in headers. Earlier revisions: a session id in a header, if there is a session.
 */
import type { WireRequest } from './request.ts';

export const MODERN = '2026-07-28';
const LEGACY = '2025-11-25';

const CLIENT_INFO = { name: 'millrace-bench', version: '1.0.0' };
const COMMON = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' };

/** Who asks, and how: the same for every message of one load. */
export interface Caller {
  /** `2026-07-28`, or a revision with sessions. */
  readonly revision: string;
  /** Empty: none. */
  readonly sessionId: string;
  /** Authorization and others the operator gave. */
  readonly headers: Readonly<Record<string, string>>;
}

export const MODERN_CALLER: Caller = { revision: MODERN, sessionId: '', headers: {} };
/** Earlier revision, no session: what stateless servers of that era accept. */
export const LEGACY_CALLER: Caller = { revision: LEGACY, sessionId: '', headers: {} };

export const isModern = (revision: string): boolean => revision >= MODERN;

export function toolCall(caller: Caller, name: string, args: unknown, id: number): WireRequest {
  return message(caller, 'tools/call', { name, arguments: args }, id, name);
}

/** Any request; `name` is what `Mcp-Name` repeats, empty for methods that have none. */
export function message(caller: Caller, method: string, params: object, id: number, name: string): WireRequest {
  if (!isModern(caller.revision)) {
    return { headers: sessionHeaders(caller), body: JSON.stringify({ jsonrpc: '2.0', id, method, params }) };
  }
  const meta = {
    'io.modelcontextprotocol/protocolVersion': caller.revision,
    'io.modelcontextprotocol/clientCapabilities': {},
    'io.modelcontextprotocol/clientInfo': CLIENT_INFO,
  };
  const headers: Record<string, string> = {
    ...COMMON,
    ...caller.headers,
    'mcp-protocol-version': caller.revision,
    'mcp-method': method,
  };
  if (name !== '') headers['mcp-name'] = headerText(name);
  return { headers, body: JSON.stringify({ jsonrpc: '2.0', id, method, params: { ...params, _meta: meta } }) };
}

/** The first message of a session; it carries no session id and no revision header. */
export function initialize(caller: Caller): WireRequest {
  const params = { protocolVersion: caller.revision, capabilities: {}, clientInfo: CLIENT_INFO };
  return {
    headers: { ...COMMON, ...caller.headers },
    body: JSON.stringify({ jsonrpc: '2.0', id: 0, method: 'initialize', params }),
  };
}

export function initialized(caller: Caller): WireRequest {
  return {
    headers: sessionHeaders(caller),
    body: JSON.stringify({ jsonrpc: '2.0', method: 'notifications/initialized' }),
  };
}

export function sessionHeaders(caller: Caller): Record<string, string> {
  const headers: Record<string, string> = { ...COMMON, ...caller.headers };
  // 2025-03-26 has no such header, and servers of that revision need not like it.
  if (caller.revision > '2025-03-26') headers['mcp-protocol-version'] = caller.revision;
  if (caller.sessionId !== '') headers['mcp-session-id'] = caller.sessionId;
  return headers;
}

/** Names that are no safe header text travel in base64, marked as such. */
function headerText(name: string): string {
  const safe = /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/.test(name) && !name.startsWith('=?base64?');
  return safe ? name : `=?base64?${Buffer.from(name).toString('base64')}?=`;
}
