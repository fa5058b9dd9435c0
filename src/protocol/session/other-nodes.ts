/**
 * What other nodes that serve the same sessions ask of this one.
 *
 *   cancel     a request that may run here                 follow     carry a stream of this node to its client
 *   answer     to a question that was asked here           appended, over   there is more of such a stream, or the end
 *   following  whether it goes on, and is carried there    moved      somebody else carries it
 *   release    the session's own stream moves away         taken, left   it has moved; what is still to be told
 *   say        to whoever holds the session's own stream   missed     to the same: something may not have been told
 *
 * Role: from a message to the state of its session; a session without one here has nothing to do with it. The node that
 * sends has checked that its client may use the session, and a message reaches nothing beyond that session.
 */
import type { SessionRelay } from '../../sessions/port.ts';
import type { JsonObject } from '../channel.ts';
import { isJsonObject } from '../message-shape.ts';
import { LIVE } from './followed-stream.ts';
import type { HeldNotices } from './notices.ts';
import { cancelled } from './notifications.ts';
import type { SessionState } from './session-state.ts';
import { APPENDED, MOVED, OVER } from './session-stream.ts';

export interface KnownSessions {
  known(sessionId: string): SessionState | undefined;
}

export function serveOtherNodes(relay: SessionRelay, sessions: KnownSessions): void {
  relay.on('cancel', ({ sessionId, payload }) => {
    const state = sessions.known(sessionId);
    if (state !== undefined) cancelled(state.calls, parsed(payload));
    return '';
  });
  relay.on('answer', ({ sessionId, payload }) => {
    const message = parsed(payload);
    const state = sessions.known(sessionId);
    return state === undefined || message === null ? 'unknown' : state.asks.answer(message);
  });
  relay.on('say', ({ sessionId, payload }) => {
    sessions.known(sessionId)?.tellHere(payload);
    return '';
  });
  relay.on('release', ({ sessionId }) => release(sessions.known(sessionId)));
  relay.on('taken', ({ sessionId, from }) => {
    const held = sessions.known(sessionId)?.letGo() ?? NOTHING;
    if (held.lists > 0 || held.uris.length > 0) relay.tell(from, 'left', sessionId, JSON.stringify(held));
    return '';
  });
  relay.on('left', ({ sessionId, payload }) => {
    const state = sessions.known(sessionId);
    const held = heldIn(payload);
    if (state !== undefined && held !== null && !state.elsewhere) tellLater(state, held);
    return '';
  });
  relay.on('missed', ({ sessionId }) => {
    const state = sessions.known(sessionId);
    if (state !== undefined && !state.elsewhere) tellLater(state, null);
    return '';
  });
  relay.on('following', ({ sessionId, payload, from }) => following(sessions.known(sessionId), Number(payload), from));
  relay.on(MOVED, ({ sessionId, payload }) => {
    sessions.known(sessionId)?.followed(Number(payload))?.end();
    return '';
  });
  relay.on('follow', ({ sessionId, payload, from }) => follow(sessions.known(sessionId), Number(payload), from));
  for (const kind of [APPENDED, OVER]) {
    relay.on(kind, ({ sessionId, payload }) => {
      sessions
        .known(sessionId)
        ?.followed(Number(payload))
        ?.more(kind === OVER);
      return '';
    });
  }
}

function tellLater(state: SessionState, held: HeldNotices | null): void {
  state.hold(held);
  state.flush();
}

/**
 * The session's own stream is carried by this node from now on. The one that did, or that opened the session, lets go
 * first, and hands over what it has still to tell; if it is gone or has forgotten the session, which may be this node
 * itself, everything is taken for changed. False: the session is gone.
 */
export async function takeOver(state: SessionState, relay: SessionRelay, lastEventId: string): Promise<boolean> {
  const { events } = state.host;
  const sessionId = state.session.id;
  const holder = await events.standaloneHolder(sessionId);
  const own = state.collects ? NOTHING : null;
  // From before the other one lets go: or a change in between would be collected by nobody.
  state.collect();
  const left = holder === '' ? own : heldIn(await released(relay, holder, sessionId));
  // Kept from now on, for the other one has forgotten it: were the stream not taken, whoever takes it asks here.
  if (!state.ended) state.hold(left);
  if (!(await events.takeStandalone(sessionId, lastEventId))) return false;
  relay.broadcast('taken', sessionId, '');
  // Another node took it meanwhile, and this one after it: neither collected all the time.
  if (!state.ended && state.elsewhere) state.hold(null);
  return true;
}

/** One that does not answer is not waited for: what it writes from now on is refused. */
function released(relay: SessionRelay, holder: string, sessionId: string): Promise<string | null> {
  return relay.ask(holder, 'release', sessionId, '').catch(() => null);
}

const NOTHING: HeldNotices = { lists: 0, uris: [] };

/** `''`: nobody knows what has still to be told. */
async function release(state: SessionState | undefined): Promise<string> {
  if (state === undefined) return '';
  // Changes heard of before the request are delivered by the end of the turn.
  await new Promise((resolve) => setImmediate(resolve));
  // It let go already, of a stream that nobody took then.
  if (state.elsewhere) return '';
  const held = state.letGo();
  await state.host.events.stored(state.session.id);
  return JSON.stringify(held);
}

/** Null: nobody knows. */
function heldIn(answer: string | null): HeldNotices | null {
  const held = answer === null || answer === '' ? null : parsed(answer);
  const lists = held?.['lists'];
  const uris = held?.['uris'];
  if (typeof lists !== 'number' || !Array.isArray(uris)) return null;
  return { lists, uris: uris.filter((uri) => typeof uri === 'string') };
}

async function follow(state: SessionState | undefined, streamId: number, from: string): Promise<string> {
  if (state === undefined || !(streamId > 0)) return OVER;
  state.stream(streamId)?.follow(from);
  if (!(await isStored(state))) return LIVE;
  return state.stream(streamId) === undefined ? OVER : LIVE;
}

async function following(state: SessionState | undefined, streamId: number, from: string): Promise<string> {
  if (state === undefined || !(streamId > 0)) return OVER;
  if (!(await isStored(state))) return LIVE;
  const stream = state.stream(streamId);
  if (stream === undefined) return OVER;
  return stream.follower === from ? LIVE : MOVED;
}

/** False: what was said cannot be stored for now. Whoever reads it elsewhere has not come to its end. */
async function isStored(state: SessionState): Promise<boolean> {
  try {
    await state.host.events.stored(state.session.id);
    return true;
  } catch {
    // The log has told why.
    return false;
  }
}

/** What this node wrote to the session's own stream was refused: another node holds it. */
export function fenced(state: SessionState): void {
  state.letGo();
  state.host.relay?.broadcast('missed', state.session.id, '');
}

function parsed(text: string): JsonObject | null {
  const value: unknown = JSON.parse(text);
  return isJsonObject(value) ? value : null;
}
