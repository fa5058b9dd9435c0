/**
 * The seam inside the protocol: who calls (`Caller`), where the messages about one request go (`Channel`), and the
 * table of methods that joins them (`Methods`).
 *
 * Role: era and transport end here. An HTTP exchange of 2026-07-28, a POST of a session, a WebSocket and stdio each
 * make a `Caller` and a `Channel`; the methods never ask which it was.
 */
import type { Principal } from '../catalogue/define.ts';
import type { Entry } from '../catalogue/entry.ts';
import type { Ask, Job, TraceHeaders } from '../dispatch/job.ts';
import type { Session } from '../sessions/port.ts';
import type { Revision } from './revisions.ts';

export type JsonObject = { readonly [member: string]: unknown };

/** Routes a tool's questions to a client that answers in a message of its own (session era). */
export interface AskRouter {
  /** Registers the question and returns the JSON-RPC request to send. */
  open(job: Job, ask: Ask): string;
  /** The job has ended: its open questions are dropped. */
  forget(job: Job): void;
}

export interface Caller {
  readonly revision: Revision;
  readonly principal: Principal | null;
  /** Null in the stateless era. */
  readonly session: Session | null;
  /** Null where questions are answered by retrying (2026-07-28). */
  readonly asks: AskRouter | null;
  /** Fair-share key. Computed lazily by the transport: reading an address costs. */
  share(): string;
}

/** Where the messages about one request go. Everything is a no-op once the client has gone. */
export interface Channel {
  /** Whether `send` can deliver (an SSE answer is acceptable, or the connection carries messages). */
  readonly canStream: boolean;
  /** The client reads slower than it is written to: what can be coalesced should wait for `onDrain`. */
  readonly congested: boolean;
  /** Called once each time `congested` turns false. Set by the owner of a long answer; null elsewhere. */
  onDrain: (() => void) | null;
  /** The final JSON-RPC response. `status` is used where the transport has one. `retryAfterMs` 0: no header. */
  respond(status: number, message: Uint8Array | string, retryAfterMs: number): void;
  /** A notification or question belonging to this request. Bytes are lent. */
  send(message: Uint8Array | string): void;
  /** SEP-1699: closes the connection; the rest is delivered on resumption. No-op elsewhere. */
  release(retryMs: number): void;
}

/** One request as the classifier found it. `body` and whatever views it are lent. */
export interface RequestEnvelope {
  /** The id as JSON text, `''` when it was not looked at (the worker echoes it). */
  readonly idJson: string;
  readonly method: string;
  /** Tool or prompt name, resource URI; `''` where the method has none or it was not looked at. */
  readonly name: string;
  /** Parsed params where this thread had to look at them; null when only the worker parses. */
  readonly params: JsonObject | null;
  readonly body: Uint8Array;
  /** Headers of 2026-07-28 came with it and must agree (HTTP). */
  readonly checkHeaders: boolean;
  readonly trace: TraceHeaders | null;
  readonly correlationId: string;
  readonly paramHeaders: Record<string, string> | null;
  /** Header `Idempotency-Key`, as sent; `''` when there is none or the transport has no headers. */
  readonly idempotencyKey: string;
}

/** A request that has not been answered yet, for its transport to cancel. */
export interface OpenRequest {
  /** Stops the work; nothing more is sent. */
  cancel(reason: string): void;
}

/**
 * Makes a call of a tool: what stands between a request and its tool ends with one of these. `waitedMs`: how much of its
 * time the call has spent waiting before; less than that time.
 */
export type CallRun = (
  entry: Entry,
  caller: Caller,
  envelope: RequestEnvelope,
  channel: Channel,
  waitedMs: number,
) => OpenRequest | null;

export interface Methods {
  /** Answers through `channel`, now or later. Null when it was answered already. */
  request(caller: Caller, envelope: RequestEnvelope, channel: Channel): OpenRequest | null;
}
