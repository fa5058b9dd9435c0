/**
 * The embedded bus: changes of this node, told to the listeners of this node.
 *
 * Role: decouples whoever publishes (a tool in the middle of a call, a catalogue swap, a task) from whoever writes to
 * sockets. A change waits for the end of the turn, so equal changes of one turn are told once, a listener never runs
 * inside a publisher or another listener, and listeners that publish to each other cannot starve the event loop.
 * Invariants: a change published is delivered exactly once per listener or replaced by a later one of the same name;
 * deliveries keep the order of first publication. Delivery to other nodes is a remote implementation's business.
 */
import type { Log } from '../observe/port.ts';
import { changeKey } from './change-key.ts';
import type { Bus, Change } from './port.ts';

/** Distinct changes waiting for the end of the turn. Reached: they are delivered at once. */
export const PENDING_CHANGES_MAX = 65_536;
/** Listeners are subsystems, not clients; more means a leak. */
export const BUS_LISTENERS_MAX = 256;

export interface MemoryBusOptions {
  readonly log: Pick<Log, 'error'>;
  /** Runs the delivery after the current turn. Default `setImmediate`. */
  readonly defer?: (deliver: () => void) => void;
}

type Listener = (change: Change) => void;

export class MemoryBus implements Bus {
  readonly #log: Pick<Log, 'error'>;
  readonly #defer: (deliver: () => void) => void;
  readonly #listeners = new Set<Listener>();
  #pending = new Map<string, Change>();
  #scheduled = false;
  #delivering = false;
  readonly #deliverLater = (): void => {
    this.#scheduled = false;
    this.#deliver();
  };

  constructor(options: MemoryBusOptions) {
    this.#log = options.log;
    this.#defer = options.defer ?? ((deliver) => void setImmediate(deliver));
  }

  publish(change: Change): void {
    const key = changeKey(change);
    if (this.#pending.size >= PENDING_CHANGES_MAX && !this.#pending.has(key)) {
      // Inside a listener nothing can be delivered, and that many distinct changes from one delivery is a loop.
      if (this.#delivering) throw new RangeError(`more than ${PENDING_CHANGES_MAX} changes from one delivery`);
      this.#deliver();
    }
    this.#pending.set(key, change);
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#defer(this.#deliverLater);
  }

  subscribe(listener: Listener): () => void {
    if (this.#listeners.size >= BUS_LISTENERS_MAX) throw new RangeError(`more than ${BUS_LISTENERS_MAX} bus listeners`);
    // A wrapper of its own, so that the same function subscribed twice is two subscriptions.
    const own: Listener = (change) => listener(change);
    this.#listeners.add(own);
    return () => {
      this.#listeners.delete(own);
    };
  }

  #deliver(): void {
    if (this.#pending.size === 0) return;
    const changes = this.#pending;
    this.#pending = new Map();
    this.#delivering = true;
    for (const change of changes.values()) {
      for (const listener of this.#listeners) this.#tell(listener, change);
    }
    this.#delivering = false;
  }

  /** A listener that throws is a bug of its own and must not keep the change from the others. */
  #tell(listener: Listener, change: Change): void {
    try {
      listener(change);
    } catch (cause) {
      this.#log.error({ err: cause, change: change.kind }, 'a bus listener failed');
    }
  }
}
