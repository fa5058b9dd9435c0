/**
 * Tells Redis, and through it the other nodes, that what is kept of a tool is out of date, until they have heard it.
 *
 * Role: remembers the tools whose invalidation is under way or failed: what Redis holds of them is not to be served, and
 * no flight of them to be waited for. What failed is told again when the connection is back, or after `RETRY_MS` where
 * it stands.
 */
import type { Log } from '../observe/port.ts';
import type { RedisConnection } from '../redis/connection.ts';
import { INVALIDATE } from './redis-scripts.ts';

/** Tools whose invalidation is repeated until it succeeds. */
const UNTOLD_MAX = 10_000;
const RETRY_MS = 1_000;

export interface InvalidationsOptions {
  readonly commands: RedisConnection;
  /** Of a generation in Redis. */
  readonly ttlMs: number;
  readonly keyOf: (tool: string) => string;
  /** Redis has heard it; the other nodes are to be told this generation. */
  readonly raised: (tool: string, generation: number) => Promise<unknown>;
  readonly failed: (tool: string) => void;
  readonly log: Pick<Log, 'warn'>;
}

export class Invalidations {
  readonly #options: InvalidationsOptions;
  readonly #untold = new Set<string>();
  #retry: NodeJS.Timeout | null = null;
  #closed = false;

  constructor(options: InvalidationsOptions) {
    this.#options = options;
  }

  /** Whether Redis may not know of one yet. */
  isUntold(tool: string): boolean {
    return this.#untold.has(tool);
  }

  tell(tool: string): void {
    this.#remember(tool);
    this.#try(tool);
  }

  tellAgain(): void {
    for (const tool of this.#untold) this.#try(tool);
  }

  close(): void {
    this.#closed = true;
    if (this.#retry !== null) clearTimeout(this.#retry);
  }

  #remember(tool: string): void {
    if (this.#untold.size < UNTOLD_MAX) this.#untold.add(tool);
  }

  #try(tool: string): void {
    const { commands, failed, log } = this.#options;
    this.#raise(tool).catch((cause: unknown) => {
      if (this.#closed) return;
      this.#remember(tool);
      failed(tool);
      // When the connection was lost, its return tells them again.
      if (commands.up) this.#retry ??= setTimeout(() => this.#retryNow(), RETRY_MS).unref();
      log.warn(
        { err: cause, tool, redis: commands.address },
        'other nodes were not told yet to forget the results of a tool',
      );
    });
  }

  #retryNow(): void {
    this.#retry = null;
    if (this.#options.commands.up) this.tellAgain();
  }

  async #raise(tool: string): Promise<void> {
    const { commands, keyOf, raised, ttlMs } = this.#options;
    const generation = Number(String(await commands.script(INVALIDATE, [keyOf(tool)], [ttlMs])));
    this.#untold.delete(tool);
    await raised(tool, generation);
  }
}
