/**
 * The few Redis commands the shop needs, over one connection, pipelined.
 *
 * Role: the same client for millrace's tools and the peers', so that no figure is a comparison of Redis clients. It
 * speaks RESP2: commands as arrays of strings, replies as numbers, strings, null or arrays.
 */
import { connect, type Socket } from 'node:net';

export type RedisReply = number | string | null | RedisReply[];

interface Waiting {
  readonly resolve: (reply: RedisReply) => void;
  readonly reject: (error: Error) => void;
}

/** Thrown away and read again from the start when the reply is not whole yet. */
const INCOMPLETE = Symbol('incomplete');

export class RedisClient {
  readonly #socket: Socket;
  readonly #waiting: Waiting[] = [];
  #held: Buffer = Buffer.alloc(0);
  #at = 0;

  constructor(port: number) {
    this.#socket = connect(port, '127.0.0.1');
    this.#socket.setNoDelay(true);
    this.#socket.on('data', (chunk: Buffer) => this.#received(chunk));
    this.#socket.on('error', (error) => this.#fail(error));
    this.#socket.on('close', () => this.#fail(new Error('Redis closed the connection')));
  }

  call(...command: readonly (string | number)[]): Promise<RedisReply> {
    const parts = command.map((part) => `$${Buffer.byteLength(String(part))}\r\n${part}\r\n`);
    this.#socket.write(`*${command.length}\r\n${parts.join('')}`);
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  close(): void {
    this.#socket.destroy();
  }

  #fail(error: Error): void {
    for (const { reject } of this.#waiting.splice(0)) reject(error);
  }

  #received(chunk: Buffer): void {
    this.#held = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk]);
    for (this.#at = 0; this.#at < this.#held.length; ) {
      const start = this.#at;
      const reply = this.#read();
      if (reply === INCOMPLETE) {
        this.#held = this.#held.subarray(start);
        return;
      }
      const waiting = this.#waiting.shift();
      if (reply instanceof Error) waiting?.reject(reply);
      else waiting?.resolve(reply);
    }
    this.#held = Buffer.alloc(0);
  }

  #read(): RedisReply | Error | typeof INCOMPLETE {
    const lineEnd = this.#held.indexOf('\r\n', this.#at);
    if (lineEnd === -1) return INCOMPLETE;
    const kind = this.#held[this.#at];
    const line = this.#held.toString('utf8', this.#at + 1, lineEnd);
    this.#at = lineEnd + 2;
    if (kind === 0x2b) return line;
    if (kind === 0x2d) return new Error(line);
    if (kind === 0x3a) return Number(line);
    const count = Number(line);
    if (count < 0) return null;
    return kind === 0x24 ? this.#readText(count) : this.#readArray(count);
  }

  #readText(bytes: number): string | typeof INCOMPLETE {
    const end = this.#at + bytes;
    if (end + 2 > this.#held.length) return INCOMPLETE;
    const text = this.#held.toString('utf8', this.#at, end);
    this.#at = end + 2;
    return text;
  }

  #readArray(count: number): RedisReply[] | Error | typeof INCOMPLETE {
    const items: RedisReply[] = [];
    while (items.length < count) {
      const item = this.#read();
      if (item === INCOMPLETE || item instanceof Error) return item;
      items.push(item);
    }
    return items;
  }
}
