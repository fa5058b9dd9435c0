/**
 * The proof that a message comes from a node: who sends it, to which start of which node, its number and its body,
 * under a key that only nodes with the same secret can derive.
 *
 * Role: signs what leaves and checks what comes, before the body is read. Pure but for randomness; clocks play no part,
 * since those of two nodes may be hours apart.
 *
 *     proof = base64url( number 8 B │ sha-256 of the body 32 B │ HMAC-SHA-256 32 B )
 *     HMAC over: from ⏎ start of from ⏎ to ⏎ start of to ⏎ path ⏎ number, digest
 *
 * What replay can do: nothing. A message names the start of the process it is for, and that process takes each number
 * of each start of a sender once (`ReplayWindow`; numbers count for each receiver, so that messages to others do not make
 * one old that is on its way); a recorded message fits no other process. Should more than
 * `SENDERS_MAX` starts of nodes have written to one process, messages of those that were silent longest could be
 * repeated to it. What the proof does not do: hide anything, or prove who answers; over networks that others can write
 * to, nodes belong behind TLS.
 */
import { createHash, createHmac, hkdfSync, randomBytes, timingSafeEqual } from 'node:crypto';
import { ReplayWindow } from './replay-window.ts';

/** Starts of nodes whose numbers are remembered. */
export const SENDERS_MAX = 1024;
/** Nodes whose next number is remembered; those of many more go on from the highest of all. */
export const RECEIVERS_MAX = 1024;

const KEY_BYTES = 32;
const NUMBER_BYTES = 8;
const DIGEST_BYTES = 32;
const MAC_AT = NUMBER_BYTES + DIGEST_BYTES;
const PROOF_BYTES = MAC_AT + 32;
const PROOF_TEXT = /^[A-Za-z0-9_-]{96}$/;
/** Ids of nodes and of starts: no line break can be in them, and no header is refused for them. */
const ID_TEXT = /^[0-9A-Za-z._:-]{1,128}$/;

/** Beside the body, as headers. */
export interface Envelope {
  readonly from: string;
  /** Start of the sender. */
  readonly fromStart: string;
  /** Start of the receiver as the sender believes; `''`: it does not know. */
  readonly toStart: string;
  readonly proof: string;
}

/** `stale`: the proof is good, but for another start of this node. `seen`: it has been taken already. */
export type Verdict = 'forged' | 'stale' | 'seen' | Ticket;

/** A checked head; the body must still match. */
export interface Ticket {
  readonly from: string;
  readonly number: number;
  readonly digest: Uint8Array;
  readonly window: ReplayWindow;
}

export class Prover {
  readonly nodeId: string;
  /** Of this process: public, never the same again. */
  readonly start: string = randomBytes(12).toString('base64url');
  #key: Buffer;
  readonly #senders = new Map<string, ReplayWindow>();
  /** By receiver. */
  readonly #last = new Map<string, number>();
  /** No receiver that is not in `#last` has seen a higher one. */
  #lastOfOthers = 0;

  constructor(nodeId: string, secret: string) {
    this.nodeId = nodeId;
    this.#key = keyOf(secret);
  }

  /** Another secret from now on: what was signed with the old one is forged. */
  use(secret: string): void {
    this.#key = keyOf(secret);
  }

  /** Of the next message to a node. */
  nextNumber(to: string): number {
    const known = this.#last.get(to);
    const number = (known ?? this.#lastOfOthers) + 1;
    if (known === undefined && this.#last.size >= RECEIVERS_MAX) {
      for (const last of this.#last.values()) this.#lastOfOthers = Math.max(this.#lastOfOthers, last);
      this.#last.clear();
    }
    this.#last.set(to, number);
    return number;
  }

  sign(to: string, toStart: string, path: string, number: number, body: Uint8Array): Envelope {
    const bytes = Buffer.allocUnsafe(PROOF_BYTES);
    bytes.writeBigUInt64BE(BigInt(number), 0);
    digestOf(body).copy(bytes, NUMBER_BYTES);
    this.#mac(this.nodeId, this.start, to, toStart, path, bytes).copy(bytes, MAC_AT);
    return { from: this.nodeId, fromStart: this.start, toStart, proof: bytes.toString('base64url') };
  }

  /** Looks at the head alone; nothing is taken yet. */
  check(path: string, envelope: Envelope): Verdict {
    const { from, fromStart, toStart, proof } = envelope;
    if (!ID_TEXT.test(from) || !ID_TEXT.test(fromStart) || !PROOF_TEXT.test(proof)) return 'forged';
    if (toStart !== '' && !ID_TEXT.test(toStart)) return 'forged';
    const bytes = Buffer.from(proof, 'base64url');
    const mac = this.#mac(from, fromStart, this.nodeId, toStart, path, bytes);
    if (!timingSafeEqual(mac, bytes.subarray(MAC_AT))) return 'forged';
    if (toStart !== this.start) return 'stale';
    const number = Number(bytes.readBigUInt64BE(0));
    const window = this.#windowOf(`${from} ${fromStart}`);
    if (!Number.isSafeInteger(number) || !window.fresh(number)) return 'seen';
    return { from, number, digest: bytes.subarray(NUMBER_BYTES, MAC_AT), window };
  }

  /** With the whole body: false when it is another one. */
  matches(ticket: Ticket, body: Uint8Array): boolean {
    return timingSafeEqual(digestOf(body), ticket.digest);
  }

  #mac(from: string, fromStart: string, to: string, toStart: string, path: string, bytes: Buffer): Buffer {
    return createHmac('sha256', this.#key)
      .update(`${from}\n${fromStart}\n${to}\n${toStart}\n${path}\n`)
      .update(bytes.subarray(0, MAC_AT))
      .digest();
  }

  #windowOf(sender: string): ReplayWindow {
    const known = this.#senders.get(sender);
    if (known !== undefined) {
      // The order of insertion is the order of use.
      this.#senders.delete(sender);
      this.#senders.set(sender, known);
      return known;
    }
    const window = new ReplayWindow();
    this.#senders.set(sender, window);
    if (this.#senders.size > SENDERS_MAX) this.#senders.delete(this.#senders.keys().next().value as string);
    return window;
  }
}

function keyOf(secret: string): Buffer {
  return Buffer.from(hkdfSync('sha256', secret, '', 'millrace node to node 1', KEY_BYTES));
}

function digestOf(body: Uint8Array): Buffer {
  return createHash('sha256').update(body).digest();
}
