/**
 * Calls that carry an idempotency key: executed once, answered alike.
 *
 * Role: stands before the tool, beside the dispatcher. A key counts for its owner only: the principal, else the
 * session, else the peer. Requests are the same when tool and canonical arguments are.
 * The time of a call counts from its arrival, waiting for its key included.
 * A stateless call is not stopped when its connection breaks: its client will ask again, under the same key. A
 * session's client that cancels a call means it; for a tool that must not be repeated, that is then the answer.
 * Questions (the next round carries the same key) and refusals that say when to try again are no endings, and not kept.
 * Other failures are kept for tools that must not be repeated; for all others the call is made again.
 */
import type { Entry } from '../catalogue/entry.ts';
import type { Log } from '../observe/port.ts';
import { canonicalJson, digestOf } from '../protocol/canonical-json.ts';
import type { Caller, CallRun, Channel, JsonObject, OpenRequest, RequestEnvelope } from '../protocol/channel.ts';
import { encodeFault, FAULTS, type Fault, fault, faultFrom } from '../protocol/faults.ts';
import { answeredFor, endingOf } from './kept-answer.ts';
import type { Begun, Ledger } from './port.ts';

/** Of a call's time, for waiting for another one with its key; what is left is for running itself, should it have to. */
const WAIT_SHARE = 0.9;

export interface KeyedCallsOptions {
  readonly ledger: Ledger;
  /** Of a tool that names none. */
  readonly timeoutMs: number;
  /** A call was answered without being made; null: as the first one was. */
  readonly answered: (fault: Fault | null) => void;
  readonly log: Pick<Log, 'error' | 'warn'>;
}

export class KeyedCalls {
  readonly #options: KeyedCallsOptions;

  constructor(options: KeyedCallsOptions) {
    this.#options = options;
  }

  /** `key` is well formed; `envelope` can be kept and has its id; `params` are parsed. */
  call(
    entry: Entry,
    caller: Caller,
    envelope: RequestEnvelope,
    params: JsonObject,
    key: string,
    channel: Channel,
    run: CallRun,
  ): OpenRequest {
    const owner = caller.principal === null ? `peer ${caller.share()}` : `principal ${caller.principal.id}`;
    const call = new KeyedCall(this.#options, entry, caller, envelope, channel, run, key, digestOf(owner, key));
    call.begin(digestOf(entry.name, canonicalJson(params['arguments'] ?? null)));
    return call;
  }
}

class KeyedCall implements Channel, OpenRequest {
  readonly #options: KeyedCallsOptions;
  readonly #entry: Entry;
  readonly #caller: Caller;
  readonly #envelope: RequestEnvelope;
  readonly #channel: Channel;
  readonly #run: CallRun;
  readonly #shownKey: string;
  readonly #key: string;
  readonly #begunAtMs: number = performance.now();
  #token = '';
  #open: OpenRequest | null = null;
  /** Its client has gone: nothing is said any more. */
  #gone = false;
  #over = false;

  constructor(
    options: KeyedCallsOptions,
    entry: Entry,
    caller: Caller,
    envelope: RequestEnvelope,
    channel: Channel,
    run: CallRun,
    shownKey: string,
    key: string,
  ) {
    this.#options = options;
    this.#entry = entry;
    this.#caller = caller;
    this.#envelope = envelope;
    this.#channel = channel;
    this.#run = run;
    this.#shownKey = shownKey;
    this.#key = key;
  }

  begin(fingerprint: string): void {
    const { ledger, log, timeoutMs } = this.#options;
    const { repeatable } = this.#entry;
    const waitMs = WAIT_SHARE * (this.#entry.timeoutMs === 0 ? timeoutMs : this.#entry.timeoutMs);
    const isWanted = (): boolean => !this.#gone;
    ledger.begin({ key: this.#key, fingerprint, repeatable, waitMs, isWanted }).then(
      (begun) => this.#begun(begun),
      (cause: unknown) => {
        log.warn({ err: cause, tool: this.#entry.name }, 'the idempotency ledger cannot be asked');
        this.#refuse(faultFrom(cause));
      },
    );
  }

  get canStream(): boolean {
    return !this.#gone && this.#channel.canStream;
  }

  get congested(): boolean {
    return this.#channel.congested;
  }

  get onDrain(): (() => void) | null {
    return this.#channel.onDrain;
  }

  set onDrain(listener: (() => void) | null) {
    this.#channel.onDrain = listener;
  }

  respond(status: number, message: Uint8Array | string, retryAfterMs: number): void {
    if (this.#over) return;
    this.#over = true;
    const text = typeof message === 'string' ? message : Buffer.from(message).toString('utf8');
    if (!this.#gone) this.#channel.respond(status, message, retryAfterMs);
    const ending = endingOf(status, text, this.#entry.repeatable);
    if (ending === null) this.#abandon();
    else this.#finish(ending.status, ending.responseJson);
  }

  send(message: Uint8Array | string): void {
    if (!this.#gone) this.#channel.send(message);
  }

  release(retryMs: number): void {
    if (!this.#gone) this.#channel.release(retryMs);
  }

  cancel(reason: string): void {
    if (this.#gone) return;
    this.#gone = true;
    if (this.#over || this.#caller.revision.era === 'stateless' || this.#open === null) return;
    this.#over = true;
    this.#open.cancel(reason);
    if (this.#entry.repeatable) this.#abandon();
    else this.#finish(200, encodeFault('0', fault('outcomeUnknown', 'the call with this key was cancelled')));
  }

  #begun(begun: Begun): void {
    switch (begun.kind) {
      case 'run':
        this.#token = begun.token;
        this.#execute();
        return;
      case 'done':
        this.#over = true;
        this.#options.answered(null);
        if (this.#gone) return;
        this.#channel.respond(begun.answer.status, answeredFor(this.#envelope.idJson, begun.answer.responseJson), 0);
        return;
      default:
        this.#refuse(refusalOf(begun.kind, this.#shownKey));
    }
  }

  #execute(): void {
    if (this.#gone) {
      this.#over = true;
      this.#abandon();
      return;
    }
    try {
      const waitedMs = performance.now() - this.#begunAtMs;
      const open = this.#run(this.#entry, this.#caller, this.#envelope, this, waitedMs);
      if (!this.#over) this.#open = open;
    } catch (cause) {
      this.#options.log.error({ err: cause, tool: this.#entry.name }, 'a call failed');
      this.respond(200, encodeFault(this.#envelope.idJson, faultFrom(cause)), 0);
    }
  }

  #refuse(why: Fault): void {
    this.#over = true;
    this.#options.answered(why);
    if (this.#gone) return;
    const { retryAfterMs = 0 } = (why.data ?? {}) as { retryAfterMs?: number };
    this.#channel.respond(FAULTS[why.name].status, encodeFault(this.#envelope.idJson, why), retryAfterMs);
  }

  #finish(status: number, responseJson: string): void {
    const { ledger, log } = this.#options;
    ledger.finish(this.#key, this.#token, { status, responseJson }).then(
      (stands) => {
        if (stands) return;
        const fields = { tool: this.#entry.name };
        log.warn(fields, 'a call with an idempotency key ended after its claim: another answer stands, or none');
      },
      (cause: unknown) => log.error({ err: cause, tool: this.#entry.name }, 'the idempotency ledger failed'),
    );
  }

  #abandon(): void {
    const { ledger, log } = this.#options;
    ledger
      .abandon(this.#key, this.#token)
      .catch((cause: unknown) => log.error({ err: cause, tool: this.#entry.name }, 'the idempotency ledger failed'));
  }
}

function refusalOf(kind: 'differs' | 'busy' | 'unknown' | 'full', key: string): Fault {
  switch (kind) {
    case 'differs':
      return fault('invalidParams', `idempotency key ${JSON.stringify(key)} was used for another call`);
    case 'busy':
      return fault('conflict', `the call with idempotency key ${JSON.stringify(key)} is still running`, {
        retryAfterMs: 1000,
      });
    case 'unknown':
      return fault(
        'outcomeUnknown',
        `the call with idempotency key ${JSON.stringify(key)} was begun by a server that is gone: whether it took effect is unknown`,
      );
    case 'full':
      return fault('limitReached', 'too many calls with idempotency keys are running', { retryAfterMs: 1000 });
  }
}
