/**
 * One result as a line of JSON: what sinks, derived streams, `window_query` and resources show.
 *
 * Members, in this order: `id` (the identity idempotent sinks use: `{stream}/{operator}/{key}/{start}/{end}/{pane}` of a
 * window, cumulating ones share their start; with the ids of the events in place of the pane where a key can have many
 * results of one time), `stream`, `name`, `key`, `start`, `end` (ms; null when unbounded), `pane`, `timing`, `final`,
 * `retraction` (only when true), `output` (only when not the main one), `values`, and `context` when there is evidence.
 */
import type { Keys, ResultRow } from '../operator.ts';

/** Constant parts of an operator's lines, made once. */
export class LineWriter {
  readonly #idPrefix: string;
  readonly #head: string;
  readonly #members: readonly string[];

  readonly #byEvents: boolean;

  /** `byEvents`: patterns, joins and views, of which the events are the identity. */
  constructor(stream: string, operator: string, columns: readonly string[], byEvents: boolean) {
    this.#byEvents = byEvents;
    this.#idPrefix = `{"id":${JSON.stringify(`${stream}/${operator}/`).slice(0, -1)}`;
    this.#head = `","stream":${JSON.stringify(stream)},"name":${JSON.stringify(operator)},"key":`;
    this.#members = columns.map((column, i) => `${i === 0 ? '{' : ','}${JSON.stringify(column)}:`);
  }

  line(row: ResultRow, keys: Keys): string {
    const key = row.keyId < 0 ? '{}' : keys.json(row.keyId);
    const start = Number.isFinite(row.start) ? `${row.start}` : 'null';
    const end = Number.isFinite(row.end) ? `${row.end}` : 'null';
    const output = row.output === '' ? '' : `.${row.output}`;
    const sign = row.retraction ? '/retraction' : '';
    const which = this.#byEvents && row.evidence !== null ? row.evidence.events.join('+') : row.pane;
    const id = `${JSON.stringify(key).slice(1, -1)}/${start}/${end}/${which}${output}${sign}`;
    let text = `${this.#idPrefix}${id}${this.#head}${key},"start":${start},"end":${end},"pane":${row.pane}`;
    text += `,"timing":"${row.timing}","final":${row.final}`;
    if (row.retraction) text += ',"retraction":true';
    if (row.output !== '') text += `,"output":"${row.output}"`;
    text += `,"values":${this.#values(row.values)}`;
    if (row.evidence !== null) text += `,"context":${JSON.stringify(row.evidence)}`;
    return `${text}}`;
  }

  #values(values: readonly unknown[]): string {
    const members = this.#members;
    if (members.length === 0) return '{}';
    let text = '';
    for (let i = 0; i < members.length; i++) {
      const value = values[i];
      // NaN and the infinities have no JSON form: null, as JSON.stringify has it.
      const json = typeof value === 'number' && Number.isFinite(value) ? `${value}` : JSON.stringify(value ?? null);
      text += (members[i] as string) + json;
    }
    return `${text}}`;
  }
}
