/**
 * GET: opens a session's own stream, or carries a broken stream on from the last event the client has.
 *
 * Role: finds out which stream `Last-Event-ID` belongs to and what the client missed, writes that, and attaches the
 * connection to the stream, so that it continues live. A stream whose request has been answered ends after the replay;
 * with nothing left to replay it is answered 204, which tells an event-stream client not to come back.
 * Invariants: without gap or duplicate. With a log that answers at once, replay and attachment happen in one turn.
 * With a remote one, the log is read again until nothing was written meanwhile. Where several nodes serve the session,
 * its own stream is taken over first, and what runs on another node is followed (`followed-stream.ts`).
 *
 * A second stream of a session replaces the first. Refusing it would be legal too, but a client whose connection broke
 * without our noticing comes back with a new GET, and the official SDK gives up after two refusals.
 */
import type { EventStream, Reply } from '../../frontend/port.ts';
import { resumableFrame } from '../../frontend/sse.ts';
import { type SessionRelay, STANDALONE_STREAM } from '../../sessions/port.ts';
import { type Fault, fault } from '../faults.ts';
import type { OpenExchange } from '../session-endpoint.ts';
import { FollowedStream, LIVE } from './followed-stream.ts';
import { takeOver } from './other-nodes.ts';
import { SESSION_ENDED, type SessionState } from './session-state.ts';
import type { SessionStream } from './session-stream.ts';

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

type Opened = OpenExchange | null | Fault;

/** Opens the session's own stream from now on. */
export function listen(state: SessionState, reply: Reply): Opened | Promise<Opened> {
  const { relay } = state.host;
  if (relay !== null) return listenAmongNodes(state, relay, reply);
  return listenHere(state, reply);
}

async function listenAmongNodes(state: SessionState, relay: SessionRelay, reply: Reply): Promise<Opened> {
  if (!(await takeOver(state, relay, '')) || state.ended) return SESSION_ENDED;
  return reply.open ? listenHere(state, reply) : null;
}

function listenHere(state: SessionState, reply: Reply): OpenExchange | null {
  const stream = state.stream(STANDALONE_STREAM);
  if (stream === undefined) return null;
  const connection = reply.openStream();
  stream.begin(connection);
  return new CarryingExchange(stream, connection);
}

/** Carries on after `lastEventId`. A fault when that cannot be done; `reply` is then unused. */
export function resume(state: SessionState, lastEventId: string, reply: Reply): Opened | Promise<Opened> {
  const missed = state.host.events.after(state.session.id, lastEventId);
  if (missed instanceof Promise) return resumeRemotely(state, lastEventId, reply, missed);
  return missed === null ? notResumable(state) : carryOn(state, missed.streamId, framesOf(missed), reply);
}

async function resumeRemotely(
  state: SessionState,
  lastEventId: string,
  reply: Reply,
  first: Promise<Missed | null>,
): Promise<Opened> {
  const { events, relay } = state.host;
  const known = await first;
  if (known === null) return notResumable(state);
  const { streamId } = known;
  if (relay !== null && streamId === STANDALONE_STREAM) {
    if (!(await takeOver(state, relay, lastEventId))) return SESSION_ENDED;
  } else if (relay !== null && relay.ownerOf(streamId) !== relay.tag) {
    return followElsewhere(state, relay, streamId, lastEventId, reply);
  }
  let last = lastEventId;
  let frames = '';
  for (let round = 0; round < RESUME_ROUNDS_MAX; round++) {
    const written = state.stream(streamId)?.written;
    const missed = await events.after(state.session.id, last);
    if (missed === null) return notResumable(state);
    frames += framesOf(missed);
    last = missed.events.at(-1)?.id ?? last;
    if (state.stream(streamId)?.written !== written) continue;
    // Another node said that it has taken the stream. If that was late, all is well; if not, what is written here is
    // refused, which ends the connection.
    if (streamId === STANDALONE_STREAM && state.elsewhere) state.hold(null);
    return carryOn(state, streamId, frames, reply);
  }
  return TOO_BUSY;
}

/** The request runs, or ran, on another node. */
async function followElsewhere(
  state: SessionState,
  relay: SessionRelay,
  streamId: number,
  lastEventId: string,
  reply: Reply,
): Promise<Opened> {
  if (!state.roomToFollow(streamId)) return TOO_BUSY;
  const { session, host } = state;
  const answer = await relay.ask(relay.ownerOf(streamId), 'follow', session.id, String(streamId));
  // Read only now: the owner has stored what it said so far, and tells of what it says from here on.
  const missed = await host.events.after(session.id, lastEventId);
  if (missed === null || state.ended) return notResumable(state);
  const frames = framesOf(missed);
  if (answer !== LIVE || !reply.open) return carryOn(state, streamId, frames, reply);
  const connection = reply.openStream();
  const stream = new FollowedStream(state, relay, streamId, missed.events.at(-1)?.id ?? lastEventId, connection);
  state.follow(streamId, stream);
  if (frames !== '') connection.write(frames);
  stream.more(false);
  return stream;
}

/** A session that ended while the log was read took its events with it. */
function notResumable(state: SessionState): Fault {
  return state.ended ? SESSION_ENDED : UNKNOWN_EVENT;
}

function carryOn(state: SessionState, streamId: number, frames: string, reply: Reply): Opened {
  if (!reply.open) return null;
  if (state.ended) return SESSION_ENDED;
  const stream = state.stream(streamId);
  if (stream !== undefined) {
    const connection = reply.openStream();
    stream.resume(connection, frames);
    return new CarryingExchange(stream, connection);
  }
  if (frames === '') {
    reply.send(204, '', '');
    return null;
  }
  const connection = reply.openStream();
  connection.write(frames);
  connection.end();
  return null;
}

function framesOf(missed: Missed): string {
  let frames = '';
  for (const { id, message } of missed.events) frames += resumableFrame(id, message);
  return frames;
}
