/**
 * A load that does not wait for answers: requests leave at a steady rate, whatever becomes of them.
 *
 * Role: for overload tests. Latency is counted from the moment a request was due, so a stalled server cannot hide.
 */
import { Agent, request } from 'node:http';
import { setTimeout as delay, setImmediate as turn } from 'node:timers/promises';
import { callHeaders, callText } from './post.ts';

/** Requests of a load that is behind its time which are made before anything else is done. */
const BEHIND_MAX = 16;

export interface Outcome {
  readonly status: number;
  readonly retryAfter: string | undefined;
  readonly text: string;
  /** From due to answered. */
  readonly ms: number;
}

export class Load {
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 2000 });
  readonly #url: URL;
  readonly #headers: Readonly<Record<string, string>>;

  constructor(url: string, headers: Readonly<Record<string, string>> = {}) {
    this.#url = new URL(url);
    this.#headers = headers;
  }

  call(tool: string, argumentsText: string, dueMs = performance.now()): Promise<Outcome> {
    const body = callText(tool, argumentsText);
    const headers = { ...callHeaders(tool), 'content-length': String(Buffer.byteLength(body)), ...this.#headers };
    return new Promise((resolve, reject) => {
      const call = request(this.#url, { method: 'POST', agent: this.#agent, headers }, (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (part: string) => {
          text += part;
        });
        response.on('end', () => {
          const ms = performance.now() - dueMs;
          resolve({ status: response.statusCode ?? 0, retryAfter: response.headers['retry-after'], text, ms });
        });
      });
      call.on('error', reject);
      call.end(body);
    });
  }

  /** So many callers, each of which calls again as soon as it was answered; for longer where each has made fewer calls. */
  async closedLoop(
    callers: number,
    forMs: number,
    tool: string,
    argumentsText: string,
    callsMin = 0,
  ): Promise<Outcome[]> {
    const outcomes: Outcome[] = [];
    const until = performance.now() + forMs;
    const caller = async (): Promise<void> => {
      for (let calls = 0; calls < callsMin || performance.now() < until; calls++) {
        outcomes.push(await this.call(tool, argumentsText));
      }
    };
    await Promise.all(Array.from({ length: callers }, caller));
    return outcomes;
  }

  /** Ends early when `isOver`. */
  async openLoop(
    perSecond: number,
    forMs: number,
    tool: string,
    argumentsText: string,
    isOver = (): boolean => false,
  ): Promise<Outcome[]> {
    const pending: Promise<Outcome>[] = [];
    const begun = performance.now();
    const total = Math.floor((perSecond * forMs) / 1000);
    while (pending.length < total && !isOver()) {
      const due = begun + (pending.length * 1000) / perSecond;
      if (performance.now() < due) await delay(1);
      else if (pending.push(this.call(tool, argumentsText, due)) % BEHIND_MAX === 0) await turn();
    }
    return Promise.all(pending);
  }

  close(): void {
    this.#agent.destroy();
  }
}

export function percentile(values: readonly number[], part: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN;
}
