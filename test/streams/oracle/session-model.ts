/**
 * Which session each event belongs to, one event after the other.
 *
 * Role: sessions with late events cannot be cut by gaps alone: a session that was given up does not come back, so two
 * sessions of a key may in the end lie closer than the gap. This is the rule as a list of live sessions; the values of
 * each session are left to SQL. Where nothing is late the result is what cutting by gaps gives, which is tested.
 * An event alone is [ts, ts + gap); it joins every live session it overlaps; touching is not overlapping. A session is
 * live until the watermark reaches end − 1 + allowed lateness. Late: what it would be part of is no longer live.
 */

export interface SessionEvent {
  readonly key: string;
  readonly ts: number;
  readonly watermark: number;
}

interface Session {
  start: number;
  end: number;
  /** Numbers of its events. */
  members: number[];
}

/** For each event, in order of arrival, the number of its session, or −1: late. */
export function sessionsOf(events: readonly SessionEvent[], gapMs: number, allowedLatenessMs: number): number[] {
  const live = new Map<string, Session[]>();
  const done: Session[] = [];
  events.forEach(({ key, ts, watermark }, index) => {
    const isLive = ({ end }: { end: number }): boolean => end - 1 + allowedLatenessMs > watermark;
    const sessions = live.get(key) ?? [];
    done.push(...sessions.filter((session) => !isLive(session)));
    const merged: Session = { start: ts, end: ts + gapMs, members: [index] };
    const others: Session[] = [];
    for (const session of sessions.filter(isLive)) {
      if (session.start < ts + gapMs && ts < session.end) {
        merged.start = Math.min(merged.start, session.start);
        merged.end = Math.max(merged.end, session.end);
        merged.members.push(...session.members);
      } else others.push(session);
    }
    live.set(key, isLive(merged) ? [...others, merged] : others);
  });
  const numbers = events.map(() => -1);
  [...done, ...[...live.values()].flat()].forEach((session, number) => {
    for (const member of session.members) numbers[member] = number;
  });
  return numbers;
}
