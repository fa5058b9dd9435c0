/**
 * The alerts of a node: which are raised, which were lately, and who is told.
 *
 * Role: the front-end side of alerts. Results of alert operators come in log order, with the log's time. A beginning is
 * told unless its group was told of one within `silenceMs`; an end is told when its beginning was. Webhooks are called by
 * `webhook-calls.ts`. The MCP notification is the update of the alert's resource, which the engine publishes for every
 * result.
 * Invariant: who is told is a function of the log: a replay decides alike, and silence holds through a restart.
 * Bounds: `ALERTS_MAX` remembered, of `CHARACTERS_MAX` as JSON, `GROUPS_MAX` groups and beginnings, oldest first. Keys may
 * be as large as a body: names that are long are digests.
 */
import { createHash } from 'node:crypto';
import type { Log } from '../../observe/port.ts';
import type { RaisedAlert, ResultLine } from '../engine/port.ts';
import type { AlertPlan } from '../plan.ts';
import { type WebhookCall, WebhookCalls } from './webhook-calls.ts';

export const ALERTS_MAX = 10_000;
const CHARACTERS_MAX = 64 * 1024 * 1024;
const GROUPS_MAX = 100_000;
const NAME_CHARACTERS_MAX = 256;

export interface AlertBookOptions {
  readonly log: Pick<Log, 'warn'>;
}

/** Part of a checkpoint's facts. */
export interface AlertFacts {
  readonly alerts: readonly RaisedAlert[];
  readonly told: readonly (readonly [string, number])[];
  readonly begun: readonly string[];
  readonly calls: readonly WebhookCall[];
}

export class AlertBook {
  readonly #calls: WebhookCalls;
  /** Newest state of each alert and key, oldest change first. */
  readonly #alerts = new Map<string, { readonly alert: RaisedAlert; readonly characters: number }>();
  #characters = 0;
  /** Group → time a beginning was last told. */
  readonly #told = new Map<string, number>();
  /** Alerts and keys whose beginning was told, and whose end was not yet. */
  readonly #begun = new Set<string>();

  constructor({ log }: AlertBookOptions) {
    this.#calls = new WebhookCalls(log);
  }

  /** `atMs`: log time. */
  take(stream: string, plan: AlertPlan, lines: readonly ResultLine[], atMs: number): void {
    for (const line of lines) {
      const alert = alertOf(stream, plan, line, atMs);
      this.#remember(alert);
      if (this.#mayTell(plan, alert)) this.#act(plan, alert);
    }
  }

  #remember(alert: RaisedAlert): void {
    const name = nameOf(alert);
    this.#forget(name);
    const { length: characters } = JSON.stringify(alert);
    this.#alerts.set(name, { alert, characters });
    this.#characters += characters;
    for (const oldest of this.#alerts.keys()) {
      const { size } = this.#alerts;
      if (size === 1 || (size <= ALERTS_MAX && this.#characters <= CHARACTERS_MAX)) return;
      this.#forget(oldest);
    }
  }

  #forget(name: string): void {
    this.#characters -= this.#alerts.get(name)?.characters ?? 0;
    this.#alerts.delete(name);
  }

  #mayTell(plan: AlertPlan, alert: RaisedAlert): boolean {
    const name = nameOf(alert);
    if (alert.state === 'cleared') return this.#begun.delete(name);
    const members = plan.groupBy.length === 0 ? alert.key : plan.groupBy.map((member) => alert.key[member]);
    const group = shortOf(`${alert.stream}/${plan.name}/${JSON.stringify(members)}`);
    const last = this.#told.get(group);
    // Either way: a clock that was ahead, and was set back, would leave the group silent for as long as it was ahead.
    if (last !== undefined && Math.abs(alert.atMs - last) < plan.silenceMs) return false;
    if (plan.silenceMs > 0) {
      this.#told.delete(group);
      this.#told.set(group, alert.atMs);
      dropOldest(this.#told);
    }
    // Without conditions every result is a beginning, and nothing ends.
    if (plan.when !== '' || plan.clear !== '') {
      this.#begun.add(name);
      dropOldest(this.#begun);
    }
    return true;
  }

  #act(plan: AlertPlan, alert: RaisedAlert): void {
    for (const action of plan.actions) {
      if ('webhook' in action) this.#calls.push({ url: action.webhook, headers: action.headers, alert });
    }
  }

  /** Of alerts that are not among these, by `{stream}/{alert}`, none is raised any more: nobody knows how they go on. */
  keep(kept: ReadonlySet<string>): void {
    for (const [name, { alert: known }] of this.#alerts) {
      if (kept.has(`${known.stream}/${known.alert}`)) continue;
      if (known.state === 'raised') this.#forget(name);
      this.#begun.delete(name);
    }
  }

  /** Newest first. `stream` `''`: of all. */
  list({ active, limit, stream }: { stream: string; active: boolean; limit: number }): readonly RaisedAlert[] {
    const found: RaisedAlert[] = [];
    for (const { alert } of [...this.#alerts.values()].reverse()) {
      if (found.length >= limit) break;
      if (stream !== '' && alert.stream !== stream) continue;
      if (active && alert.state !== 'raised') continue;
      found.push(alert);
    }
    return found;
  }

  /** Webhook calls about alerts of this stream that were given up or refused for good, since the start. */
  callsLost(stream: string): number {
    return this.#calls.lost(stream);
  }

  facts(): AlertFacts {
    return {
      alerts: [...this.#alerts.values()].map(({ alert }) => alert),
      told: [...this.#told],
      begun: [...this.#begun],
      calls: this.#calls.pending(),
    };
  }

  restore(facts: AlertFacts): void {
    for (const alert of facts.alerts) this.#remember(alert);
    for (const [group, atMs] of facts.told) this.#told.set(group, atMs);
    for (const name of facts.begun) this.#begun.add(name);
    for (const call of facts.calls) this.#calls.push(call);
  }

  /** Resolves when webhooks have what they are to be told, but those that fail; at the latest after `ms`. */
  settled(ms: number): Promise<void> {
    return this.#calls.settled(ms);
  }

  close(): void {
    this.#calls.close();
  }
}

const nameOf = ({ alert, key, stream }: RaisedAlert): string => shortOf(`${stream}/${alert}/${JSON.stringify(key)}`);

const shortOf = (name: string): string =>
  name.length <= NAME_CHARACTERS_MAX ? name : createHash('sha256').update(name).digest('hex');

function dropOldest(held: Map<string, number> | Set<string>): void {
  for (const oldest of held.keys()) {
    if (held.size <= GROUPS_MAX) return;
    held.delete(oldest);
  }
}

function alertOf(stream: string, plan: AlertPlan, line: ResultLine, atMs: number): RaisedAlert {
  const { message, state, values } = line.values as { state: RaisedAlert['state']; message: string; values: object };
  return {
    id: line.id,
    stream,
    alert: plan.name,
    severity: plan.severity,
    state,
    key: line.key,
    message,
    atMs,
    result: { ...line, values: values as ResultLine['values'] },
  };
}
