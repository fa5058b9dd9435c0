/**
 * Sessions as lists of their events: what the session operator must say, step by step.
 *
 * Role: shares nothing with the operator but the rules. Values are computed from the list when a session fires; with
 * `discarding` the list is emptied then.
 */
import type { WindowPlan } from '../../../src/streams/plan.ts';
import type { Event, Result } from './window-run.ts';

interface Session {
  start: number;
  end: number;
  values: number[];
  news: number;
  panes: number;
  fired: boolean;
  said: Result | null;
}

export class SessionModel {
  late = 0;
  readonly #plan: WindowPlan;
  readonly #distinct: boolean;
  readonly #open = new Map<string, Session[]>();
  #watermark = Number.NEGATIVE_INFINITY;
  #period = Number.NaN;
  #out: Result[] = [];

  constructor(plan: WindowPlan, distinct: boolean) {
    this.#plan = plan;
    this.#distinct = distinct;
  }

  get size(): number {
    return [...this.#open.values()].reduce((sum, sessions) => sum + sessions.length, 0);
  }

  keys(): string[] {
    return [...this.#open.keys()];
  }

  /** When a key's newest session ends. */
  endOf(key: string): number {
    return this.#open.get(key)?.at(-1)?.end ?? Number.NaN;
  }

  forget(key: string): void {
    this.#open.delete(key);
  }

  #taken(): Result[] {
    const out = this.#out;
    this.#out = [];
    return out;
  }

  events(events: readonly Event[], passes: (event: Event) => boolean, nowMs: number): Result[] {
    const { allowedLatenessMs, time } = this.#plan;
    for (const event of events) if (passes(event)) this.#take(event, time === 'processing' ? nowMs : event.ts);
    const seen = allowedLatenessMs === 0 ? [] : new Set(events.map(({ key }) => key));
    for (const key of seen) {
      for (const session of this.#open.get(key) ?? []) {
        if (session.news === 0 || session.end - 1 > this.#watermark) continue;
        this.#fire(key, session, 'late', false);
        session.fired = true;
      }
    }
    return this.#taken();
  }

  #take({ key, value }: Event, ts: number): void {
    const { allowedLatenessMs, earlyCount, gapMs, sideOutput } = this.#plan;
    const sessions = this.#open.get(key) ?? [];
    const touched = sessions.filter(({ end, start }) => start < ts + gapMs && ts < end);
    const end = Math.max(ts + gapMs, ...touched.map((session) => session.end));
    if (end - 1 + allowedLatenessMs <= this.#watermark) {
      this.late += 1;
      if (sideOutput) {
        const bounds = { start: ts, end: ts, pane: this.late };
        this.#say({ key, ...bounds, timing: 'late', final: true, output: 'late', values: [key, value] });
      }
      return;
    }
    const [first, ...others] = touched;
    const timing = end - 1 <= this.#watermark ? 'late' : 'early';
    for (const other of others) this.#takeBack(key, other, timing);
    const session: Session = {
      start: Math.min(ts, first?.start ?? ts),
      end,
      values: [...touched.flatMap(({ values }) => values), value],
      news: touched.reduce((sum, { news }) => sum + news, 1),
      panes: Math.max(0, ...touched.map(({ panes }) => panes)),
      // What has not been told on time, or has grown since, will be.
      fired: touched.length > 0 && touched.every(({ fired }) => fired) && touched.some((each) => each.end === end),
      said: first?.said ?? null,
    };
    const kept = [...sessions.filter((each) => !touched.includes(each)), session];
    this.#open.set(
      key,
      kept.sort((a, b) => a.start - b.start),
    );
    if (earlyCount > 0 && session.news >= earlyCount && !session.fired) this.#fire(key, session, 'early', false);
  }

  advance(watermark: number): Result[] {
    const { allowedLatenessMs } = this.#plan;
    this.#watermark = Math.max(this.#watermark, watermark);
    for (const [key, sessions] of [...this.#open]) {
      const isOver = ({ end }: Session): boolean => end - 1 + allowedLatenessMs <= watermark;
      for (const session of sessions) {
        if (session.fired || session.end - 1 > watermark) continue;
        this.#fire(key, session, 'on-time', isOver(session));
        session.fired = true;
      }
      const left = sessions.filter((session) => !isOver(session));
      if (left.length === 0) this.#open.delete(key);
      else this.#open.set(key, left);
    }
    return this.#taken();
  }

  tick(nowMs: number): Result[] {
    const { earlyMs, time } = this.#plan;
    const closed = time === 'processing' ? this.advance(nowMs - 1) : [];
    if (earlyMs === 0) return closed;
    const before = this.#period;
    this.#period = Math.floor(nowMs / earlyMs);
    if (!(this.#period > before)) return closed;
    for (const [key, sessions] of this.#open) {
      for (const session of sessions) {
        if (session.news > 0 && !session.fired) this.#fire(key, session, 'early', false);
      }
    }
    return [...closed, ...this.#taken()];
  }

  /** What a query tells. */
  now(): Result[] {
    for (const [key, sessions] of this.#open) {
      for (const session of sessions) this.#say(this.#shown(key, session, session.fired ? 'on-time' : 'early', false));
    }
    return this.#taken();
  }

  #fire(key: string, session: Session, timing: string, final: boolean): void {
    const { accumulation } = this.#plan;
    if (accumulation === 'discarding' && session.news === 0) return;
    this.#takeBack(key, session, timing);
    const said = this.#shown(key, session, timing, final);
    this.#say(said);
    if (accumulation === 'retracting') session.said = said;
    if (accumulation === 'discarding') session.values = [];
    session.panes += 1;
    session.news = 0;
  }

  #takeBack(key: string, session: Session, timing: string): void {
    if (session.said !== null) this.#say({ ...session.said, key, timing, final: false, retraction: true });
    session.said = null;
  }

  #shown(key: string, session: Session, timing: string, final: boolean): Result {
    const { end, panes, start, values } = session;
    const known = values.length > 0;
    const sum = known ? values.reduce((a, b) => a + b, 0) : null;
    const shown = [values.length, sum, known ? Math.min(...values) : null, known ? Math.max(...values) : null];
    const all = this.#distinct ? [...shown, new Set(values).size] : shown;
    return { key, start, end, pane: panes, timing, final, retraction: false, output: '', values: all };
  }

  #say(result: Partial<Result> & Pick<Result, 'key' | 'start' | 'end' | 'pane' | 'timing' | 'final'>): void {
    const values = new Array<unknown>(this.#distinct ? 5 : 4).fill(null);
    this.#out.push({ retraction: false, output: '', values, ...result });
  }
}
