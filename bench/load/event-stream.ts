/**
 * One open stream of notifications: a session's GET stream or a `subscriptions/listen`, held and listened to.
 *
 * Role: as light as a stream can be on this side, since thousands of them are held by one process. It looks for one text
 * in what arrives; a text that lies across two pieces is found, too.
 */
import { connect, type Socket } from 'node:net';

export interface StreamEvents {
  opened(stream: EventStream): void;
  /** The text was there; `atMs` is when. */
  heard(stream: EventStream, atMs: number): void;
  ended(stream: EventStream, reason: string): void;
}

export class EventStream {
  readonly #socket: Socket;
  readonly #events: StreamEvents;
  readonly #awaited: string;
  #tail = '';
  #isOpen = false;
  #isClosed = false;
  /** Times the text was heard. */
  heardTimes = 0;

  /** `head` is the whole request. */
  constructor(host: string, port: number, head: Buffer, awaited: string, events: StreamEvents) {
    this.#events = events;
    this.#awaited = awaited;
    this.#socket = connect(port, host, () => this.#socket.write(head));
    this.#socket.setNoDelay(true);
    this.#socket.on('data', (chunk: Buffer) => this.#received(chunk.toString('latin1')));
    this.#socket.on('error', (error) => this.#end(error.message));
    this.#socket.on('close', () => this.#end('closed by the server'));
  }

  close(): void {
    this.#isClosed = true;
    this.#socket.destroy();
  }

  #received(text: string): void {
    const nowMs = performance.now();
    const whole = this.#tail + text;
    if (!this.#isOpen) {
      const status = whole.slice(9, 12);
      if (status.length === 3 && status !== '200') this.#end(`opening the stream was answered ${whole.slice(0, 200)}`);
      else if (whole.includes('\r\n\r\n')) {
        this.#isOpen = true;
        this.#events.opened(this);
      }
    }
    let from = 0;
    for (let at = whole.indexOf(this.#awaited); at !== -1; at = whole.indexOf(this.#awaited, from)) {
      from = at + this.#awaited.length;
      this.heardTimes++;
      this.#events.heard(this, nowMs);
    }
    this.#tail = whole.slice(Math.max(from, whole.length - this.#awaited.length));
  }

  #end(reason: string): void {
    if (this.#isClosed) return;
    this.close();
    this.#events.ended(this, reason);
  }
}
