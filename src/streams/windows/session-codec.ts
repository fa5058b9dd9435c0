// HOT PATH
/**
 * The open sessions of a key as bytes.
 *
 * Role: written for each key that had events, with each batch; numbers are stored as they are, since a general encoder
 * costs ten times as much. Only what was said before it may be taken back (retractions) is MessagePack.
 * Layout: doubles: number of sessions, then of each start · end · row · panes · news · marks (1 fired, 2 has said
 * something), then MessagePack of the list of what was said, when any has.
 */
import { Packr } from 'msgpackr';
import type { StateCodec } from '../state/keyed-states-port.ts';

export interface Session {
  start: number;
  /** Exclusive: newest event + gap. */
  end: number;
  row: number;
  /** Firings so far. */
  panes: number;
  /** Events since the last firing. */
  news: number;
  /** Told on time; waits for the end of its lateness. */
  fired: boolean;
  /** What the last firing said, for retractions. */
  said: Said | null;
}

export interface Said {
  readonly start: number;
  readonly end: number;
  readonly pane: number;
  readonly values: readonly unknown[];
}

const DOUBLES = 6;
const FIRED = 1;
const HAS_SAID = 2;
const SESSIONS_AT_START = 16;

const packr = new Packr({ useRecords: false });

/** Bytes are used again with the next call, as the port allows. */
let scratch = new Float64Array(1 + DOUBLES * SESSIONS_AT_START);

export const sessionCodec: StateCodec<Session[]> = {
  encode(sessions) {
    const length = 1 + DOUBLES * sessions.length;
    if (length > scratch.length) scratch = new Float64Array(2 * length);
    let told = false;
    scratch[0] = sessions.length;
    for (let i = 0; i < sessions.length; i++) {
      const session = sessions[i] as Session;
      const at = 1 + DOUBLES * i;
      scratch[at] = session.start;
      scratch[at + 1] = session.end;
      scratch[at + 2] = session.row;
      scratch[at + 3] = session.panes;
      scratch[at + 4] = session.news;
      scratch[at + 5] = (session.fired ? FIRED : 0) + (session.said === null ? 0 : HAS_SAID);
      if (session.said !== null) told = true;
    }
    const bytes = new Uint8Array(scratch.buffer, 0, length * 8);
    return told ? withSaid(bytes, sessions) : bytes;
  },

  decode(bytes) {
    const count = new DataView(bytes.buffer, bytes.byteOffset).getFloat64(0, true);
    const view = new Float64Array(bytes.slice(8, 8 + count * DOUBLES * 8).buffer);
    const rest = bytes.subarray(8 + count * DOUBLES * 8);
    const said = rest.length === 0 ? [] : (packr.unpack(rest) as Said[]);
    const sessions: Session[] = [];
    for (let i = 0, told = 0; i < count; i++) {
      const at = DOUBLES * i;
      const marks = view[at + 5] as number;
      sessions.push({
        start: view[at] as number,
        end: view[at + 1] as number,
        row: view[at + 2] as number,
        panes: view[at + 3] as number,
        news: view[at + 4] as number,
        fired: (marks & FIRED) !== 0,
        said: (marks & HAS_SAID) === 0 ? null : (said[told++] as Said),
      });
    }
    return sessions;
  },
};

function withSaid(head: Uint8Array, sessions: readonly Session[]): Uint8Array {
  const told = packr.pack(sessions.flatMap(({ said }) => (said === null ? [] : [said])));
  const bytes = new Uint8Array(head.length + told.length);
  bytes.set(head);
  bytes.set(told, head.length);
  return bytes;
}
