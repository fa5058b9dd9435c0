/**
 * One open `subscriptions/listen`: its tag, its channel, and what it could not be told yet.
 *
 * Role: keeps the order of the wire (acknowledgement first, result last, nothing after) and the memory bound of a
 * slow reader. While the channel is congested, or the acknowledgement is still being made, at most one notice per
 * thing changed is held, the latest. Past `HELD_CHARS_MAX` the notices go to the channel all the same: its own byte
 * limit then ends the connection, which is the stated policy for readers that do not catch up.
 */
import type { Channel } from '../protocol/channel.ts';

/** Characters of notices held for one congested stream. */
export const HELD_CHARS_MAX = 1_048_576;

export const SUBSCRIPTION_ID_KEY = 'io.modelcontextprotocol/subscriptionId';

/** Every notification ends in its `_meta`, so that a notice is a prefix made once and the stream's own tail. */
const ACKNOWLEDGED_PREFIX = '{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":';

export class ListenStream {
  /** What it is indexed under; see `changeKey`. */
  readonly keys: Set<string>;
  /** Whose it is, as `Caller.share` says. */
  readonly share: string;
  readonly #channel: Channel;
  readonly #idJson: string;
  readonly #tail: string;
  readonly #held = new Map<string, string>();
  #heldChars = 0;
  #acknowledged = false;
  #open = true;

  constructor(idJson: string, channel: Channel, keys: Set<string>, share: string) {
    this.keys = keys;
    this.share = share;
    this.#idJson = idJson;
    this.#channel = channel;
    this.#tail = `${idJson}}}}`;
    channel.onDrain = () => this.#flush();
  }

  get open(): boolean {
    return this.#open;
  }

  /** The first message of the stream; what was held until now follows it. */
  acknowledge(honouredJson: string): void {
    this.#acknowledged = true;
    const meta = `,"_meta":{"${SUBSCRIPTION_ID_KEY}":`;
    this.#channel.send(`${ACKNOWLEDGED_PREFIX}{"notifications":${honouredJson}${meta}${this.#tail}`);
    this.#flush();
  }

  /** `prefix` is the notification up to the subscription id. */
  notify(key: string, prefix: string): void {
    if (!this.#open) return;
    // While something is held a direct send would overtake it.
    if (this.#acknowledged && !this.#channel.congested && this.#held.size === 0) {
      this.#channel.send(prefix + this.#tail);
      return;
    }
    this.#heldChars += prefix.length - (this.#held.get(key)?.length ?? 0);
    this.#held.set(key, prefix);
    if (this.#acknowledged && this.#heldChars > HELD_CHARS_MAX) this.#sendHeld();
  }

  /** Stops listening for `key`: the caller turned out to have no right to it. */
  forget(key: string): void {
    this.keys.delete(key);
    const prefix = this.#held.get(key);
    if (prefix === undefined) return;
    this.#held.delete(key);
    this.#heldChars -= prefix.length;
  }

  /** Ends the stream on purpose. `metaJson`: an object with members. */
  end(metaJson: string): void {
    if (!this.#open) return;
    if (this.#acknowledged) this.#sendHeld();
    this.drop();
    const meta = `{"${SUBSCRIPTION_ID_KEY}":${this.#idJson},${metaJson.slice(1)}`;
    const result = `{"resultType":"complete","_meta":${meta}}`;
    this.#channel.respond(200, `{"jsonrpc":"2.0","id":${this.#idJson},"result":${result}}`, 0);
  }

  /** The client is gone, or the request was refused after all. Nothing more is sent. */
  drop(): void {
    this.#open = false;
    this.#channel.onDrain = null;
    this.#held.clear();
    this.#heldChars = 0;
  }

  #flush(): void {
    if (!this.#open || !this.#acknowledged) return;
    for (const [key, prefix] of this.#held) {
      if (this.#channel.congested) return;
      this.#held.delete(key);
      this.#heldChars -= prefix.length;
      this.#channel.send(prefix + this.#tail);
    }
  }

  #sendHeld(): void {
    for (const prefix of this.#held.values()) this.#channel.send(prefix + this.#tail);
    this.#held.clear();
    this.#heldChars = 0;
  }
}
