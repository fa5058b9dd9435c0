/**
 * The stdio front end: one local client over two byte streams, one JSON-RPC message per line.
 *
 * Role: the adapter between a pair of streams (the process's stdin and stdout, or pipes in a test) and the protocol's
 * message connection. It frames and bounds; it knows nothing of JSON-RPC beyond the error it owes for a line too long
 * to be looked at. Nothing but messages is ever written to `stdout`.
 * Invariants: a client that does not read is not read from: its input waits while our output is congested, so that no
 * more answers become due, and those that are wait for it. Notices past `streamBufferBytesMax` end the connection. At
 * the end of input, answers in flight are still written, for `drainMsMax` at the longest. The connection is closed
 * exactly once.
 */
import type { Readable, Writable } from 'node:stream';
import { encodeFault, fault } from '../../protocol/faults.ts';
import { deferred } from '../../waiting.ts';
import type { MessageConnection, MessageHandler, MessagePeer, RequestHead } from '../port.ts';
import { LineSplitter } from './line-splitter.ts';

export interface StdioLimits {
  /** One line, without its end. */
  readonly messageBytesMax: number;
  /** Notices held for a client that does not read. */
  readonly streamBufferBytesMax: number;
  /** From the end of input to the end of output. */
  readonly drainMsMax: number;
}

export interface StdioStreams {
  readonly stdin: Readable;
  readonly stdout: Writable;
}

export interface StdioServer {
  /** Settled when the connection is over and everything written has left. */
  readonly done: Promise<void>;
  /** Takes no more input, answers what is in flight, ends. */
  close(): void;
}

/** There is no request line on stdio: what an upgrade would find in one that says nothing. */
const NO_REQUEST: RequestHead = { method: 'GET', path: '', query: '', header: () => '' };
const NEWLINE = 0x0a;

export function serveStdio(handler: MessageHandler, streams: StdioStreams, limits: StdioLimits): StdioServer {
  const ticket = handler.upgrade(NO_REQUEST);
  if ('status' in ticket) throw new Error(`the handler refused a stdio connection: ${ticket.message}`);
  const session = new StdioSession(streams, limits);
  session.start(ticket.connect(session));
  return session;
}

class StdioSession implements MessagePeer, StdioServer {
  readonly #end = deferred();
  readonly done = this.#end.promise;
  #connection: MessageConnection | null = null;
  #inputOver = false;
  #outputOver = false;
  #corked = false;
  #congested = false;
  #noticeBytes = 0;
  #drainTimer: NodeJS.Timeout | null = null;
  readonly #stdin: Readable;
  readonly #stdout: Writable;
  readonly #limits: StdioLimits;
  readonly #lines: LineSplitter;

  constructor(streams: StdioStreams, limits: StdioLimits) {
    this.#stdin = streams.stdin;
    this.#stdout = streams.stdout;
    this.#limits = limits;
    this.#lines = new LineSplitter(limits.messageBytesMax, {
      line: (bytes) => this.#connection?.message(bytes),
      oversize: () => this.send(encodeFault('', tooLong(limits.messageBytesMax))),
    });
  }

  start(connection: MessageConnection): void {
    this.#connection = connection;
    this.#stdout.on('drain', () => this.#drained());
    this.#stdout.on('error', () => this.#lost());
    this.#stdout.on('close', () => this.#lost());
    this.#stdin.on('data', (chunk: Uint8Array) => {
      if (!this.#inputOver) this.#lines.push(chunk);
    });
    this.#stdin.on('end', () => this.#endOfInput());
    this.#stdin.on('error', () => this.#endOfInput());
    this.#stdin.on('close', () => this.#endOfInput());
  }

  get open(): boolean {
    return !this.#outputOver;
  }

  get congested(): boolean {
    return this.#congested;
  }

  send(message: Uint8Array | string, isNotice = false): boolean {
    if (this.#outputOver) return false;
    this.#cork();
    const line = lineOf(message);
    const more = isNotice ? this.#notice(line) : this.#stdout.write(line);
    if (this.#noticeBytes > this.#limits.streamBufferBytesMax) {
      this.#lost();
      return false;
    }
    if (!more && !this.#congested) {
      this.#congested = true;
      this.#stdin.pause();
    }
    return true;
  }

  #notice(line: Buffer): boolean {
    this.#noticeBytes += line.length;
    return this.#stdout.write(line, () => {
      this.#noticeBytes -= line.length;
    });
  }

  close(): void {
    if (this.#drainTimer === null && !this.#inputOver) this.#endOfInput();
    else this.#finish();
  }

  remoteAddress(): string {
    return '';
  }

  /** What is written in one turn leaves in one system call. */
  #cork(): void {
    if (this.#corked) return;
    this.#corked = true;
    this.#stdout.cork();
    process.nextTick(() => {
      this.#corked = false;
      this.#stdout.uncork();
    });
  }

  #drained(): void {
    if (!this.#congested || this.#outputOver) return;
    this.#congested = false;
    if (!this.#inputOver) this.#stdin.resume();
    this.#connection?.drained();
  }

  #endOfInput(): void {
    if (this.#inputOver) return;
    this.#lines.end();
    this.#inputOver = true;
    this.#stdin.pause();
    if (this.#outputOver || this.#connection?.ended === undefined) {
      this.#finish();
      return;
    }
    this.#drainTimer = setTimeout(() => this.#finish(), this.#limits.drainMsMax);
    this.#connection.ended();
  }

  /** An orderly end: what was written is flushed. */
  #finish(): void {
    if (this.#outputOver) return;
    this.#over();
    this.#stdout.end(() => this.#end.resolve());
  }

  /** The reader is gone, or so slow that it counts as gone. */
  #lost(): void {
    if (!this.#outputOver) {
      this.#over();
      this.#stdout.destroy();
    }
    // Also when the output breaks while its end is being flushed.
    this.#end.resolve();
  }

  #over(): void {
    this.#inputOver = true;
    this.#outputOver = true;
    if (this.#drainTimer !== null) clearTimeout(this.#drainTimer);
    this.#stdin.pause();
    this.#connection?.closed();
  }
}

/**
 * Characters that end a line for many readers, `readline` of Node.js 24 among them, and for JSON do not: within a message
 * they are in texts only, where they may as well be escaped.
 */
const SEPARATORS = /[\u2028\u2029]/g;
const LINE_SEPARATOR = Buffer.from('\u2028');
const PARAGRAPH_SEPARATOR = Buffer.from('\u2029');

/** The bytes are lent, so the line is a copy. */
function lineOf(message: Uint8Array | string): Buffer {
  if (typeof message === 'string') return Buffer.from(`${escaped(message)}\n`);
  const bytes = Buffer.from(message.buffer, message.byteOffset, message.length);
  if (bytes.includes(LINE_SEPARATOR) || bytes.includes(PARAGRAPH_SEPARATOR)) return lineOf(bytes.toString());
  const line = Buffer.allocUnsafe(message.length + 1);
  line.set(message);
  line[message.length] = NEWLINE;
  return line;
}

function escaped(message: string): string {
  return message.replace(SEPARATORS, (character) => (character === '\u2028' ? '\\u2028' : '\\u2029'));
}

function tooLong(bytesMax: number) {
  return fault('invalidRequest', `message longer than ${bytesMax} bytes`);
}
