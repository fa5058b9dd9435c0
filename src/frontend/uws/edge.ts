/**
 * What all requests and sockets of one uWebSockets.js front end share: limits, counts, deadlines, the log.
 *
 * Role: a plain record, so that exchanges and peers need one reference instead of five.
 */

import type { Log } from '../../observe/port.ts';
import { encodeFault, faultFrom } from '../../protocol/faults.ts';
import { Intake } from '../intake.ts';
import type { FrontEndLimits } from '../port.ts';
import { AddressTexts } from './address-texts.ts';
import { ReceiveDeadlines } from './receive-deadlines.ts';

export class UwsEdge {
  /** Set once: answers then carry `Connection: close`. */
  draining = false;
  /** Cleared once, with the listener: connections that are open get no WebSocket any more. */
  accepting = true;
  /** Requests that have not been answered to the end, streams included. */
  exchanges = 0;
  /** WebSockets open. */
  sockets = 0;

  readonly deadlines: ReceiveDeadlines;
  readonly addresses: AddressTexts = new AddressTexts();
  readonly intake: Intake = new Intake();
  readonly internalError: string = encodeFault('', faultFrom(null));
  readonly limits: FrontEndLimits;
  readonly log: Log;

  constructor(limits: FrontEndLimits, log: Log) {
    this.limits = limits;
    this.log = log;
    this.deadlines = new ReceiveDeadlines(limits.requestReceiveMsMax);
  }

  /** Connections with something to do: uWebSockets.js does not tell of idle ones. */
  get connections(): number {
    return this.exchanges + this.sockets;
  }
}
