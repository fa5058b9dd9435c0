/**
 * Reads server-sent events from chunks of bytes or text, wherever they were cut.
 *
 * Role: for tests that look at streams with their own eyes. Comments are counted, so that keep-alives can be seen.
 */
export interface ServerEvent {
  readonly id: string | undefined;
  readonly event: string;
  readonly data: string;
}

export class EventReader {
  comments = 0;
  /** Last `retry` field seen. */
  retryMs: number | undefined;
  readonly #decoder = new TextDecoder('utf-8', { fatal: true });
  readonly #onEvent: (event: ServerEvent) => void;
  #rest = '';
  #id: string | undefined;
  #event = 'message';
  #data: string[] = [];

  constructor(onEvent: (event: ServerEvent) => void) {
    this.#onEvent = onEvent;
  }

  push(chunk: Uint8Array): void {
    const lines = (this.#rest + this.#decoder.decode(chunk, { stream: true })).split(/\r\n|\n/);
    this.#rest = lines.pop() ?? '';
    for (const line of lines) this.#line(line);
  }

  #line(line: string): void {
    if (line === '') {
      this.#dispatch();
      return;
    }
    if (line.startsWith(':')) {
      this.comments += 1;
      return;
    }
    const colon = line.indexOf(':');
    const name = colon === -1 ? line : line.slice(0, colon);
    const value = colon === -1 ? '' : line.slice(colon + 1).replace(/^ /, '');
    if (name === 'data') this.#data.push(value);
    else if (name === 'id') this.#id = value;
    else if (name === 'event') this.#event = value;
    else if (name === 'retry') this.retryMs = Number(value);
    else throw new Error(`a server-sent event has a field ${name}`);
  }

  #dispatch(): void {
    if (this.#data.length > 0) this.#onEvent({ id: this.#id, event: this.#event, data: this.#data.join('\n') });
    this.#data = [];
    this.#event = 'message';
    this.#id = undefined;
  }
}
