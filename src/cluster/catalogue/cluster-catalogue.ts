/**
 * The catalogue of all nodes together: tells what this node runs, and learns what the others do.
 *
 * Role: between `ToolBoard` (Redis), `Membership` (who is alive) and the catalogue of this process, which is given
 * definitions of the tools that are run elsewhere. It looks when a node comes or goes, when one tells of a change, and
 * every few heartbeats in case a message was lost.
 * Invariants: a tool is shown for as long as a node that runs it is alive, and for `GRACE_BEATS` heartbeats longer, so
 * that a restart takes nothing away; where two nodes tell of one name differently, the one that was started last is
 * believed, by every node alike; what cannot be compiled is left out and said once. Redis being away changes nothing
 * that is known; that there is nothing else is known (`complete`) only while Redis can be asked.
 */
import type { SourcedDefinition } from '../../catalogue/entries.ts';
import type { Log } from '../../observe/port.ts';
import { RedisUnavailable } from '../../redis/unavailable.ts';
import type { Membership } from '../port.ts';
import { LISTINGS_BYTES_MAX, type NodeTools, type ToolBoard } from './tool-board.ts';
import { listingOf, nameOfListing, remoteTool } from './tool-listing.ts';

/** Heartbeats for which the tools of a node that is gone are still shown. */
export const GRACE_BEATS = 3;
/** Between two looks when nothing was told. */
const LOOK_BEATS = 3;
/** Nodes whose tools are kept. */
const NODES_MAX = 1024;

export interface ClusterCatalogueOptions {
  readonly board: ToolBoard;
  readonly membership: Membership;
  readonly heartbeatMs: number;
  /** Listens to a channel; returns unsubscribe. */
  readonly subscribe: (channel: string, listener: () => void) => () => void;
  /** Takes the tools that other nodes run, whenever they change. */
  readonly learn: (definitions: readonly SourcedDefinition[]) => void;
  /** What nodes offer was read anew. */
  readonly looked: () => void;
  readonly log: Pick<Log, 'warn'>;
  /** Monotonic milliseconds. */
  readonly now: () => number;
}

interface KnownNode {
  tools: NodeTools;
  /** Names of them. */
  names: ReadonlySet<string>;
  epoch: number;
  aliveAtMs: number;
}

export class ClusterCatalogue {
  readonly #options: ClusterCatalogueOptions;
  readonly #nodes = new Map<string, KnownNode>();
  /** By listing; the same listing keeps its definition, and so its entry. Null: faulty. */
  #definitions = new Map<string, SourcedDefinition | null>();
  #own: readonly string[] | null = null;
  /** Names of them, whether they are told of or not. */
  #ownNames: readonly string[] = [];
  /** Names that this node ran before and does not now. */
  #dropped: readonly string[] = [];
  #seen: readonly string[] = [];
  /** It has said once what it runs, since it was started. */
  #hasSaid = false;
  #told = '';
  /** Epoch under which `own` was written; null: it is not there. */
  #writtenAs: number | null = null;
  /** The look that is under way. */
  #looking: Promise<void> | null = null;
  #lookAgain = false;
  #closed = false;
  #complete = false;
  #completed: () => void = () => undefined;
  /** Resolves when it is complete for the first time. */
  readonly ready: Promise<void> = new Promise((resolve) => {
    this.#completed = resolve;
  });
  readonly #stops: (() => void)[] = [];

  constructor(options: ClusterCatalogueOptions) {
    this.#options = options;
  }

  start(): void {
    const { board, heartbeatMs, membership, subscribe } = this.#options;
    const look = (): void => void this.look();
    this.#stops.push(
      membership.onChange(() => this.#changed()),
      subscribe(board.channel, look),
    );
    const renewal = setInterval(() => void this.#renew(), heartbeatMs);
    const looks = setInterval(look, LOOK_BEATS * heartbeatMs);
    this.#stops.push(
      () => clearInterval(renewal),
      () => clearInterval(looks),
    );
    look();
  }

  /** What this node runs now. Returns the names, sorted. */
  offer(sources: readonly SourcedDefinition[]): readonly string[] {
    const byName = new Map<string, string>();
    let bytes = 0;
    for (const source of sources) {
      const listing = listingOf(source);
      if (listing === '') continue;
      bytes += listing.length;
      byName.set(source.definition.name, listing);
    }
    const names = [...byName.keys()].sort();
    if (bytes > LISTINGS_BYTES_MAX) {
      this.#options.log.warn({ bytes, bytesMax: LISTINGS_BYTES_MAX }, 'the tools are too large to tell other nodes of');
      byName.clear();
    }
    const own = names.map((name) => byName.get(name) ?? '').filter((listing) => listing !== '');
    const before = this.#own;
    const current = new Set(names);
    this.#dropped = [...new Set([...this.#dropped, ...this.#ownNames])].filter((name) => !current.has(name));
    this.#ownNames = names;
    this.#own = own;
    if (before?.length === own.length && own.every((listing, n) => listing === before[n])) return names;
    this.#writtenAs = null;
    void this.#renew();
    return names;
  }

  /** Names of tools that a node ran lately and that were not taken away on purpose, as far as is known here. */
  get seen(): readonly string[] {
    return this.#seen;
  }

  /** The last look came through, at all nodes there are: a tool that is not known then is run by nobody. */
  get complete(): boolean {
    return this.#complete;
  }

  /** Whether a node has said that it runs a tool. */
  offers(nodeId: string, tool: string): boolean {
    return this.#nodes.get(nodeId)?.names.has(tool) ?? false;
  }

  /** Null: this start may not write, or not yet. */
  get #epoch(): number | null {
    const { membership } = this.#options;
    const epoch = membership.node(membership.id)?.epoch ?? 0;
    return membership.fenced || epoch === 0 ? null : epoch;
  }

  async #renew(): Promise<void> {
    const { board, membership } = this.#options;
    const own = this.#own;
    const epoch = this.#epoch;
    if (own === null || epoch === null || this.#closed) return;
    try {
      if (this.#writtenAs === epoch && (await board.renew(membership.id, epoch))) return;
      await board.write(membership.id, epoch, own);
      this.#writtenAs = this.#own === own ? epoch : null;
    } catch (error) {
      this.#away(error);
      this.#writtenAs = null;
    }
  }

  /** Nodes have come, gone or changed; this one may have been registered. */
  #changed(): void {
    if (this.#writtenAs === null || this.#writtenAs !== this.#epoch) void this.#renew();
    void this.look();
  }

  /** Reads what the nodes that are alive tell, one look at a time. Resolves when one that began after this call is done. */
  look(): Promise<void> {
    if (this.#closed) return Promise.resolve();
    if (this.#looking !== null) this.#lookAgain = true;
    this.#looking ??= this.#look();
    return this.#looking;
  }

  async #look(): Promise<void> {
    let isAll = false;
    try {
      do {
        this.#lookAgain = false;
        isAll = this.#options.membership.known;
        await this.#readAll();
        await this.#seeAll();
      } while (this.#lookAgain && !this.#closed);
    } catch (error) {
      isAll = false;
      this.#away(error);
    } finally {
      this.#looking = null;
    }
    if (this.#closed) return;
    this.#options.looked();
    this.#learn();
    this.#complete = isAll;
    if (isAll) this.#completed();
  }

  async #readAll(): Promise<void> {
    const { board, membership, now } = this.#options;
    for (const { id, epoch } of membership.nodes) {
      if (id === membership.id) continue;
      const known = this.#nodes.get(id);
      if (known === undefined && this.#nodes.size >= NODES_MAX) continue;
      const tools = await board.read(id, known?.tools ?? null);
      if (tools === null) continue;
      const names = tools === known?.tools ? known.names : namesOf(tools);
      this.#nodes.set(id, { tools, names, epoch, aliveAtMs: now() });
    }
  }

  async #seeAll(): Promise<void> {
    const { board, membership } = this.#options;
    const dropped = this.#dropped;
    try {
      if (!membership.fenced) await board.forget(dropped);
      if (this.#dropped === dropped) this.#dropped = [];
      // Has said goodbye by now.
      if (this.#closed) return;
      const isSilent = membership.fenced || this.#own === null;
      this.#seen = await board.saw(membership.id, isSilent ? [] : this.#ownNames, !isSilent && !this.#hasSaid);
      this.#hasSaid ||= !isSilent;
    } catch (error) {
      this.#away(error);
    }
  }

  #learn(): void {
    this.#forgetTheDead();
    const kept = new Map<string, SourcedDefinition | null>();
    const chosen = new Map<string, string>();
    // In the same order on every node: the newest start speaks last, and is believed.
    const nodes = [...this.#nodes].sort(([idA, a], [idB, b]) => a.epoch - b.epoch || (idA < idB ? -1 : 1));
    for (const [id, { tools }] of nodes) {
      for (const listing of tools.listings) {
        const source = this.#definitionOf(id, listing);
        kept.set(listing, source);
        if (source !== null) chosen.set(source.definition.name, listing);
      }
    }
    this.#definitions = kept;
    const listings = [...chosen.values()].sort();
    const told = listings.join('\n');
    if (told === this.#told) return;
    this.#told = told;
    this.#options.learn(listings.map((listing) => kept.get(listing) as SourcedDefinition));
  }

  #forgetTheDead(): void {
    const { heartbeatMs, membership, now } = this.#options;
    for (const [id, node] of this.#nodes) {
      if (membership.node(id) !== undefined) node.aliveAtMs = now();
      else if (now() - node.aliveAtMs > GRACE_BEATS * heartbeatMs) this.#nodes.delete(id);
    }
  }

  /** Null: faulty, which is told once for as long as a node tells of it. */
  #definitionOf(id: string, listing: string): SourcedDefinition | null {
    const known = this.#definitions.get(listing);
    if (known !== undefined) return known;
    try {
      const source = remoteTool(listing);
      this.#definitions.set(listing, source);
      return source;
    } catch (error) {
      this.#options.log.warn({ err: error, node: id }, 'a tool of another node cannot be used here');
      return null;
    }
  }

  /** Nothing is lost: it is tried again with the next heartbeat. */
  #away(error: unknown): void {
    if (error instanceof RedisUnavailable) return;
    this.#options.log.warn({ err: error }, 'the tools of other nodes could not be read');
  }

  /** Tells the others that the tools are gone with this node. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    for (const stop of this.#stops) stop();
    try {
      const epoch = this.#epoch;
      if (epoch === null) return;
      await this.#options.board.left(this.#ownNames);
      await this.#options.board.remove(this.#options.membership.id, epoch);
    } catch (error) {
      this.#away(error);
    }
  }
}

function namesOf(tools: NodeTools): ReadonlySet<string> {
  return new Set(tools.listings.map(nameOfListing));
}
