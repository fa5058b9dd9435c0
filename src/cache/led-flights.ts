/**
 * The flights that this node leads for all nodes: their leases are renewed while they last.
 *
 * Role: one timer for all of them, that stops when there are none. A flight that is over before a third of its lease
 * costs no command. Those of one tool share a hash tag, and go together. When the connection was lost all are renewed at
 * once: a replica that took over may not know of them.
 * Invariants: a node that dies, is cut off or stands still renews nothing, and others lead after the lease; what others
 * have taken in that way is not taken back. A flight of which Redis has no trace is made again, unless it is over.
 */
import type { RedisConnection } from '../redis/connection.ts';
import { RedisUnavailable } from '../redis/unavailable.ts';
import type { Look } from './look.ts';
import { RENEW } from './redis-scripts.ts';

/** Within a lease. */
export const RENEWALS = 3;
/** Of one command. */
const RENEWED_AT_ONCE_MAX = 100;

export interface LedFlightsOptions {
  readonly commands: RedisConnection;
  readonly leaseMs: number;
  readonly rowOf: (look: Look) => string;
  readonly generationKeyOf: (tool: string) => string;
  /** It was over before it was renewed. */
  readonly renewedTooLate: (look: Look) => void;
  /** Monotonic milliseconds. */
  readonly now: () => number;
}

export class LedFlights {
  readonly #options: LedFlightsOptions;
  readonly #led = new Set<Look>();
  #timer: NodeJS.Timeout | null = null;
  #renewing = false;

  constructor(options: LedFlightsOptions) {
    this.#options = options;
  }

  add(look: Look): void {
    this.#led.add(look);
    this.#timer ??= setInterval(() => void this.#tick(), Math.max(1, this.#options.leaseMs / RENEWALS)).unref();
  }

  delete(look: Look): void {
    this.#led.delete(look);
  }

  /** The connection is back. */
  renewAll(): void {
    for (const look of this.#led) look.leasedAtMs = Number.NEGATIVE_INFINITY;
    void this.#tick();
  }

  close(): void {
    this.#led.clear();
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
  }

  async #tick(): Promise<void> {
    const { commands, leaseMs, now } = this.#options;
    if (this.#led.size === 0) this.close();
    if (this.#renewing || !commands.up) return;
    const dueAtMs = now() - leaseMs / RENEWALS;
    const due = new Map<string, Look[]>();
    for (const look of this.#led) {
      if (look.leasedAtMs > dueAtMs) continue;
      const ofTool = due.get(look.tool);
      if (ofTool === undefined) due.set(look.tool, [look]);
      else ofTool.push(look);
    }
    this.#renewing = true;
    try {
      await Promise.all([...due.values()].flatMap((looks) => this.#renewAll(looks)));
    } catch (cause) {
      // Redis went away: what could not be renewed is due at the next tick, if it still stands then.
      if (!(cause instanceof RedisUnavailable)) throw cause;
    } finally {
      this.#renewing = false;
    }
  }

  #renewAll(looks: readonly Look[]): readonly Promise<void>[] {
    const commands: Promise<void>[] = [];
    for (let from = 0; from < looks.length; from += RENEWED_AT_ONCE_MAX) {
      commands.push(this.#renew(looks.slice(from, from + RENEWED_AT_ONCE_MAX)));
    }
    return commands;
  }

  async #renew(looks: readonly Look[]): Promise<void> {
    const { commands, generationKeyOf, leaseMs, now, renewedTooLate, rowOf } = this.#options;
    const askedAtMs = now();
    const keys = [generationKeyOf((looks[0] as Look).tool), ...looks.map(rowOf)];
    const flights = looks.flatMap(({ generation, token }) => [token, generation]);
    const stand = (await commands.script(RENEW, keys, [leaseMs, ...flights])) as readonly number[];
    looks.forEach((look, at) => {
      if (stand[at] !== 1) this.delete(look);
      else if (this.#led.has(look)) look.leasedAtMs = askedAtMs;
      else renewedTooLate(look);
    });
  }
}
