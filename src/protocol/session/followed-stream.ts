/**
 * The answer to a request that runs on another node, carried to a client that came back here.
 *
 *   owner: append ──► log ──► 'appended' ──► here: read the log after the last event ──► connection
 *
 * Role: reads the log whenever the owner says that there is more, and ends when the owner says that the stream is over.
 * Messages between nodes may be lost and nodes die: with every beat the owner is asked whether the stream goes on and is
 * still carried here, and the log is read again. An owner that is gone ends it, after what it left behind; one that only
 * stands still is asked again.
 * Invariants: one reading at a time; the connection gets the events in order, each once, for each reading begins after
 * the last event that was written. A client that reads slowly is waited for.
 */
import type { EventStream } from '../../frontend/port.ts';
import { COMMENT_FRAME, resumableFrame } from '../../frontend/sse.ts';
import type { SessionRelay } from '../../sessions/port.ts';
import type { OpenExchange } from '../session-endpoint.ts';
import { type Beating, NO_SLOT } from './keep-alive.ts';
import type { SessionState } from './session-state.ts';
import { MOVED } from './session-stream.ts';

/** What the owner of a stream answers when it is asked to let another node carry it. */
export const LIVE = 'live';

export class FollowedStream implements Beating, OpenExchange {
  keepAliveSlot = NO_SLOT;
  readonly #state: SessionState;
  readonly #relay: SessionRelay;
  readonly #streamId: number;
  readonly #connection: EventStream;
  #lastEventId: string;
  #reading = false;
  #again = false;
  #over = false;
  #asking = false;

  /** `lastEventId`: of what was written to `connection`, or what the client said it has. */
  constructor(
    state: SessionState,
    relay: SessionRelay,
    streamId: number,
    lastEventId: string,
    connection: EventStream,
  ) {
    this.#state = state;
    this.#relay = relay;
    this.#streamId = streamId;
    this.#lastEventId = lastEventId;
    this.#connection = connection;
    connection.onDrain = () => this.more(false);
    state.host.keepAlive.add(this);
  }

  /** There is more to read; `over`: nothing will come after that. */
  more(over: boolean): void {
    this.#over ||= over;
    if (this.#reading) {
      this.#again = true;
      return;
    }
    this.#reading = true;
    this.#read().then(
      () => this.#readAll(),
      (cause: unknown) => {
        this.#reading = false;
        // The next beat tries again; the client loses nothing, for it comes back with the last id it has.
        this.#state.host.log.debug({ err: cause }, 'a stream of another node could not be read');
        if (this.#over) this.end();
      },
    );
  }

  aborted(): void {
    this.#leave();
  }

  /** Ends the connection. The stream itself goes on. */
  end(): void {
    this.#leave();
    if (this.#connection.open) this.#connection.end();
  }

  beat(): void {
    const connection = this.#connection;
    if (!connection.open) {
      this.#leave();
      return;
    }
    this.#state.host.touch(this.#state.session);
    if (!connection.congested) connection.write(COMMENT_FRAME);
    this.#askOwner();
  }

  async #read(): Promise<void> {
    const { events } = this.#state.host;
    do {
      this.#again = false;
      if (this.#connection.congested) return;
      const missed = await events.after(this.#state.session.id, this.#lastEventId);
      if (missed === null) {
        // Too much was said for the log to hold: the client hears that when it comes back.
        this.#over = true;
        return;
      }
      let frames = '';
      for (const { id, message } of missed.events) {
        frames += resumableFrame(id, message);
        this.#lastEventId = id;
      }
      if (frames !== '' && !this.#connection.write(frames)) return;
    } while (this.#again);
  }

  #readAll(): void {
    this.#reading = false;
    if (this.#over && !this.#connection.congested) this.end();
  }

  #askOwner(): void {
    if (this.#asking) return;
    this.#asking = true;
    const { session } = this.#state;
    const owner = this.#relay.ownerOf(this.#streamId);
    this.#relay.ask(owner, 'following', session.id, String(this.#streamId)).then(
      (answer) => {
        this.#asking = false;
        if (answer === MOVED) this.end();
        else this.more(answer !== LIVE);
      },
      () => {
        // Redis is away, so that nothing can be read either, or the owner stands still.
        this.#asking = false;
      },
    );
  }

  #leave(): void {
    this.#connection.onDrain = null;
    this.#state.host.keepAlive.remove(this);
    this.#state.unfollow(this.#streamId, this);
  }
}
