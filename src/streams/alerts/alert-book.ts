/**
 * The alerts of a node: which are raised, which were lately, and who is told.
 *
 * Role: the front-end side of alerts. Results of alert operators come in log order; alerts of one group are told once,
 * and after that the group is silent for `silenceMs`; webhooks are called with retries, each URL by itself. The MCP notification is the
 * update of the alert's resource, which the engine publishes for every result.
 * Bounds: `ALERTS_MAX` remembered, oldest first; `WEBHOOKS_PENDING_MAX` calls waiting, then the oldest is given up, and
 * said so in the log.
 */

import type { RaisedAlert, ResultLine } from '../engine/port.ts';
import type { AlertPlan } from '../plan.ts';
import { callWebhook } from './webhook.ts';

export const ALERTS_MAX = 10_000;
export const WEBHOOKS_PENDING_MAX = 1000;
const GROUPS_MAX = 100_000;
const RETRIES_MAX = 8;
const RETRY_MS = 200;
/** Longer than this no receiver is waited for. */
const RETRY_AFTER_MS_MAX = 60_000;

export interface AlertBookOptions {
  readonly log: { warn(fields: object, message: string): void };
}

/** Part of a checkpoint's facts. */
export interface AlertFacts {
  readonly alerts: readonly RaisedAlert[];
  readonly told: readonly (readonly [string, number])[];
}

interface Call {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly alert: RaisedAlert;
}

export class AlertBook {
  readonly #log: AlertBookOptions['log'];
  /** Newest state of each alert and key, oldest change first. */
  readonly #alerts = new Map<string, RaisedAlert>();
  /** Group → time it was last told. */
  readonly #told = new Map<string, number>();
  #calls: Call[] = [];
  /** URLs that are being called: as many as the plans have had. */
  readonly #calling = new Set<string>();
  #closed = false;
  readonly #abort = new AbortController();

  constructor({ log }: AlertBookOptions) {
    this.#log = log;
  }

  take(stream: string, plan: AlertPlan, lines: readonly ResultLine[], nowMs: number, replaying: boolean): void {
    for (const line of lines) {
      const alert = alertOf(stream, plan, line, nowMs);
      this.#remember(alert);
      if (!replaying && this.#mayTell(stream, plan, alert)) this.#act(plan, alert);
    }
  }

  #remember(alert: RaisedAlert): void {
    const name = `${alert.stream}/${alert.alert}/${JSON.stringify(alert.key)}`;
    this.#alerts.delete(name);
    this.#alerts.set(name, alert);
    for (const oldest of this.#alerts.keys()) {
      if (this.#alerts.size <= ALERTS_MAX) return;
      this.#alerts.delete(oldest);
    }
  }

  /** An end is told when its beginning was; a silent group is not told again. */
  #mayTell(stream: string, plan: AlertPlan, alert: RaisedAlert): boolean {
    const members = plan.groupBy.length === 0 ? alert.key : plan.groupBy.map((name) => alert.key[name]);
    const group = `${stream}/${plan.name}/${JSON.stringify(members)}/${alert.state}`;
    const last = this.#told.get(group);
    if (last !== undefined && alert.atMs - last < plan.silenceMs) return false;
    this.#told.delete(group);
    this.#told.set(group, alert.atMs);
    for (const oldest of this.#told.keys()) {
      if (this.#told.size <= GROUPS_MAX) break;
      this.#told.delete(oldest);
    }
    return true;
  }

  #act(plan: AlertPlan, alert: RaisedAlert): void {
    for (const action of plan.actions) {
      if (!('webhook' in action)) continue;
      this.#calls.push({ url: action.webhook, headers: action.headers, alert });
      if (this.#calls.length > WEBHOOKS_PENDING_MAX) {
        const given = this.#calls.shift();
        this.#log.warn(
          { url: given?.url, alert: given?.alert.id },
          'too many webhook calls wait: the oldest is given up',
        );
      }
      void this.#call(action.webhook);
    }
  }

  async #call(url: string): Promise<void> {
    if (this.#calling.has(url)) return;
    this.#calling.add(url);
    while (!this.#closed) {
      const at = this.#calls.findIndex((each) => each.url === url);
      if (at < 0) break;
      const [call] = this.#calls.splice(at, 1);
      await this.#deliver(call as Call);
    }
    this.#calling.delete(url);
  }

  async #deliver({ alert, headers, url }: Call): Promise<void> {
    for (let tries = 0; !this.#closed; tries++) {
      const failure = await callWebhook(url, headers, alert.id, alert, this.#abort.signal);
      if (failure === null || this.#closed) return;
      if (tries >= RETRIES_MAX || !failure.retry) {
        this.#log.warn({ url, alert: alert.id, failure: failure.message }, 'the webhook of an alert was not taken');
        return;
      }
      const wanted = Math.min(RETRY_AFTER_MS_MAX, failure.retryAfterMs);
      await pause(Math.max(wanted, RETRY_MS * 2 ** tries), this.#abort.signal);
    }
  }

  /** Newest first. `stream` `''`: of all. */
  list({ active, limit, stream }: { stream: string; active: boolean; limit: number }): readonly RaisedAlert[] {
    const found: RaisedAlert[] = [];
    for (const alert of [...this.#alerts.values()].reverse()) {
      if (found.length >= limit) break;
      if (stream !== '' && alert.stream !== stream) continue;
      if (active && alert.state !== 'raised') continue;
      found.push(alert);
    }
    return found;
  }

  facts(): AlertFacts {
    return { alerts: [...this.#alerts.values()], told: [...this.#told] };
  }

  restore(facts: AlertFacts): void {
    for (const alert of facts.alerts) this.#remember(alert);
    for (const [group, atMs] of facts.told) this.#told.set(group, atMs);
  }

  close(): void {
    this.#closed = true;
    this.#abort.abort();
    this.#calls = [];
  }
}

function alertOf(stream: string, plan: AlertPlan, line: ResultLine, nowMs: number): RaisedAlert {
  const { message, state, values } = line.values as { state: RaisedAlert['state']; message: string; values: object };
  return {
    id: line.id,
    stream,
    alert: plan.name,
    severity: plan.severity,
    state,
    key: line.key,
    message,
    atMs: nowMs,
    result: { ...line, values: values as ResultLine['values'] },
  };
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done);
  });
}
