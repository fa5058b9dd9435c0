/**
 * Refusals of a whole HTTP request: a fault, with its status, as an answer.
 *
 * Role: everything in front of the protocol (adapters, gate, router, endpoints) refuses through these two. Clients that
 * speak both eras need a JSON-RPC body on every 4xx, so each carries an error without an id.
 */
import { encodeFault, FAULTS, type Fault, fault } from '../protocol/faults.ts';
import type { HeaderPairs, Reply } from './port.ts';

export const JSON_TYPE = 'application/json';

/** Answers with the fault's own status. */
export function refuse(reply: Reply, f: Fault, headers?: HeaderPairs): void {
  reply.send(FAULTS[f.name].status, JSON_TYPE, encodeFault('', f), headers);
}

/** 404, which no fault has for its own. */
export function refusePath(reply: Reply, f: Fault): void {
  reply.send(404, JSON_TYPE, encodeFault('', f));
}

/** `Retry-After`, which counts in whole seconds; none for 0. */
export function retryAfter(ms: number): HeaderPairs | undefined {
  return ms > 0 ? [['Retry-After', String(Math.max(1, Math.ceil(ms / 1000)))]] : undefined;
}

/** 413 with how much is taken, so that a sender knows where to cut. */
export function refuseBody(reply: Reply, bytesMax: number): void {
  refuse(reply, fault('bodyTooLarge', `request body is too large: at most ${bytesMax} bytes are taken`));
}

/** 405 with the methods that are allowed: `GET, HEAD`. */
export function refuseMethod(reply: Reply, allow: string): void {
  refuse(reply, fault('methodNotAllowed', `method not allowed; allowed: ${allow}`), [['Allow', allow]]);
}

const UNSAFE = /[\r\n\0]/;

/** Whether a header value can be sent: one with a line break would start headers of its own. */
export function isSafeHeaderValue(value: string): boolean {
  return !UNSAFE.test(value);
}
