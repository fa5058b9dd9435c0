/**
 * Changes of what is in force, by a call: windows and patterns that are defined or removed, and partitions that follow
 * their first.
 *
 * Role: between `service.ts`, which is asked, and `lifecycle.ts`, which puts in force. Whatever is wrong with a call is
 * refused here, in its words, before anything is logged.
 * Invariant: one change at a time, so that each starts from what the one before left.
 */
import { isDeepStrictEqual } from 'node:util';
import type { StreamDefinition } from '../define/definition.ts';
import { DefinitionProblem } from '../define/definition-problem.ts';
import { idleMembersOfLast } from '../define/idle-members.ts';
import { allBut, type Defined, definedBeside, type InForce, ofCall, strangeReducers } from './defined.ts';
import type { StreamEngine } from './engine.ts';
import { refusalOf } from './intake/intake.ts';
import type { Lifecycle } from './lifecycle.ts';
import { type DefineOutcome, StreamRefusal } from './port.ts';
import { checkNotDeclared, type Declaration, without } from './removal.ts';

const RETRY_AFTER_MS = 1000;

export interface DefinitionPorts extends Pick<Declaration, 'placeOf'> {
  /** What is in force is other than before. */
  changed(): void;
}

export class Definitions {
  readonly #engine: StreamEngine;
  readonly #lifecycle: Lifecycle;
  readonly #ports: DefinitionPorts;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(engine: StreamEngine, lifecycle: Lifecycle, ports: DefinitionPorts) {
    this.#engine = engine;
    this.#lifecycle = lifecycle;
    this.#ports = ports;
  }

  get inForce(): readonly StreamDefinition[] {
    return this.#lifecycle.definitions;
  }

  get #declaration(): Declaration {
    return { definitions: this.#lifecycle.declared, placeOf: this.#ports.placeOf };
  }

  /** Adds one, or puts it in the place of the one of its name that came by a call. Rejects with `StreamRefusal`. */
  define(stream: string, kind: Defined['kind'], definition: unknown): Promise<DefineOutcome> {
    return this.#inTurn(async () => {
      this.#engine.bookNamed(stream);
      const { defined, definitions: before } = this.#lifecycle.inForce;
      // A definition without a name does not get past the checks.
      const name = String((definition as { name?: unknown } | null)?.name);
      const added: Defined = { stream, kind, name };
      checkNotDeclared(added, this.#declaration, 'replaced');
      const definitions = before.map((each) => {
        if (each.name !== stream) return each;
        const others = (each[kind] ?? []).filter((other) => other.name !== name);
        return { ...each, [kind]: [...others, definition] } as StreamDefinition;
      });
      try {
        strangeReducers(this.#engine.plan, this.#lifecycle.planOf(definitions)).throwIfAny();
        idleMembersOfLast(definitions, added).throwIfAny();
        return await this.#putInForce({ definitions, defined: [...allBut(added, defined), added] });
      } catch (error) {
        throw error instanceof DefinitionProblem ? ofCall(error, definitions, added) : error;
      }
    });
  }

  /** Takes one away that came by a call, with its state. Rejects with `StreamRefusal`. */
  remove(stream: string, kind: Defined['kind'], name: string): Promise<DefineOutcome> {
    return this.#inTurn(async () => {
      this.#engine.bookNamed(stream);
      return this.#putInForce(without({ stream, kind, name }, this.#lifecycle.inForce, this.#declaration));
    });
  }

  /** Puts all of these in force, read when what was defined before is. False: they are, or there are none. */
  adopt(read: () => Promise<readonly StreamDefinition[] | null>): Promise<boolean> {
    return this.#inTurn(async () => {
      const definitions = await read();
      // As they were stored, whatever the order of members.
      const known: unknown = JSON.parse(JSON.stringify(this.inForce));
      if (definitions === null || isDeepStrictEqual(definitions, known)) return false;
      await this.#putInForce({ definitions, defined: definedBeside(this.#lifecycle.declared, definitions) });
      return true;
    });
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const next = this.#turn.then(() => this.#whenStarted(work)).catch(refuse);
    this.#turn = next.catch(() => undefined);
    return next;
  }

  #whenStarted<T>(work: () => Promise<T>): Promise<T> {
    if (this.#engine.state !== 'starting') return work();
    throw new StreamRefusal('stopped', 'the streams are starting', RETRY_AFTER_MS);
  }

  async #putInForce(next: InForce): Promise<DefineOutcome> {
    const outcome = await this.#lifecycle.putInForce(next);
    this.#ports.changed();
    return outcome;
  }
}

function refuse(error: unknown): never {
  if (error instanceof DefinitionProblem) throw new StreamRefusal('invalid', error.message);
  throw refusalOf(error);
}
