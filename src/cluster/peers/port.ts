/**
 * Messages from node to node: `POST /internal/{path}` of the other node's front end, over connections that stay open,
 * authenticated with the secret the nodes share.
 *
 * Role: what forwarding, sessions, tasks and streams reach one another with. A handler runs on the front-end thread of
 * the node that is asked. Nothing is repeated here: whoever asks knows whether that is safe.
 */
import type { HeaderPairs } from '../../frontend/port.ts';

/** The node is not there, did not take the message in time, or broke off. */
export class PeerUnavailable extends Error {
  override readonly name = 'PeerUnavailable';
  readonly nodeId: string;
  /** The message may have been acted on all the same: bytes of it had left. */
  readonly maybeDone: boolean;

  constructor(nodeId: string, message: string, maybeDone: boolean, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.nodeId = nodeId;
    this.maybeDone = maybeDone;
  }
}

export interface PeerRequest {
  /** `call`, `answer`, `streams/query`: below `/internal/`. */
  readonly path: string;
  /** Facts beside the body; JSON, at most 256 KiB. */
  readonly facts: object;
  readonly body: Uint8Array | string;
  /** Until the other node has begun to answer. */
  readonly timeoutMs: number;
}

export interface PeerAnswer {
  readonly status: number;
  readonly body: Uint8Array;
}

/** One frame of an answer that comes in parts: a name and a text. */
export interface PeerFrame {
  readonly event: string;
  readonly data: string;
}

export interface PeerStream {
  /** Breaks it off; `ended` is not called then. */
  cancel(): void;
}

export interface PeerStreamSink {
  /**
   * Called before the first frame or instead of any: the other node has taken the message (200, an empty body, frames
   * follow) or answered whole (`ended(null)` follows at once).
   */
  answered(status: number, body: Uint8Array): void;
  frame(frame: PeerFrame): void;
  /** Null: the other node said everything. */
  ended(error: PeerUnavailable | null): void;
}

/** What a handler is given; all of it is only valid in that turn unless copied. */
export interface PeerMessage {
  /** Id of the node that asks. */
  readonly from: string;
  readonly facts: { readonly [member: string]: unknown };
  readonly body: Uint8Array;
}

export interface PeerReply {
  readonly open: boolean;
  /** The whole answer. */
  send(status: number, body: Uint8Array | string, headers?: HeaderPairs): void;
  /** Begins an answer in parts. */
  openFrames(): { readonly open: boolean; write(frame: PeerFrame): void; end(): void };
}

export interface PeerCall {
  /** The node that asked has gone. */
  aborted(): void;
}

/** Answers now or later; returns what wants to hear of the asker's going. Must not throw. */
export type PeerHandler = (message: PeerMessage, reply: PeerReply) => PeerCall | null;

export interface Peers {
  /** Rejects with `PeerUnavailable`. Any status is an answer. */
  ask(nodeId: string, request: PeerRequest): Promise<PeerAnswer>;
  stream(nodeId: string, request: PeerRequest, sink: PeerStreamSink): PeerStream;
  /** Serves a path, for the life of the process. */
  serve(path: string, handler: PeerHandler): void;
  close(): void;
}
