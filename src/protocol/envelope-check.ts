// HOT PATH
/**
 * The checks every request of 2026-07-28 must pass before anything runs, in one fixed order.
 *
 * Role: body shape, the required keys of `_meta`, the headers that mirror the body, the version. Run on the front-end
 * thread for methods it answers itself and in the worker for those it does not. The order decides which of several
 * faults is told; it is the one clients know from other servers:
 *   shape → `_meta` → version header against body → method header against body → version spoken here → headers present
 *   → name header against body → optional `_meta` values.
 * Source: Model Context Protocol 2026-07-28, basic (`_meta`) and Streamable HTTP (server validation).
 */
import type { LogLevel } from '../catalogue/define.ts';
import type { JsonObject } from './channel.ts';
import { VERSION_KEY } from './envelope.ts';
import { type Fault, fault } from './faults.ts';
import { isJsonObject, isRequestId, shapeFault } from './message-shape.ts';
import { STATELESS_REVISIONS } from './revisions.ts';

export const CAPABILITIES_KEY = 'io.modelcontextprotocol/clientCapabilities';
export const CLIENT_INFO_KEY = 'io.modelcontextprotocol/clientInfo';
export const LOG_LEVEL_KEY = 'io.modelcontextprotocol/logLevel';

/** The headers that mirror the body. */
export interface StatelessHeaders {
  /** `MCP-Protocol-Version`; `''` when absent. */
  readonly protocolVersion: string;
  /** `Mcp-Method`; `''` when absent. */
  readonly method: string;
  /** `Mcp-Name`, decoded; null when absent. */
  readonly name: string | null;
  /** `Mcp-Name` was there and could not be decoded; `name` is null then. */
  readonly nameMalformed?: boolean;
}

/** The member of `params` that `Mcp-Name` mirrors, for the methods that have one. */
const NAME_MEMBER: ReadonlyMap<string, string> = new Map([
  ['tools/call', 'name'],
  ['prompts/get', 'name'],
  ['resources/read', 'uri'],
  ['tasks/get', 'taskId'],
  ['tasks/update', 'taskId'],
  ['tasks/cancel', 'taskId'],
]);

/** From the least severe on. */
export const LOG_LEVELS: readonly LogLevel[] = [
  'debug',
  'info',
  'notice',
  'warning',
  'error',
  'critical',
  'alert',
  'emergency',
];
const LEVELS: ReadonlySet<unknown> = new Set(LOG_LEVELS);

/** What `Mcp-Name` must say for a request, or undefined when its method has no such header. */
export function mirroredName(method: string, params: JsonObject): unknown {
  const member = NAME_MEMBER.get(method);
  return member === undefined ? undefined : params[member];
}

export function isLogLevel(value: unknown): value is string {
  return LEVELS.has(value);
}

const NOT_REQUEST = fault('invalidRequest', 'not a request: it has no method or no id');
const META_MISSING = fault(
  'invalidMeta',
  `params._meta is missing: it must hold "${VERSION_KEY}" (a string) and "${CAPABILITIES_KEY}" (an object)`,
);
const VERSION_MISSING = fault('invalidMeta', `params._meta["${VERSION_KEY}"] must be a string`);
const CAPABILITIES_MISSING = fault('invalidMeta', `params._meta["${CAPABILITIES_KEY}"] must be an object`);
const BAD_CLIENT_INFO = fault(
  'invalidMeta',
  `params._meta["${CLIENT_INFO_KEY}"] must hold the strings name and version`,
);
const BAD_LOG_LEVEL = fault('invalidMeta', `params._meta["${LOG_LEVEL_KEY}"] is not a log level`);
const BAD_TOKEN = fault('invalidMeta', 'params._meta.progressToken must be a string or an integer');
const VERSION_DIFFERS = fault('headerMismatch', 'the MCP-Protocol-Version header differs from params._meta');
const METHOD_DIFFERS = fault('headerMismatch', 'the Mcp-Method header differs from the method of the body');
const NAME_DIFFERS = fault('headerMismatch', 'the Mcp-Name header differs from the name in params');
const NAME_MALFORMED = fault('headerMismatch', 'the Mcp-Name header is not a valid encoded value');
const VERSION_HEADER_MISSING = fault('headerMismatch', 'the MCP-Protocol-Version header is missing');
const METHOD_HEADER_MISSING = fault('headerMismatch', 'the Mcp-Method header is missing');
const NAME_HEADER_MISSING = fault('headerMismatch', 'the Mcp-Name header is missing');

/** Null when `message` is a good request. `headers` null: the transport has none. */
export function checkStatelessEnvelope(message: unknown, headers: StatelessHeaders | null): Fault | null {
  const misshapen = shapeFault(message);
  if (misshapen !== null) return misshapen;
  if (!isJsonObject(message) || message['method'] === undefined || !isRequestId(message['id'])) return NOT_REQUEST;
  const params = message['params'];
  const meta = isJsonObject(params) ? params['_meta'] : undefined;
  if (!isJsonObject(params) || !isJsonObject(meta)) return META_MISSING;
  const version = meta[VERSION_KEY];
  if (typeof version !== 'string') return VERSION_MISSING;
  if (!isJsonObject(meta[CAPABILITIES_KEY])) return CAPABILITIES_MISSING;
  const method = message['method'] as string;
  if (headers !== null) {
    if (headers.protocolVersion !== '' && headers.protocolVersion !== version) return VERSION_DIFFERS;
    if (headers.method !== '' && headers.method !== method) return METHOD_DIFFERS;
  }
  if (!STATELESS_REVISIONS.includes(version)) return unsupportedVersion(version);
  const contradiction = headers === null ? null : headersFault(headers, method, params);
  return contradiction ?? optionalMetaFault(meta);
}

function unsupportedVersion(requested: string): Fault {
  const shown = requested.length > 64 ? `${requested.slice(0, 64)}…` : requested;
  return fault('unsupportedVersion', `protocol version ${JSON.stringify(shown)} is not spoken here`, {
    supported: STATELESS_REVISIONS,
    requested: shown,
  });
}

function headersFault(headers: StatelessHeaders, method: string, params: JsonObject): Fault | null {
  if (headers.protocolVersion === '') return VERSION_HEADER_MISSING;
  if (headers.method === '') return METHOD_HEADER_MISSING;
  const member = NAME_MEMBER.get(method);
  if (member === undefined) return null;
  if (headers.nameMalformed === true) return NAME_MALFORMED;
  // An empty value and an absent header look alike.
  if (headers.name === null) return params[member] === '' ? null : NAME_HEADER_MISSING;
  return headers.name === params[member] ? null : NAME_DIFFERS;
}

function optionalMetaFault(meta: JsonObject): Fault | null {
  const level = meta[LOG_LEVEL_KEY];
  if (level !== undefined && !LEVELS.has(level)) return BAD_LOG_LEVEL;
  const token = meta['progressToken'];
  if (token !== undefined && !isRequestId(token)) return BAD_TOKEN;
  const client = meta[CLIENT_INFO_KEY];
  if (client === undefined) return null;
  const named = isJsonObject(client) && typeof client['name'] === 'string' && typeof client['version'] === 'string';
  return named ? null : BAD_CLIENT_INFO;
}
