/**
 * The waits of a shutdown: for balancers to notice, and for answers to leave.
 *
 * Role: their order is in `create-runtime.ts`. A balancer checks readiness only now and then: a node that stopped
 * listening at once would refuse what the balancer still sends, so it serves on until the delay is over. An answer that
 * is done has not been read yet: connections are closed when nothing is left to write on them.
 */
import { setImmediate as afterPolling, setTimeout as pause } from 'node:timers/promises';
import type { FrontEnd } from '../frontend/port.ts';

/** Between looks; the event loop reads sockets in between, so that what had arrived is seen. */
const LOOK_MS = 5;
/** Looks in a row that must find nothing: the first may come before a request that waits in its socket is read. */
const QUIET_LOOKS = 2;
/** For answers that are ready, however little is left of the grace period. */
const LEAVE_MS_MIN = 250;
/** Of the event loop: what the first one finds to do takes time in which connections come. */
const TURNS = 2;
/** Between a balancer's connection and its request lies the network. */
export const UNDER_WAY_MS = 250;

/**
 * Serves on while not ready. Resolves right after the event loop has looked at its sockets, which is when to close the
 * listener: connections that still wait to be accepted are reset with it, whatever was sent on them, and right after a
 * look hardly any wait.
 */
export async function untilNoticed(frontEnd: FrontEnd | null, delayMs: number): Promise<void> {
  if (frontEnd === null) return;
  frontEnd.drain();
  if (delayMs === 0) return;
  await pause(delayMs);
  for (let turn = 0; turn < TURNS; turn++) await afterPolling();
}

/**
 * Resolves when no request is unanswered, or when patience ends. `endStreams`: a stream would wait for ever.
 * `notBeforeMs`: by `performance.now()`, for requests on their way on connections that are open already.
 */
export async function untilAnswered(
  frontEnd: FrontEnd | null,
  endStreams: () => void,
  patienceMs: number,
  notBeforeMs = 0,
): Promise<void> {
  if (frontEnd === null) return;
  const endMs = Math.max(notBeforeMs, performance.now() + Math.max(LEAVE_MS_MIN, patienceMs));
  for (let quiet = 0; (quiet < QUIET_LOOKS || performance.now() < notBeforeMs) && performance.now() < endMs; ) {
    endStreams();
    quiet = frontEnd.exchanges === 0 ? quiet + 1 : 0;
    await pause(LOOK_MS);
  }
}
