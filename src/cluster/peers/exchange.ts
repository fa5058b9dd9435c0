/**
 * One message to another node, from the attempt to connect to the end of the answer.
 *
 * Role: the client's half of `Peers`, on node:http. It decides what an unanswered message means (`maybeDone`) and
 * when one may be sent a second time: the other node takes each number once, so repeating is safe for the message that
 * met a connection which had just been closed, and for the one that named an earlier start of that node.
 *
 *   sending ──► head of the answer ──► whole: read to its end │ parts: frames until the end
 *      └──► the other start, or a kept connection that was gone: sent again, once
 *
 * Invariants: `Hearing` hears of one ending, or of none after `cancel`; every wait has a limit: `timeoutMs` for the
 * head and again for the rest of a whole answer, three comment frames between two chunks of one in parts; time in which
 * this process stood still is none of it.
 */
import { type Agent, type ClientRequest, type IncomingMessage, request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import { PatientTimer } from '../../redis/patient-timer.ts';
import { type PeerFrame, type PeerRequest, PeerUnavailable } from './port.ts';
import type { Prover } from './proof.ts';
import { encodeMessage, FrameReader, HEADER, INTERNAL_PREFIX } from './wire.ts';

/** Comment frames that may be missing in an open answer before its node counts as gone. */
const QUIET_BEATS = 3;
/** The first event of the answer's own: it was cut because too much was held for a slow reader. */
export const OVERFLOW_EVENT = '!overflow';

export interface Hearing {
  whole(status: number, body: Uint8Array): void;
  /** An answer in parts begins. */
  begun(): void;
  frame(frame: PeerFrame): void;
  ended(): void;
  failed(error: PeerUnavailable): void;
}

/** What all messages of a node share. */
export interface Link {
  readonly prover: Prover;
  readonly answerBytesMax: number;
  /** Between two comment frames of an open answer; the same on all nodes. */
  readonly keepAliveMs: number;
  /** `''`: no such node is known. */
  urlOf(nodeId: string): string;
  /** Start of the other node as it last said, or `''`. */
  startOf(nodeId: string): string;
  setStart(nodeId: string, start: string): void;
  /** Keeps connections. */
  agentOf(isTls: boolean): Agent;
  readonly tlsCa: string | undefined;
}

export class Exchange {
  readonly #link: Link;
  readonly #nodeId: string;
  readonly #request: PeerRequest;
  readonly #hearing: Hearing;
  readonly #onOver: () => void;
  readonly #number: number;
  readonly #message: Buffer | null;
  #req: ClientRequest | null = null;
  #timer: PatientTimer | null = null;
  #over = false;
  #again = false;
  /** This attempt has a connection. */
  #connected = false;
  /** A handler may have been called by an attempt. */
  #left = false;
  #begun = false;
  #complete = false;

  constructor(link: Link, nodeId: string, request: PeerRequest, hearing: Hearing, onOver: () => void) {
    this.#link = link;
    this.#nodeId = nodeId;
    this.#request = request;
    this.#hearing = hearing;
    this.#onOver = onOver;
    this.#number = link.prover.nextNumber(nodeId);
    this.#message = encodeMessage(request.facts, request.body);
  }

  /** The hearing hears nothing before this returns. */
  start(): void {
    const { timeoutMs } = this.#request;
    this.#timer = new PatientTimer(timeoutMs, () => this.#fail('did not answer in time', this.#connected));
    this.#send(true);
  }

  cancel(): void {
    this.#finish();
  }

  /** This node is closing. */
  giveUp(): void {
    this.#fail('was not waited for: this node is closing', this.#connected);
  }

  #send(keep: boolean): void {
    const { prover, urlOf, startOf } = this.#link;
    const base = urlOf(this.#nodeId);
    const target = base === '' ? null : targetOf(base, this.#request.path);
    if (target === null || this.#message === null) {
      const why = this.#message === null ? 'the facts are too large to send' : 'is not known, or not reachable yet';
      process.nextTick(() => this.#fail(why, false));
      return;
    }
    const isTls = target.protocol === 'https:';
    const { path } = this.#request;
    const envelope = prover.sign(this.#nodeId, startOf(this.#nodeId), path, this.#number, this.#message);
    const req = (isTls ? requestHttps : requestHttp)(target, {
      method: 'POST',
      // A connection of its own for the second attempt: other kept ones may be gone as well.
      agent: keep ? this.#link.agentOf(isTls) : false,
      ...(this.#link.tlsCa === undefined ? {} : { ca: this.#link.tlsCa }),
      headers: {
        'Content-Type': 'application/octet-stream',
        'Content-Length': this.#message.length,
        [HEADER.from]: envelope.from,
        [HEADER.fromStart]: envelope.fromStart,
        [HEADER.toStart]: envelope.toStart,
        [HEADER.proof]: envelope.proof,
      },
    });
    this.#req = req;
    this.#connected = false;
    req.on('socket', (socket) => {
      if (!socket.connecting) this.#connected = true;
      else
        socket.once('connect', () => {
          if (req === this.#req) this.#connected = true;
        });
    });
    req.on('error', (cause: NodeJS.ErrnoException) => {
      if (req === this.#req && !this.#over) this.#broke(cause);
    });
    req.on('response', (res) => {
      if (req === this.#req && !this.#over) this.#answered(res);
      else res.destroy();
    });
    req.end(this.#message);
  }

  #broke(cause: NodeJS.ErrnoException): void {
    if (!this.#connected) {
      this.#fail('cannot be reached', false, cause);
      return;
    }
    this.#left = true;
    const reset = cause.code === 'ECONNRESET' || cause.code === 'EPIPE';
    if (reset && !this.#begun && !this.#again) {
      this.#again = true;
      this.#send(false);
      return;
    }
    this.#fail('broke the connection off', true, cause);
  }

  #answered(res: IncomingMessage): void {
    const status = res.statusCode ?? 0;
    if (res.headers[HEADER.answer] === undefined) {
      this.#refused(res, status);
      return;
    }
    this.#left = true;
    this.#begun = true;
    res.on('error', (cause) => this.#fail('broke its answer off', true, cause));
    if (res.headers['content-type']?.startsWith('text/event-stream') === true) this.#parts(res);
    else this.#whole(res, status);
  }

  /** No handler answered: the other side's own refusal, or somebody in between. */
  #refused(res: IncomingMessage, status: number): void {
    res.resume();
    const why = res.headers[HEADER.refused];
    const start = res.headers[HEADER.toStart];
    if (why === 'stale' && typeof start === 'string' && !this.#again) {
      this.#again = true;
      this.#link.setStart(this.#nodeId, start);
      this.#send(true);
      return;
    }
    if (why === 'forged') this.#fail('has another secret: give all nodes the same cluster.secret', false);
    else if (why !== undefined) this.#fail('broke the connection off before it answered', why === 'seen');
    // 4xx and 503 are given before a handler is called; anything else may come from behind one.
    else this.#fail(`answered ${status} without being a node`, status >= 500 && status !== 503);
  }

  #whole(res: IncomingMessage, status: number): void {
    this.#timer?.refresh();
    const parts: Buffer[] = [];
    let bytes = 0;
    res.on('data', (part: Buffer) => {
      parts.push(part);
      bytes += part.length;
      if (bytes > this.#link.answerBytesMax) this.#fail(`answered more than ${this.#link.answerBytesMax} bytes`, true);
    });
    res.on('end', () => {
      if (!this.#endsWell(res)) return;
      this.#hearing.whole(status, parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts));
    });
  }

  #parts(res: IncomingMessage): void {
    this.#timer?.clear();
    const quietMs = QUIET_BEATS * this.#link.keepAliveMs;
    const quiet = new PatientTimer(quietMs, () => this.#fail(`said nothing for ${quietMs} ms`, true));
    this.#timer = quiet;
    const reader = new FrameReader((frame) => {
      if (this.#over) return;
      if (frame.event === OVERFLOW_EVENT) this.#fail('said more than could be held for this node', true);
      else this.#hearing.frame(frame);
    });
    res.on('data', (chunk: Buffer) => {
      quiet.refresh();
      if (!this.#over && !reader.push(chunk)) this.#fail('sent a frame that is too long', true);
    });
    res.on('end', () => {
      if (this.#endsWell(res)) this.#hearing.ended();
    });
    this.#hearing.begun();
  }

  /** The answer has come to an end: whether all of it is there, and was still waited for. */
  #endsWell(res: IncomingMessage): boolean {
    if (this.#over) return false;
    if (!res.complete) {
      this.#fail('broke its answer off', true);
      return false;
    }
    this.#complete = true;
    this.#finish();
    return true;
  }

  /** `maybeDone`: by this attempt; an earlier one may have been taken as well. */
  #fail(what: string, maybeDone: boolean, cause?: unknown): void {
    if (this.#over) return;
    this.#finish();
    const message = `node ${this.#nodeId} ${what}`;
    this.#hearing.failed(new PeerUnavailable(this.#nodeId, message, maybeDone || this.#left, cause));
  }

  /** Settles what is under way; the connection of an answer that has not ended is closed. */
  #finish(): void {
    if (this.#over) return;
    this.#over = true;
    this.#timer?.clear();
    if (!this.#complete) this.#req?.destroy();
    this.#onOver();
  }
}

function targetOf(base: string, path: string): URL | null {
  const text = base.replace(/\/+$/, '') + INTERNAL_PREFIX + path;
  return /^https?:/.test(text) && URL.canParse(text) ? new URL(text) : null;
}
