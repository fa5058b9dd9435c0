/**
 * The port between the `/mcp` HTTP endpoint and the session era (revisions before 2026-07-28).
 *
 * Role: `http-endpoint.ts` reads headers, authenticates, classifies the body and, when it belongs to a session
 * revision, hands it here. Everything about sessions (looking them up, `Mcp-Session-Id`, `initialize`, version header
 * against session, streams, resumption, batches) is the implementation's, in `session/`.
 * What the endpoint has done already: method, Content-Type, body size, authentication, Accept (a POST accepts JSON and
 * `text/event-stream`, a GET accepts `text/event-stream`), and the message's JSON-RPC shape.
 * Lent: `envelope` (reused for the next request) and `body` are only valid during the call; copy what must stay.
 */
import type { Principal } from '../catalogue/define.ts';
import type { TraceHeaders } from '../dispatch/job.ts';
import type { Reply } from '../frontend/port.ts';
import type { Envelope } from './envelope.ts';

/** Header values of one HTTP request, `''` when absent. May be kept. */
export interface SessionFacts {
  /** `Mcp-Session-Id`. */
  readonly sessionId: string;
  /** `MCP-Protocol-Version`, as sent; not checked. */
  readonly protocolVersion: string;
  /** `Last-Event-ID`; read for GET only. */
  readonly lastEventId: string;
  readonly accept: string;
  /** Null when authentication is off. */
  readonly principal: Principal | null;
  readonly trace: TraceHeaders | null;
  /** `x-correlation-id`, else `x-request-id`. */
  readonly correlationId: string;
  /** `Idempotency-Key`. */
  readonly idempotencyKey: string;
}

/** An exchange that has not been answered yet. */
export interface OpenExchange {
  /** The client has gone before the answer ended. At most once, never after the end. */
  aborted(): void;
}

export interface SessionEndpoint {
  /**
   * One POST. `envelope.kind` is `request`, `notification`, `response` or `batch`; `envelope.parsed` is the whole
   * parsed body for every kind but `request`, where it is null unless the body had to be parsed to be understood.
   * Null when the answer has been given.
   */
  post(facts: SessionFacts, envelope: Envelope, body: Uint8Array, reply: Reply): OpenExchange | null;
  /** Opens or resumes the session's stream. */
  get(facts: SessionFacts, reply: Reply): OpenExchange | null;
  /** Ends the session. */
  delete(facts: SessionFacts, reply: Reply): OpenExchange | null;
}
