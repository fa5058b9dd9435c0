/**
 * What nodes ask of one another about units, on the wire.
 *
 *   streams/accept  facts: unit, stream, source and what goes with the batch · body: the batch, as it came in
 *   streams/ask     facts: unit, method · body: packed arguments
 *   streams/yield   facts: unit · the asker should run it
 *   streams/defined facts: unit · what is in force has changed
 *
 * Answers: 200 and the packed outcome, a value or a refusal; 421 when this node does not run the unit.
 */
import type { PeerReply, Peers } from '../../cluster/peers/port.ts';
import { pack, unpack } from '../../redis/packed.ts';
import { type RefusalName, STREAM_REFUSALS, StreamRefusal } from '../engine/port.ts';

export const ACCEPT = 'streams/accept';
export const ASK = 'streams/ask';
export const YIELD = 'streams/yield';
export const DEFINED = 'streams/defined';

const VERSION = 1;
const MISDIRECTED = 421;
/** An exception of the other node; it is in that one's log. */
const FAILED = 500;

type Outcome =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly refusal: RefusalName; readonly message: string; readonly retryAfterMs: number };

/** The node that was asked does not run the unit. */
export class NotOwner extends Error {
  override readonly name = 'NotOwner';
}

export interface UnitMessage {
  readonly path: string;
  readonly facts: object;
  readonly body: Uint8Array;
  readonly timeoutMs: number;
}

export const packArguments = (args: readonly unknown[]): Uint8Array => pack(VERSION, args);

/** Null when the sender is of another version. */
export function unpackArguments(body: Uint8Array): readonly unknown[] | null {
  const args = unpack(VERSION, Buffer.from(body));
  return Array.isArray(args) ? args : null;
}

/** Rejects with `NotOwner`, `StreamRefusal` as the other node said it, or `PeerUnavailable`. */
export async function askNode(peers: Peers, nodeId: string, message: UnitMessage): Promise<unknown> {
  const { body, status } = await peers.ask(nodeId, message);
  if (status === MISDIRECTED) throw new NotOwner(`node ${nodeId} does not run it`);
  const outcome = status === 200 ? (unpack(VERSION, Buffer.from(body)) as Outcome | null) : null;
  if (outcome === null) throw new Error(`node ${nodeId} answered ${status}: it has failed, or is of another version`);
  if (outcome.ok) return outcome.value;
  const refusal = outcome.refusal in STREAM_REFUSALS ? outcome.refusal : 'unavailable';
  throw new StreamRefusal(refusal, outcome.message, outcome.retryAfterMs);
}

/** The unit that was asked about is not known here. */
export const refuseNode = (reply: PeerReply): void => reply.send(MISDIRECTED, '');

/** Answers with what the work comes to. `failed`: told of what is no refusal. */
export function answerNode(work: Promise<unknown>, reply: PeerReply, failed: (error: unknown) => void): void {
  work.then(
    (value) => reply.send(200, pack(VERSION, { ok: true, value })),
    (error: unknown) => {
      if (error instanceof NotOwner) refuseNode(reply);
      else if (error instanceof StreamRefusal) {
        const { message, refusal, retryAfterMs } = error;
        reply.send(200, pack(VERSION, { ok: false, refusal, message, retryAfterMs }));
      } else {
        failed(error);
        reply.send(FAILED, '');
      }
    },
  );
}
