/**
 * What the runtime tells of itself: a log and meters. Implementations: `log.ts` (pino), `meters.ts` (Prometheus text).
 * Meter calls on the hot path only add to numbers; everything else happens at scrape time.
 */
export interface Log {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** How a request ended. */
export type Outcome = 'ok' | 'tool-error' | 'invalid' | 'shed' | 'timeout' | 'cancelled' | 'lost' | 'internal';

export interface Meters {
  /** `method` is a known MCP method name or `other`; `ms` from acceptance to answer. */
  requestFinished(method: string, outcome: Outcome, ms: number): void;
  /** Milliseconds a job waited before it was sent to a worker. */
  queueWaited(ms: number): void;
  /** Jobs in one message to a worker. */
  batchSent(jobs: number): void;
  callerRan(ms: number): void;
  /** `share`: it gave way to a client with fewer; `limit`: of inline calls, of streams; `rate`: a budget of `rateLimits`. */
  shed(reason: 'queue-full' | 'share' | 'draining' | 'limit' | 'rate'): void;
  /** A worker was ended, or has ended, for a `reason` of `dispatch/losses.ts`. `entry` is the culprit's name or `''`. */
  workerLost(reason: string, entry: string): void;
  workerStarted(): void;
  /** A stray error (timer, rejection) that `entry` left behind. */
  strayError(entry: string): void;
  quarantined(entry: string): void;
  httpRefused(status: number): void;
  /** Read at scrape time. `labels` become a fixed label set. */
  gauge(name: string, help: string, read: () => number, labels?: Record<string, string>): void;
  /** A total that only grows, `…_total`. At scrape time `read` visits every series there is. */
  counter(counter: {
    readonly name: string;
    readonly help: string;
    readonly labelNames: readonly string[];
    readonly read: (visit: (labels: Record<string, string>, value: number) => void) => void;
  }): void;
  /** Prometheus text exposition. */
  render(): Promise<string>;
}

/** Readiness as the operations endpoints report it. */
export interface Health {
  readonly status: 'starting' | 'running' | 'draining' | 'stopping';
  /** Parts that hurt but do not stop service; empty when all is well. */
  readonly degraded: readonly string[];
}
