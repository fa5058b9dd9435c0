/**
 * Who calls when a request on a message connection names its protocol version itself.
 *
 * Role: the stateless era's `Caller`, kept from one request of a connection to the next: without a session, and
 * without a way to be asked back.
 */
import type { Principal } from '../../catalogue/define.ts';
import type { MessagePeer } from '../../frontend/port.ts';
import type { Caller, JsonObject } from '../channel.ts';
import { VERSION_KEY } from '../envelope.ts';
import { isJsonObject } from '../message-shape.ts';
import { REVISION_2026_07_28, type Revision, revisionNamed } from '../revisions.ts';
import { paramsOf } from './request-params.ts';

export class StatelessCaller implements Caller {
  readonly revision: Revision;
  readonly principal: Principal | null;
  readonly session = null;
  readonly asks = null;
  readonly #share: string;

  constructor(revision: Revision, principal: Principal | null, share: string) {
    this.revision = revision;
    this.principal = principal;
    this.#share = share;
  }

  share(): string {
    return this.#share;
  }
}

/** The caller of a request the classifier has checked; `last` if it still fits. */
export function callerOf(
  message: JsonObject,
  last: StatelessCaller | null,
  principal: Principal | null,
  peer: MessagePeer,
): StatelessCaller {
  const meta = paramsOf(message)?.['_meta'];
  const version = isJsonObject(meta) ? meta[VERSION_KEY] : undefined;
  const revision = (typeof version === 'string' ? revisionNamed(version) : undefined) ?? REVISION_2026_07_28;
  if (last?.revision === revision) return last;
  return new StatelessCaller(revision, principal, principal === null ? peer.remoteAddress() : principal.id);
}
