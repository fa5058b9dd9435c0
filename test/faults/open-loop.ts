/**
 * Loads that are too much: at a steady rate whatever becomes of the calls, or as a multiple of what is done, which is
 * the same overload on every machine.
 *
 * Role: for overload tests. Latency is counted from the moment a request was due, so a stalled server cannot hide; what
 * must not depend on the machine's speed is counted in calls that were done meanwhile.
 */
import { Agent, request } from 'node:http';
import { setTimeout as delay, setImmediate as turn } from 'node:timers/promises';
import { callHeaders, callText } from './post.ts';

/** Requests of a load that is behind its time which are made before anything else is done. */
const BEHIND_MAX = 16;

export interface Outcome {
  readonly status: number;
  /** It has a result. */
  readonly isDone: boolean;
  readonly retryAfter: string | undefined;
  readonly text: string;
  /** From due to answered. */
  readonly ms: number;
  /** Calls done from when it left until its own answer, of all loads that share a count. */
  readonly doneMeanwhile: number;
}

export interface Call {
  readonly tool: string;
  readonly argumentsText: string;
}

export class Load {
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 2000 });
  readonly #url: URL;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #done: { count: number };

  /** `done`: counts the calls that have a result. */
  constructor(url: string, headers: Readonly<Record<string, string>> = {}, done = { count: 0 }) {
    this.#url = new URL(url);
    this.#headers = headers;
    this.#done = done;
  }

  call(tool: string, argumentsText: string, dueMs = performance.now()): Promise<Outcome> {
    const body = callText(tool, argumentsText);
    const headers = { ...callHeaders(tool), 'content-length': String(Buffer.byteLength(body)), ...this.#headers };
    const doneBefore = this.#done.count;
    return new Promise((resolve, reject) => {
      const call = request(this.#url, { method: 'POST', agent: this.#agent, headers }, (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (part: string) => {
          text += part;
        });
        response.on('end', () => {
          const status = response.statusCode ?? 0;
          const ms = performance.now() - dueMs;
          const doneMeanwhile = this.#done.count - doneBefore;
          const isDone = text.includes('"result"');
          if (isDone) this.#done.count++;
          resolve({ status, isDone, retryAfter: response.headers['retry-after'], text, ms, doneMeanwhile });
        });
      });
      call.on('error', reject);
      call.end(body);
    });
  }

  /** So many callers, each of which calls so often, again as soon as it was answered. */
  async closedLoop(callers: number, callsEach: number, { tool, argumentsText }: Call): Promise<Outcome[]> {
    const outcomes: Outcome[] = [];
    const caller = async (): Promise<void> => {
      for (let calls = 0; calls < callsEach; calls++) outcomes.push(await this.call(tool, argumentsText));
    };
    await Promise.all(Array.from({ length: callers }, caller));
    return outcomes;
  }

  /** `first` at once, and for each call that was done all of `then`, whatever becomes of those, until `isOver`. */
  async surge(first: readonly Call[], then: readonly Call[], isOver: (done: number) => boolean): Promise<Outcome[]> {
    const outcomes: Outcome[] = [];
    let done = 0;
    const send = async (calls: readonly Call[]): Promise<void> => void (await Promise.all(calls.map(one)));
    const one = async ({ tool, argumentsText }: Call): Promise<void> => {
      const outcome = await this.call(tool, argumentsText);
      outcomes.push(outcome);
      if (!outcome.isDone) return;
      done++;
      if (!isOver(done)) await send(then);
    };
    await send(first);
    return outcomes;
  }

  async openLoop(perSecond: number, forMs: number, { tool, argumentsText }: Call): Promise<Outcome[]> {
    const pending: Promise<Outcome>[] = [];
    const begun = performance.now();
    const total = Math.floor((perSecond * forMs) / 1000);
    while (pending.length < total) {
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
