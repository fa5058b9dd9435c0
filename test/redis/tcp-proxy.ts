/**
 * A TCP proxy of a test's own, which makes a network hurt: late, silent, cut, or not there.
 *
 * What a black hole swallows is delivered when it is healed, as TCP would send it again; `lose` makes connections that
 * stay silent for ever, as when a firewall forgets them.
 */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { freePort } from './redis-process.ts';

const STARTS_MAX = 5;

interface Pair {
  readonly near: Socket;
  readonly far: Socket;
  lost: boolean;
}

export class TcpProxy {
  /** Added to each direction. */
  delayMs = 0;
  readonly #upstreamPort: number;
  readonly #pairs = new Set<Pair>();
  /** Under way, oldest first. */
  readonly #late = new Map<NodeJS.Timeout, () => void>();
  #server: Server | null = null;
  #port = 0;
  #isBlackHole = false;
  #holdsAnswers = false;
  /** Bytes held back, oldest first. */
  #held: (() => void)[] = [];

  constructor(upstreamPort: number) {
    this.#upstreamPort = upstreamPort;
  }

  static async start(upstreamPort: number): Promise<TcpProxy> {
    const proxy = new TcpProxy(upstreamPort);
    await proxy.accept();
    return proxy;
  }

  get port(): number {
    return this.#port;
  }

  /** Pieces that are held back now. */
  get heldPieces(): number {
    return this.#held.length;
  }

  /** Nothing gets through in either direction, and no connection ends, until `heal`. New ones are taken, and silent. */
  blackHole(): void {
    this.#isBlackHole = true;
  }

  /** What is asked gets through, what is answered does not, until `heal`. */
  holdAnswers(): void {
    this.#holdsAnswers = true;
  }

  /** The connections that exist now stay silent for ever. New ones work. */
  lose(): void {
    for (const pair of this.#pairs) pair.lost = true;
  }

  /** Ends the connections that exist now. */
  cut(): void {
    for (const { far, near } of this.#pairs) {
      near.destroy();
      far.destroy();
    }
  }

  /** Ends the connections that exist now, and no new one comes up until `accept`. */
  async refuse(): Promise<void> {
    const server = this.#server;
    this.#server = null;
    this.cut();
    if (server === null) return;
    server.close();
    await once(server, 'close');
  }

  async accept(): Promise<void> {
    if (this.#server !== null) return;
    for (let attempt = 1; this.#server === null; attempt++) {
      const server = createServer((near) => this.#take(near));
      server.listen(this.#port === 0 ? await freePort() : this.#port, '127.0.0.1');
      try {
        await once(server, 'listening');
      } catch (error) {
        // Another test may have found it free as well.
        if (this.#port !== 0 || attempt === STARTS_MAX) throw error;
        continue;
      }
      this.#port = (server.address() as AddressInfo).port;
      this.#server = server;
    }
  }

  heal(): void {
    this.#isBlackHole = false;
    this.#holdsAnswers = false;
    this.delayMs = 0;
    for (const deliver of this.#held.splice(0)) deliver();
    for (const [timer, deliver] of this.#late) {
      clearTimeout(timer);
      deliver();
    }
    this.#late.clear();
  }

  async end(): Promise<void> {
    await this.refuse();
    for (const timer of this.#late.keys()) clearTimeout(timer);
  }

  #take(near: Socket): void {
    const far = connect(this.#upstreamPort, '127.0.0.1');
    const pair: Pair = { near, far, lost: false };
    this.#pairs.add(pair);
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      from.on('data', (chunk: Buffer) => {
        const deliver = (): void => void to.write(chunk);
        if (this.#holdsAnswers && from === far) this.#held.push(deliver);
        else this.#pass(pair, deliver);
      });
      from.on('end', () => this.#pass(pair, () => to.end()));
      from.on('error', () => to.destroy());
      from.on('close', () => {
        if (from.destroyed && to.destroyed) this.#pairs.delete(pair);
        if (pair.lost) to.destroy();
        else this.#pass(pair, () => to.destroy());
      });
    }
  }

  /** In order: what comes after something late is as late as that. */
  #pass(pair: Pair, deliver: () => void): void {
    if (pair.lost) return;
    if (this.#isBlackHole) {
      this.#held.push(deliver);
      return;
    }
    if (this.delayMs === 0) {
      deliver();
      return;
    }
    const timer = setTimeout(() => {
      this.#late.delete(timer);
      if (this.#isBlackHole) this.#held.push(deliver);
      else deliver();
    }, this.delayMs);
    this.#late.set(timer, deliver);
  }
}
