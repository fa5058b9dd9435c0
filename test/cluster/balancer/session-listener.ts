/**
 * A session-era client as the official ones are: it keeps its event stream open through a balancer, and when it ends,
 * for whatever reason, comes back with the id of the last event it has seen. It writes down all it hears.
 */
import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { REVISION_2025_11_25 } from '../../../src/protocol/revisions.ts';
import { decodeEventId } from '../../../src/sessions/event-id.ts';
import { EventReader } from '../../wire/event-reader.ts';
import { Session } from '../../wire/raw-clients.ts';

/** As long as a client that is told nothing else may wait; short, so that a test sees many returns. */
const RETURN_MS = 50;
/** Subscribed to, and never changed: told as often as a node had to take everything for changed. */
const NEVER_CHANGED = 'note://1000000';

export interface Heard {
  readonly id: string;
  /** Of the resource that changed. */
  readonly uri: string;
}

export class SessionListener {
  readonly heard: Heard[] = [];
  /** Streams that were opened. */
  streams = 0;
  /** Streams that broke off instead of ending. */
  readonly broken: string[] = [];
  /** Answers other than a stream. */
  readonly refusals: string[] = [];
  readonly #session: Session;
  readonly #stopped = new AbortController();
  #lastId = '';
  #listening: Promise<void> = Promise.resolve();

  private constructor(session: Session) {
    this.#session = session;
  }

  /** Resolves when it listens and is subscribed. */
  static async open(url: string, uris: readonly string[]): Promise<SessionListener> {
    const listener = new SessionListener(await Session.begin(url, REVISION_2025_11_25));
    for (const uri of [...uris, NEVER_CHANGED]) {
      const { error, status } = await listener.#session.request('resources/subscribe', { uri });
      assert.equal(status, 200, error.message);
    }
    const first = await listener.#open();
    listener.#listening = listener.#listen(first);
    return listener;
  }

  async stop(): Promise<void> {
    this.#stopped.abort();
    await this.#listening;
  }

  /** Of these, what it has not heard of. */
  missing(uris: readonly string[]): string[] {
    const heard = new Set(this.heard.map(({ uri }) => uri));
    return uris.filter((uri) => !heard.has(uri));
  }

  async #open(): Promise<Response> {
    return this.#session.listen(this.#stopped.signal, this.#lastId);
  }

  async #listen(first: Response): Promise<void> {
    let response = first;
    while (!this.#stopped.signal.aborted) {
      if (response.status === 200) await this.#read(response);
      else this.refusals.push(`${response.status} ${await response.text()}`);
      await delay(RETURN_MS);
      try {
        response = await this.#open();
      } catch (error) {
        if (!this.#stopped.signal.aborted) throw error;
      }
    }
  }

  async #read(response: Response): Promise<void> {
    this.streams++;
    const reader = new EventReader(({ data, id }) => {
      if (id !== undefined) this.#lastId = id;
      if (data === '' || id === undefined) return;
      const message = JSON.parse(data) as { readonly params?: { readonly uri?: string } };
      this.heard.push({ id, uri: message.params?.uri ?? '' });
    });
    try {
      for await (const chunk of response.body ?? []) reader.push(chunk as Uint8Array);
    } catch (error) {
      // It comes back, as after an end.
      this.broken.push(String(error));
    }
  }
}

/**
 * For `uris` that changed once each. Fails when an event came twice or out of order or one is missing between two others,
 * when a change was never told, and when one was told more often than the stream was opened and all was taken for changed:
 * a node that takes a stream over may tell again, as another event, what the node before had told, for it cannot know, and
 * one that may have missed something, as its Redis did not answer in time, tells everything. Clients take that for one
 * more reason to read the resource; a change that is not told leaves them with what is out of date.
 */
export function checkHeard(listener: SessionListener, uris: readonly string[]): void {
  const { heard, streams } = listener;
  const sequences = heard.map(({ id }) => decodeEventId(id)?.sequence ?? -1);
  for (let i = 1; i < sequences.length; i++) {
    const [before = -1, after = -1] = [sequences[i - 1], sequences[i]];
    assert.equal(after, before + 1, `event ${heard[i]?.id} came after ${heard[i - 1]?.id}`);
  }
  const told = new Map<string, number>();
  for (const { uri } of heard) told.set(uri, (told.get(uri) ?? 0) + 1);
  assert.deepEqual(listener.missing(uris), [], 'changes that were not told');
  const all = told.get(NEVER_CHANGED) ?? 0;
  assert.deepEqual(
    uris.filter((uri) => (told.get(uri) ?? 0) > streams + all),
    [],
    `changes that were told more often than the stream was opened, ${streams} times, and all was, ${all} times`,
  );
}
