/**
 * Changes a session has still to be told of.
 *
 * Role: while a client reads slowly, or has no stream open, changes are held here instead of being queued: each list
 * once, each resource once, whatever the number of changes. They carry no payload, so nothing is lost by it.
 * Invariants: bounded by three lists and the session's subscriptions, from which the URIs come; what is held is
 * written in one go, as far as the client keeps up, and is gone once written.
 */
export type ListKind = 'tools' | 'resources' | 'prompts';

/** Where notices go. */
export interface Outlet {
  /** A message written now would leave. */
  readonly ready: boolean;
  /** `message` is lent. */
  send(message: Uint8Array | string): void;
}

/** What `Notices` holds, to be taken elsewhere. */
export interface HeldNotices {
  /** Bits of the lists. */
  readonly lists: number;
  readonly uris: readonly string[];
}

export const LIST_BIT = { tools: 1, resources: 2, prompts: 4 } as const;
export const ALL_LISTS = LIST_BIT.tools | LIST_BIT.resources | LIST_BIT.prompts;
export const LIST_KINDS: readonly ListKind[] = ['tools', 'resources', 'prompts'];

const listChanged: Readonly<Record<ListKind, string>> = {
  tools: '{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}',
  resources: '{"jsonrpc":"2.0","method":"notifications/resources/list_changed"}',
  prompts: '{"jsonrpc":"2.0","method":"notifications/prompts/list_changed"}',
};

export class Notices {
  #lists = 0;
  #uris: Set<string> | null = null;

  list(kind: ListKind, outlet: Outlet): void {
    if (outlet.ready) outlet.send(listChanged[kind]);
    else this.#lists |= LIST_BIT[kind];
  }

  resource(uri: string, outlet: Outlet): void {
    if (outlet.ready) {
      outlet.send(resourceUpdated(uri));
      return;
    }
    this.#uris ??= new Set();
    this.#uris.add(uri);
  }

  /** Everything at once, to be told when there is an outlet. */
  hold(held: HeldNotices): void {
    this.#lists |= held.lists;
    if (held.uris.length === 0) return;
    this.#uris ??= new Set();
    for (const uri of held.uris) this.#uris.add(uri);
  }

  /** What is held, for somebody else to tell. */
  take(): HeldNotices {
    const held = { lists: this.#lists, uris: [...(this.#uris ?? [])] };
    this.#lists = 0;
    this.#uris = null;
    return held;
  }

  /** The session no longer subscribes to it. */
  forget(uri: string): void {
    this.#uris?.delete(uri);
  }

  flush(outlet: Outlet): void {
    for (const kind of LIST_KINDS) {
      if ((this.#lists & LIST_BIT[kind]) === 0) continue;
      if (!outlet.ready) return;
      this.#lists &= ~LIST_BIT[kind];
      outlet.send(listChanged[kind]);
    }
    for (const uri of this.#uris ?? []) {
      if (!outlet.ready) return;
      this.#uris?.delete(uri);
      outlet.send(resourceUpdated(uri));
    }
    this.#uris = null;
  }
}

function resourceUpdated(uri: string): string {
  return `{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":${JSON.stringify(uri)}}}`;
}
