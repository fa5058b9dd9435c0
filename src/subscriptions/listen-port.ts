/**
 * What the protocol needs of `subscriptions/listen` (2026-07-28): a request whose answer stays open.
 *
 * Role: the seam between the method table and `listen.ts`. The filter is validated behind it; the protocol only
 * hands over the request and keeps the returned handle, to cancel it when the client leaves.
 */
import type { Caller, Channel, JsonObject, OpenRequest } from '../protocol/channel.ts';

export interface ListenPort {
  /**
   * Answers through `channel`: acknowledgement and notifications, or a fault at once. `idJson` is the request's id as
   * JSON text; it tags every message. Null when it was answered already.
   */
  open(caller: Caller, idJson: string, params: JsonObject, channel: Channel): OpenRequest | null;
  /** Streams open now. */
  readonly size: number;
  /** Ends every stream with its result, so that clients know it was on purpose. */
  closeAll(reason: string): void;
}
