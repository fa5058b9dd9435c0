/**
 * Every way a request can be refused or fail, as one closed table: JSON-RPC code, HTTP status, retryable or not.
 *
 * Role: expected failures are values (`Fault`), made by `fault()` and turned into bytes by `encodeFault()`; they are
 * never thrown and carry no stack. What a bug throws is normalised at the edge with `faultFrom()`; its cause goes to
 * the log, never to the client.
 * Source of the codes: JSON-RPC 2.0 section 5.1 and the MCP specification's reserved range -32020…-32099.
 */
import type { Outcome } from '../observe/port.ts';
import { RedisUnavailable } from '../redis/unavailable.ts';

export interface FaultRow {
  /** JSON-RPC error code. */
  readonly code: number;
  /** HTTP status when the fault is the whole answer. 200 where clients expect the error in band. */
  readonly status: number;
  /** Whether the same request may succeed later, unchanged. */
  readonly retryable: boolean;
}

export const FAULTS = {
  parse: { code: -32700, status: 400, retryable: false },
  invalidRequest: { code: -32600, status: 400, retryable: false },
  methodNotFound: { code: -32601, status: 404, retryable: false },
  /** The method is unknown in a session revision: in band, as clients of those revisions expect. */
  methodNotFoundInBand: { code: -32601, status: 200, retryable: false },
  invalidParams: { code: -32602, status: 200, retryable: false },
  /** The per-request `_meta` is missing or malformed. */
  invalidMeta: { code: -32602, status: 400, retryable: false },
  internal: { code: -32603, status: 200, retryable: false },
  resourceNotFound: { code: -32002, status: 200, retryable: false },
  headerMismatch: { code: -32020, status: 400, retryable: false },
  missingCapability: { code: -32021, status: 400, retryable: false },
  unsupportedVersion: { code: -32022, status: 400, retryable: false },
  badRequest: { code: -32000, status: 400, retryable: false },
  sessionNotFound: { code: -32001, status: 404, retryable: false },
  unauthorized: { code: -32000, status: 401, retryable: false },
  forbidden: { code: -32000, status: 403, retryable: false },
  methodNotAllowed: { code: -32000, status: 405, retryable: false },
  notAcceptable: { code: -32000, status: 406, retryable: false },
  conflict: { code: -32000, status: 409, retryable: true },
  bodyTooLarge: { code: -32000, status: 413, retryable: false },
  unsupportedMediaType: { code: -32000, status: 415, retryable: false },
  headersTooLarge: { code: -32000, status: 431, retryable: false },
  /** Admission refused: queue full, or the caller's share of it. `data.retryAfterMs` is set. */
  overloaded: { code: -32000, status: 503, retryable: true },
  draining: { code: -32000, status: 503, retryable: true },
  /** More calls per second than the budget of the tool allows. `data.retryAfterMs` is set. */
  rateLimited: { code: -32000, status: 429, retryable: true },
  /** Whoever executed the call has gone without an answer, and it must not be executed twice. */
  outcomeUnknown: { code: -32000, status: 200, retryable: false },
  /** The deadline passed, in the queue or in the tool. */
  timeout: { code: -32000, status: 200, retryable: true },
  /** The worker that ran the call ended (killed, out of memory, exit). */
  workerLost: { code: -32603, status: 200, retryable: false },
  /** A tool that keeps ending workers is kept from running. */
  quarantined: { code: -32000, status: 200, retryable: true },
  resultTooLarge: { code: -32603, status: 200, retryable: false },
  limitReached: { code: -32000, status: 503, retryable: true },
  /** Shared state is needed and cannot be reached. `data.retryAfterMs` is set. */
  unavailable: { code: -32000, status: 503, retryable: true },
} as const satisfies Record<string, FaultRow>;

export type FaultName = keyof typeof FAULTS;

/** One expected failure, ready to be encoded. `data` must be JSON-encodable. */
export interface Fault {
  readonly name: FaultName;
  readonly message: string;
  readonly data: object | undefined;
}

export function fault(name: FaultName, message: string, data?: object): Fault {
  return { name, message, data };
}

/** How a request that ended so is counted. */
export function outcomeOf(name: FaultName): Outcome {
  switch (name) {
    case 'overloaded':
    case 'draining':
    case 'rateLimited':
    case 'limitReached':
    case 'unavailable':
      return 'shed';
    case 'timeout':
      return 'timeout';
    case 'outcomeUnknown':
    case 'workerLost':
    case 'quarantined':
      return 'lost';
    case 'internal':
    case 'resultTooLarge':
      return 'internal';
    default:
      return 'invalid';
  }
}

/** A call refused for load: `retryAfterMs` stands in `data` and, in seconds, in the `Retry-After` header. */
export function overloadFault(message: string, retryAfterMs: number): Fault {
  return new Overload(message, retryAfterMs);
}

/** The one fault that is made by the thousand: written without asking what is in it. */
class Overload implements Fault {
  readonly name = 'overloaded';
  readonly message: string;
  readonly data: { readonly retryAfterMs: number };

  constructor(message: string, retryAfterMs: number) {
    this.message = message;
    this.data = { retryAfterMs };
  }

  dataJson(): string {
    return `{"retryAfterMs":${this.data.retryAfterMs}}`;
  }
}

/**
 * The JSON-RPC error response of a fault. `idJson` is the request id exactly as JSON (`1`, `"a"`), or `''` when it
 * could not be read: the member is then left out, since the schema has no null id.
 */
export function encodeFault(idJson: string, f: Fault): string {
  const id = idJson === '' ? '' : `"id":${idJson},`;
  const data = f.data === undefined ? '' : `,"data":${f instanceof Overload ? f.dataJson() : JSON.stringify(f.data)}`;
  return `{"jsonrpc":"2.0",${id}"error":{"code":${FAULTS[f.name].code},"message":${messageJson(f.message)}${data}}}`;
}

let lastMessage = '';
let lastMessageJson = '""';

/** Under overload one message is said again and again. */
function messageJson(message: string): string {
  if (message !== lastMessage) {
    lastMessageJson = JSON.stringify(message);
    lastMessage = message;
  }
  return lastMessageJson;
}

/** What the nodes share is away; a later attempt may find it. */
export const UNAVAILABLE: Fault = {
  name: 'unavailable',
  message: 'shared state cannot be reached right now',
  data: { retryAfterMs: 1000 },
};

/**
 * Whatever was thrown, as a fault that tells the client nothing of its cause: `UNAVAILABLE` when Redis cannot be had,
 * otherwise a bug. The caller logs the cause.
 */
export function faultFrom(cause: unknown): Fault {
  if (cause instanceof RedisUnavailable) return UNAVAILABLE;
  return { name: 'internal', message: 'internal error', data: undefined };
}
