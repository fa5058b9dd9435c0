/**
 * GET: opens a session's own stream, or carries a broken stream on from the last event the client has.
 *
 * Role: finds out which stream `Last-Event-ID` belongs to and what the client missed, writes that, and attaches the
 * connection to the stream, so that it continues live. A stream whose request has been answered ends after the replay;
 * with nothing left to replay it is answered 204, which tells an event-stream client not to come back.
 * Invariants: without gap or duplicate. With a log that answers at once, replay and attachment happen in one turn.
 * With a remote one, the log is read again until nothing was written meanwhile.
 *
 * A second stream of a session replaces the first. Refusing it would be legal too, but a client whose connection broke
 * without our noticing comes back with a new GET, and the official SDK gives up after two refusals.
 */
import type { EventStream, Reply } from '../../frontend/port.ts';
import { STANDALONE_STREAM } from '../../sessions/port.ts';
import { type Fault, fault } from '../faults.ts';
import type { OpenExchange } from '../session-endpoint.ts';
import { SESSION_ENDED, type SessionState } from './session-state.ts';
import { eventFrame, type SessionStream } from './session-stream.ts';

/** Times the log is read for one resumption before the client is asked to come back later. */
export const RESUME_ROUNDS_MAX = 8;

const UNKNOWN_EVENT = fault('badRequest', 'Last-Event-ID is unknown, or too much was sent since');
const TOO_BUSY = fault('limitReached', 'the stream is too busy to be resumed');

interface Missed {
  readonly streamId: number;
  readonly events: readonly { readonly id: string; readonly message: string }[];
}

/** A GET that carries a stream: when its client goes, the stream goes on without it. */
class CarryingExchange implements OpenExchange {
  readonly #stream: SessionStream;
  readonly #connection: EventStream;

  constructor(stream: SessionStream, connection: EventStream) {
    this.#stream = stream;
    this.#connection = connection;
  }

  aborted(): void {
    this.#stream.detach(this.#connection);
  }
}

/** Opens the session's own stream from now on. */
export function listen(state: SessionState, reply: Reply): OpenExchange | null {
  const stream = state.stream(STANDALONE_STREAM);
  return stream === undefined ? null : carry(stream, reply, stream.primingFrame());
}

/** Carries on after `lastEventId`. A fault when that cannot be done; `reply` is then unused. */
export function resume(
  state: SessionState,
  lastEventId: string,
  reply: Reply,
): OpenExchange | null | Fault | Promise<OpenExchange | null | Fault> {
  const missed = state.host.events.after(state.session.id, lastEventId);
  if (missed instanceof Promise) return resumeRemotely(state, lastEventId, reply, missed);
  return missed === null ? notResumable(state) : carryOn(state, missed.streamId, framesOf(missed), reply);
}

async function resumeRemotely(
  state: SessionState,
  lastEventId: string,
  reply: Reply,
  first: Promise<Missed | null>,
): Promise<OpenExchange | null | Fault> {
  let missed = await first;
  let last = lastEventId;
  let frames = '';
  for (let round = 0; round < RESUME_ROUNDS_MAX; round++) {
    if (missed === null) return notResumable(state);
    const { streamId } = missed;
    frames += framesOf(missed);
    last = missed.events.at(-1)?.id ?? last;
    const written = state.stream(streamId)?.written;
    missed = await state.host.events.after(state.session.id, last);
    if (missed === null) return notResumable(state);
    if (state.stream(streamId)?.written !== written) continue;
    return carryOn(state, streamId, frames + framesOf(missed), reply);
  }
  return TOO_BUSY;
}

/** A session that ended while the log was read took its events with it. */
function notResumable(state: SessionState): Fault {
  return state.ended ? SESSION_ENDED : UNKNOWN_EVENT;
}

function carryOn(state: SessionState, streamId: number, frames: string, reply: Reply): OpenExchange | null | Fault {
  if (!reply.open) return null;
  if (state.ended) return SESSION_ENDED;
  const stream = state.stream(streamId);
  if (stream !== undefined) return carry(stream, reply, frames);
  if (frames === '') {
    reply.send(204, '', '');
    return null;
  }
  const connection = reply.openStream();
  connection.write(frames);
  connection.end();
  return null;
}

function carry(stream: SessionStream, reply: Reply, opening: string): OpenExchange {
  const connection = reply.openStream();
  stream.attach(connection, opening);
  return new CarryingExchange(stream, connection);
}

function framesOf(missed: Missed): string {
  let frames = '';
  for (const { id, message } of missed.events) frames += eventFrame(id, message);
  return frames;
}
