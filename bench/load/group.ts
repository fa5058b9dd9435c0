/**
 * The connections of one load group and when each sends: as fast as answers come, or by the clock.
 *
 * Role: the own client's two loops. In the open loop request k is due at start + k / rate whatever happened before; its
 * latency counts from then, so a server (or a client) that stalls cannot hide the requests it delayed. A request that
 * is due while every connection is busy waits for the next free one; if there is none until the end, what it has waited
 * by then is its latency. So it is of one that has left and was never answered.
 * Invariant: at most one request is on its way per connection.
 */
import { type Connection, type ConnectionEvents, HttpConnection, WebSocketConnection } from './connection.ts';
import { FreeList } from './free-list.ts';
import { goodBody } from './good-answer.ts';
import type { GroupReport, LoadGroup } from './job.ts';
import { Tally } from './tally.ts';

export class GroupRun implements ConnectionEvents {
  readonly #group: LoadGroup;
  readonly #tally: Tally;
  readonly #connections: Connection[] = [];
  readonly #idle = new FreeList<Connection>();
  readonly #now: () => number;
  readonly #periodMs: number;
  #startMs = 0;
  #elapsedMs = 0;
  #issued = 0;
  #opened = 0;
  #running = false;
  #whenOpen: (() => void) | null = null;

  constructor(url: URL, group: LoadGroup, durationMs: number, now: () => number) {
    this.#group = group;
    this.#now = now;
    this.#periodMs = group.ratePerSecond > 0 ? 1000 / group.ratePerSecond : 0;
    this.#tally = new Tally(goodBody(group), durationMs);
    for (let i = 0; i < group.connections; i++) this.#connections.push(this.#connection(url, i));
  }

  #connection(url: URL, index: number): Connection {
    const { pieceBytes, pieceMs, requests, transport } = this.#group;
    const request = requests[index % requests.length];
    if (request === undefined) throw new Error(`load group ${this.#group.name} has no request to send`);
    return transport === 'websocket'
      ? new WebSocketConnection(url, this, request)
      : new HttpConnection(url, this, request, pieceBytes, pieceMs);
  }

  get isOpenLoop(): boolean {
    return this.#periodMs > 0;
  }

  get isCoarse(): boolean {
    return this.#group.pacing === 'coarse';
  }

  /** Opens connections `from` to `to`; more at once than a server's backlog would only measure the backlog. */
  openSome(from: number, to: number): void {
    for (const connection of this.#connections.slice(from, to)) connection.open();
  }

  get size(): number {
    return this.#connections.length;
  }

  /** Resolves when `count` connections have been usable once. */
  async openedAtLeast(count: number): Promise<void> {
    while (this.#opened < count) {
      await new Promise<void>((resolve) => {
        this.#whenOpen = resolve;
      });
    }
  }

  start(): void {
    this.#running = true;
    this.#startMs = this.#now();
    if (this.isOpenLoop) return;
    for (const connection of this.#idle.takeAll()) if (connection.ready) this.#send(connection, this.#now());
  }

  /** The open loop's clock starts anew: what a cold server left undone in the warm-up is not part of the measurement. */
  beginMeasuring(nowMs: number): void {
    this.#tally.begin(nowMs);
    this.#startMs = nowMs;
    this.#issued = 0;
  }

  /** Open loop: sends what is due; gives the time of the next, for the pacer. */
  pump(nowMs: number): number {
    let dueMs = this.#startMs + this.#issued * this.#periodMs;
    while (dueMs <= nowMs && this.#running) {
      const connection = this.#idle.take();
      if (connection === undefined) return nowMs + 1;
      // Lost while it was idle, or listed twice since it was opened again.
      if (!connection.ready || connection.busy) continue;
      this.#issued++;
      this.#tally.sentLate((nowMs - dueMs) * 1000, nowMs);
      this.#send(connection, dueMs);
      dueMs = this.#startMs + this.#issued * this.#periodMs;
    }
    return dueMs;
  }

  /** Nothing new is sent; what was due and has not left is counted. */
  stop(): void {
    const nowMs = this.#now();
    if (this.isOpenLoop) this.pump(nowMs);
    this.#running = false;
    this.#elapsedMs = nowMs - this.#startMs;
    if (!this.isOpenLoop) return;
    const unsent = Math.floor(this.#elapsedMs / this.#periodMs) + 1 - this.#issued;
    if (unsent <= 0) return;
    const oldestMs = this.#elapsedMs - this.#issued * this.#periodMs;
    this.#tally.neverSent(unsent, oldestMs * 1000, this.#periodMs * 1000);
  }

  get onTheWay(): number {
    return this.#connections.filter((connection) => connection.busy).length;
  }

  get drainMs(): number {
    return this.#tally.drainMs;
  }

  /** What is still on its way is lost, except where the run was `cutOff` before its time. */
  finish(cutOff: boolean): GroupReport {
    if (!cutOff) {
      for (const { busy, startedMs } of this.#connections) {
        if (busy) this.#tally.neverAnswered(Math.max(startedMs, this.#startMs), this.#now());
      }
    }
    return this.#tally.report(this.#group.name, this.#elapsedMs, this.isOpenLoop ? 0 : this.size);
  }

  close(): void {
    for (const connection of this.#connections) connection.close();
  }

  opened(connection: Connection): void {
    this.#opened++;
    this.#whenOpen?.();
    this.#free(connection);
  }

  answered(connection: Connection, status: number, body: Buffer): void {
    const nowMs = this.#now();
    const { startedMs } = connection;
    // Due in the warm-up: its latency is not of the time that is measured.
    if (!this.isOpenLoop || startedMs >= this.#startMs) {
      this.#tally.answered(startedMs, nowMs, status, body, this.#running);
    }
    // One that the server has closed is free again once it is open again.
    if (connection.ready) this.#free(connection);
  }

  lost(_connection: Connection, reason: string): void {
    this.#tally.lost(this.#now(), reason);
  }

  #free(connection: Connection): void {
    if (this.isOpenLoop || !this.#running) {
      this.#idle.give(connection);
      if (this.#running) this.pump(this.#now());
    } else if (this.#group.thinkMs > 0) {
      setTimeout(() => {
        if (this.#running && connection.ready && !connection.busy) this.#send(connection, this.#now());
      }, this.#group.thinkMs);
    } else this.#send(connection, this.#now());
  }

  #send(connection: Connection, startedMs: number): void {
    connection.startedMs = startedMs;
    connection.send();
  }
}
