/**
 * Lets message connections in: WebSocket upgrades and the one connection of stdio.
 *
 * Role: asks `admit` (Host, Origin and authentication of the upgrade request, for stdio nothing) and opens a
 * `Connection` for who is let in. Where authentication takes time the connection is open already; what it sends until
 * the verdict is held, bounded, and served or dropped afterwards.
 */

import type { Principal } from '../../catalogue/define.ts';
import type { CatalogueHolder } from '../../catalogue/entry.ts';
import type {
  MessageConnection,
  MessageHandler,
  MessagePeer,
  RequestHead,
  UpgradeRefusal,
  UpgradeTicket,
} from '../../frontend/port.ts';
import { type AuthRefusal, isAuthRefusal } from '../authenticator.ts';
import type { Methods } from '../channel.ts';
import { Envelope } from '../envelope.ts';
import { Connection, type ConnectionServices } from './message-connection.ts';
import type { SessionHub } from './session-hub.ts';

/** Who is let in; null without authentication, a promise while it is being found out. */
export interface Admitted {
  readonly principal: Principal | null | Promise<Principal | AuthRefusal>;
}

export interface MessageConnectionsOptions {
  readonly hub: SessionHub;
  readonly methods: Methods;
  readonly catalogue: CatalogueHolder;
  /** Called while the upgrade request's headers can be read. */
  readonly admit: (head: RequestHead) => UpgradeRefusal | Admitted;
}

/** Messages held while authentication is under way, per connection. */
export const HELD_MESSAGES_MAX = 16;

/** WebSocket close code. */
const POLICY = 1008;

export class MessageConnections implements MessageHandler {
  readonly #services: ConnectionServices;
  readonly #admit: MessageConnectionsOptions['admit'];

  constructor(options: MessageConnectionsOptions) {
    const { hub, methods, catalogue } = options;
    this.#services = { hub, methods, catalogue, envelope: new Envelope() };
    this.#admit = options.admit;
  }

  upgrade(head: RequestHead): UpgradeRefusal | UpgradeTicket {
    const admitted = this.#admit(head);
    if ('status' in admitted) return admitted;
    const { principal } = admitted;
    return {
      connect: (peer) => {
        if (principal instanceof Promise) return new WaitingConnection(this.#services, peer, principal);
        return new Connection(this.#services, peer, principal);
      },
    };
  }
}

/** Stands before a connection whose principal is not known yet. */
class WaitingConnection implements MessageConnection {
  readonly #peer: MessagePeer;
  #connection: Connection | null = null;
  #held: Uint8Array[] = [];
  #inputOver = false;
  #gone = false;

  constructor(services: ConnectionServices, peer: MessagePeer, principal: Promise<Principal | AuthRefusal>) {
    this.#peer = peer;
    principal
      .then((answer) => {
        if (this.#gone) return;
        if (isAuthRefusal(answer)) this.#refuse(answer.message);
        else this.#admitted(new Connection(services, peer, answer));
      })
      .catch((cause: unknown) => {
        services.hub.log.error({ err: cause }, 'authentication of a connection failed');
        this.#refuse('authentication failed');
      });
  }

  message(bytes: Uint8Array): void {
    if (this.#connection !== null) this.#connection.message(bytes);
    else if (this.#gone) return;
    else if (this.#held.length < HELD_MESSAGES_MAX) this.#held.push(Buffer.from(bytes));
    else this.#refuse('too many messages before authentication');
  }

  drained(): void {
    this.#connection?.drained();
  }

  ended(): void {
    this.#inputOver = true;
    this.#connection?.ended();
  }

  closed(): void {
    this.#gone = true;
    this.#held = [];
    this.#connection?.closed();
  }

  #admitted(connection: Connection): void {
    this.#connection = connection;
    const held = this.#held;
    this.#held = [];
    for (const bytes of held) connection.message(bytes);
    if (this.#inputOver) connection.ended();
  }

  #refuse(reason: string): void {
    if (this.#gone) return;
    this.#gone = true;
    this.#held = [];
    this.#peer.close(POLICY, reason);
  }
}
