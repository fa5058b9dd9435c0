/**
 * The result cache of many nodes: memory first, then Redis (`redis-scripts.ts` says what is there).
 *
 * Role: what one node has computed is served by all, and while one computes the others wait. Whoever looks and finds
 * nothing leads the flight of the key under a lease; whoever finds it led waits, and has the leader tell all nodes when
 * it is over. If that message is lost, looking again when the lease runs out finds the result.
 * A generation rises with every invalidation, for ever; a result of another generation than the present one reads as
 * absent, so that nothing has to be searched and deleted. A flight lost in a failover is entered again by its leader
 * when that is connected again, or renews; a call that begins elsewhere before that runs beside it. Other nodes hear of
 * an invalidation over pub/sub; when messages may have been missed, the memory level is emptied.
 * Invariants: without Redis the memory level goes on and nothing waits; no answer here ever rejects; a miss that nobody
 * else waits for costs two commands, the look and the landing.
 */
import { randomBytes } from 'node:crypto';
import type { Log } from '../observe/port.ts';
import type { RedisArgument, RedisConnection } from '../redis/connection.ts';
import { pack, unpack } from '../redis/packed.ts';
import type { Script } from '../redis/script.ts';
import type { RedisSubscriber } from '../redis/subscriber.ts';
import { Invalidations } from './invalidations.ts';
import { LedFlights, RENEWALS } from './led-flights.ts';
import { Look } from './look.ts';
import { MemoryResultCache } from './memory-cache.ts';
import { type CachedResult, RESULT_TTL_MS_MAX, type ResultCache } from './port.ts';
import { GIVE_BACK, LAND, LOOK } from './redis-scripts.ts';

/** How long a flight outlives a node that is gone. */
export const FLIGHT_LEASE_MS = 3_000;
/** Remembered for longer than any result. */
const GENERATION_TTL_MS = 2 * RESULT_TTL_MS_MAX;
/** Who waits looks again no sooner, unless it is told; and not all at the same moment. */
const LOOK_AGAIN_MS_MIN = 50;
const LOOK_AGAIN_SPREAD = 0.25;
const VERSION = 1;

type Reply =
  | { readonly kind: 'kept'; readonly result: CachedResult }
  | { readonly kind: 'led'; readonly token: string; readonly leftMs: number }
  /** Redis has no trace of the flight that is waited for: whoever leads makes it again. */
  | { readonly kind: 'lost' }
  /** By the look itself, from now on. */
  | { readonly kind: 'free' }
  /** An invalidation, which comes on another connection, has overtaken the reply. */
  | { readonly kind: 'overtaken' };

const FREE: Reply = Object.freeze({ kind: 'free' });
const LOST: Reply = Object.freeze({ kind: 'lost' });
const OVERTAKEN: Reply = Object.freeze({ kind: 'overtaken' });

export interface RedisCacheOptions {
  readonly commands: RedisConnection;
  readonly subscriber: RedisSubscriber;
  readonly prefix: string;
  readonly resultsMax: number;
  readonly bytesMax: number;
  /** Of a flight; renewed while it lasts. */
  readonly leaseMs: number;
  /** Monotonic milliseconds. */
  readonly now: () => number;
  readonly log: Pick<Log, 'warn'>;
}

export class RedisResultCache implements ResultCache {
  readonly #options: RedisCacheOptions;
  readonly #memory: MemoryResultCache;
  readonly #channel: string;
  readonly #unsubscribe: readonly (() => void)[];
  readonly #invalidations: Invalidations;
  /** By key; as many as there are flights in `cached-calls.ts`. */
  readonly #looks = new Map<string, Look>();
  readonly #led: LedFlights;
  /** Start of all tokens of this node. */
  readonly #tokens = randomBytes(9).toString('base64url');
  #lookNumber = 0;
  #closed = false;

  constructor(options: RedisCacheOptions) {
    this.#options = options;
    this.#memory = new MemoryResultCache(options);
    this.#led = new LedFlights({
      ...options,
      rowOf: ({ key, tool }) => this.#keys(tool, key)[0],
      generationKeyOf: (tool) => this.#generationKey(tool),
      renewedTooLate: (look) => this.#giveBack(look),
    });
    this.#invalidations = new Invalidations({
      ...options,
      ttlMs: GENERATION_TTL_MS,
      keyOf: (tool) => this.#generationKey(tool),
      raised: (tool, generation) => this.#raised(tool, generation),
      failed: (tool) => this.#wakeTool(tool),
    });
    this.#channel = `${options.prefix}cache:changes`;
    this.#unsubscribe = [
      options.subscriber.on(this.#channel, (message) => this.#heard(message)),
      options.commands.onChange((up) => (up ? this.#back() : this.#wakeAll())),
    ];
  }

  get size(): number {
    return this.#memory.size;
  }

  get(tool: string, key: string): CachedResult | undefined | Promise<CachedResult | undefined> {
    const known = this.#memory.get(tool, key);
    if (known !== undefined || !this.#canAsk(tool)) return known;
    // Whoever has not ended an earlier look would wait for itself.
    this.release(key);
    this.#lookNumber += 1;
    const look = new Look(tool, key, `${this.#tokens}.${this.#lookNumber.toString(36)}`);
    this.#looks.set(key, look);
    return this.#find(look);
  }

  generation(tool: string): number {
    return this.#memory.generation(tool);
  }

  set(tool: string, key: string, resultJson: string, ttlMs: number, generation: number): void {
    const keptMs = Math.min(ttlMs, RESULT_TTL_MS_MAX);
    this.#memory.set(tool, key, resultJson, keptMs, generation);
    const look = this.#end(key);
    if (keptMs <= 0 || !this.#options.commands.up) return;
    const token = look === undefined ? '' : look.token;
    this.#tellOver(LAND, tool, key, [generation, pack(VERSION, resultJson), keptMs, token]);
  }

  release(key: string): void {
    const look = this.#end(key);
    if (look === undefined) return;
    look.gone = true;
    if (look.isLeading) this.#giveBack(look);
    else look.wake();
  }

  invalidate(tool: string): void {
    this.#memory.invalidate(tool);
    this.#invalidations.tell(tool);
  }

  /** Messages may have been missed. */
  gap(): void {
    this.#memory.clear();
    for (const look of this.#looks.values()) look.wakeIn(Math.random() * LOOK_AGAIN_SPREAD * this.#options.leaseMs);
  }

  close(): void {
    this.#closed = true;
    for (const unsubscribe of this.#unsubscribe) unsubscribe();
    this.#invalidations.close();
    this.#led.close();
    this.#wakeAll();
    this.#memory.close();
  }

  #canAsk(tool: string): boolean {
    return this.#options.commands.up && !this.#invalidations.isUntold(tool) && !this.#closed;
  }

  async #find(look: Look): Promise<CachedResult | undefined> {
    try {
      while (this.#canAsk(look.tool)) {
        const reply = await this.#ask(look);
        if (reply.kind === 'kept') {
          this.#end(look.key, look);
          return reply.result;
        }
        if (reply.kind === 'free') break;
        if (reply.kind === 'led') {
          if (!look.follows(reply.token, this.#options.now() + reply.leftMs)) break;
          await look.pause(this.#lookAgainMs(reply.leftMs));
        } else if (reply.kind === 'lost') await look.pause(this.#lookForLostMs(look));
        if (look.gone) return undefined;
      }
    } catch {
      // Redis went away on the way: the tool is called, as if nothing had been kept. The flight may be reserved all the
      // same, and is given back like any other.
      return this.#lead(look);
    }
    return this.#lead(look);
  }

  async #ask(look: Look): Promise<Reply> {
    const { commands, leaseMs, now } = this.#options;
    const { key, token, tool } = look;
    const before = this.#memory.generation(tool);
    look.leasedAtMs = now();
    const args = [token, leaseMs, look.asks(look.leasedAtMs) ? 1 : 0];
    const reply = (await commands.script(LOOK, this.#keys(tool, key), args)) as readonly unknown[];
    const generation = Number(String(reply[0]));
    look.generation = generation;
    const known = this.#memory.generation(tool);
    if (known !== before && generation < known) return OVERTAKEN;
    this.#memory.enter(tool, generation);
    const leftMs = Number(reply[3]);
    if (reply.length === 1) return FREE;
    if (reply.length === 2) return LOST;
    if (String(reply[1]) === 'led') return { kind: 'led', token: String(reply[2]), leftMs };
    const resultJson = unpack(VERSION, reply[2]);
    // Of a version that is not known here: the call is made, and its result takes the place of the other.
    if (typeof resultJson !== 'string' || !(leftMs > 0)) return FREE;
    this.#memory.set(tool, key, resultJson, leftMs, generation);
    return { kind: 'kept', result: { resultJson, ttlMs: leftMs } };
  }

  /** A lease that was not renewed has run out by then. */
  #lookAgainMs(leftMs: number): number {
    return Math.max(LOOK_AGAIN_MS_MIN, leftMs) + Math.random() * LOOK_AGAIN_SPREAD * this.#options.leaseMs;
  }

  /** By then whoever leads has renewed its lease, or it is over. */
  #lookForLostMs(look: Look): number {
    const { leaseMs, now } = this.#options;
    return Math.max(LOOK_AGAIN_MS_MIN, Math.min(look.trustMs(now()), leaseMs / RENEWALS));
  }

  #lead(look: Look): undefined {
    if (look.gone) {
      this.#giveBack(look);
      return;
    }
    look.isLeading = true;
    if (!this.#closed) this.#led.add(look);
  }

  /** Takes the look of a key away, if it is this one. */
  #end(key: string, only?: Look): Look | undefined {
    const look = this.#looks.get(key);
    if (look === undefined || (only !== undefined && look !== only)) return undefined;
    this.#looks.delete(key);
    this.#led.delete(look);
    return look;
  }

  #giveBack({ key, token, tool }: Look): void {
    this.#tellOver(GIVE_BACK, tool, key, [token]);
  }

  /** Redis hears what became of a flight, and the nodes that wait for it, if there are any. */
  #tellOver(script: Script, tool: string, key: string, args: readonly RedisArgument[]): void {
    const { commands } = this.#options;
    if (!commands.up) return;
    commands
      .script(script, this.#keys(tool, key), args)
      .then((waitedFor) => (waitedFor === 1 ? this.#publish(tool, key) : undefined))
      // Redis went away: the lease runs out, and the call is made again elsewhere, as it is where nothing is kept.
      .catch(() => undefined);
  }

  #back(): void {
    this.#invalidations.tellAgain();
    this.#led.renewAll();
  }

  #wakeAll(): void {
    for (const look of this.#looks.values()) look.wake();
  }

  #wakeTool(tool: string): void {
    for (const look of this.#looks.values()) if (look.tool === tool) look.wake();
  }

  #raised(tool: string, generation: number): Promise<unknown> {
    this.#memory.enter(tool, generation);
    this.#wakeTool(tool);
    return this.#publish(tool, generation);
  }

  /** A generation of the tool, or the key of a flight of it that is over. */
  #publish(tool: string, what: number | string): Promise<unknown> {
    const { commands, subscriber } = this.#options;
    return commands.command(subscriber.publishCommand, this.#channel, pack(VERSION, [tool, what]));
  }

  #heard(message: Buffer): void {
    const told = unpack(VERSION, message);
    if (!Array.isArray(told) || typeof told[0] !== 'string') return;
    const [tool, what]: unknown[] = told;
    if (typeof what === 'string') this.#looks.get(what)?.over();
    if (typeof what !== 'number') return;
    if (what > this.#memory.generation(tool as string)) this.#memory.enter(tool as string, what);
    // Whoever leads a flight of an earlier generation finds nothing that could be served.
    this.#wakeTool(tool as string);
  }

  #keys(tool: string, key: string): readonly [string, string] {
    return [`${this.#options.prefix}cache:{${tool}}:${key}`, this.#generationKey(tool)];
  }

  #generationKey(tool: string): string {
    return `${this.#options.prefix}cache:{${tool}}:gen`;
  }
}
