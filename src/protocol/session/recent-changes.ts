/**
 * Changes that this node heard of lately, whoever was to be told of them.
 *
 * Role: nodes hear of one change at slightly different times. A session's own stream that moves between nodes at that
 * moment would lose it: the node that takes the stream heard of the change too early to collect it, the one that lets
 * go hears of it too late. The same goes for a session that subscribed through another node before this one learns of
 * it. So whoever begins to collect counts what is in here as changed: a change told twice is harmless, one not told is
 * lost.
 * Invariants: at most `NAMES_MAX` names; when one is pushed out too early, everything counts as changed for as long as
 * that one would have.
 */
import type { Change } from '../../subscriptions/port.ts';
import { ALL_LISTS, type HeldNotices, LIST_BIT, LIST_KINDS } from './notices.ts';

/** More than a change is late on any node that is alive, one that is sent again after a failure included. */
export const RECENT_MS = 5_000;
const NAMES_MAX = 16_384;

export class RecentChanges {
  readonly #nowMs: () => number;
  readonly #lists = { tools: -Infinity, resources: -Infinity, prompts: -Infinity };
  /** When a resource was last heard of, oldest first. */
  readonly #uris = new Map<string, number>();
  /** Everything counts as changed until then. */
  #allUntilMs = -Infinity;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  heard(change: Change): void {
    const nowMs = this.#nowMs();
    if (change.kind === 'resource') this.#resource(change.uri, nowMs);
    else if (change.kind === 'missed') this.#allUntilMs = nowMs + RECENT_MS;
    else if (change.kind !== 'task') this.#lists[change.kind] = nowMs;
  }

  has(uri: string): boolean {
    return this.#isRecent(this.#uris.get(uri) ?? -Infinity, this.#nowMs());
  }

  /** What of it concerns a session with these subscriptions. */
  of(subscriptions: ReadonlySet<string>): HeldNotices {
    const nowMs = this.#nowMs();
    if (nowMs < this.#allUntilMs) return { lists: ALL_LISTS, uris: [...subscriptions] };
    let lists = 0;
    for (const kind of LIST_KINDS) if (this.#isRecent(this.#lists[kind], nowMs)) lists |= LIST_BIT[kind];
    const uris: string[] = [];
    if (this.#uris.size > 0) for (const uri of subscriptions) if (this.has(uri)) uris.push(uri);
    return { lists, uris };
  }

  #isRecent(heardAtMs: number, nowMs: number): boolean {
    return nowMs < this.#allUntilMs || nowMs - heardAtMs < RECENT_MS;
  }

  #resource(uri: string, nowMs: number): void {
    this.#uris.delete(uri);
    this.#uris.set(uri, nowMs);
    for (const [oldest, heardAtMs] of this.#uris) {
      const recent = nowMs - heardAtMs < RECENT_MS;
      if (recent && this.#uris.size <= NAMES_MAX) return;
      if (recent) this.#allUntilMs = Math.max(this.#allUntilMs, heardAtMs + RECENT_MS);
      this.#uris.delete(oldest);
    }
  }
}
