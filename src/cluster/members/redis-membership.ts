/**
 * Membership in a cluster that meets in Redis: what the heartbeat thread saw last, and this node itself.
 *
 * Role: the front end's view. Reading is local and at once; everything that waits happens in the thread. This node stands
 * among the nodes whether Redis is there or not, as it knows itself, unless it is fenced: then the other start does.
 */
import type { Log } from '../../observe/port.ts';
import { atMost, deferred } from '../../waiting.ts';
import type { LoadBoard } from '../heartbeat/load-board.ts';
import type { HeartSetup, Sighting } from '../heartbeat/messages.ts';
import { HeartThread } from '../heartbeat/thread.ts';
import type { Membership, NodeFacts, NodeRecord } from '../port.ts';
import { NodeChanges } from './node-changes.ts';
import { UNKNOWN_FACTS } from './sole-node.ts';

/** How long joining waits to be registered before it goes on without. */
const JOIN_MS_MAX = 2000;

export interface RedisMembershipOptions extends Omit<HeartSetup, 'epoch' | 'known' | 'facts' | 'board'> {
  readonly board: LoadBoard;
  readonly log: Pick<Log, 'info' | 'warn'>;
}

export class RedisMembership implements Membership {
  readonly id: string;
  readonly #options: RedisMembershipOptions;
  readonly #changes = new NodeChanges();
  #thread: HeartThread | null = null;
  #facts: NodeFacts = UNKNOWN_FACTS;
  #sighting: Sighting = { nodes: [], epoch: 0, read: false, fenced: false, trouble: '' };
  #nodes: readonly NodeRecord[] = [];
  #byId: ReadonlyMap<string, NodeRecord> = new Map();
  #known = false;
  #threadFailed = false;
  #firstSeen: () => void = () => undefined;

  constructor(options: RedisMembershipOptions) {
    this.id = options.id;
    this.#options = options;
    this.#show();
  }

  get nodes(): readonly NodeRecord[] {
    return this.#nodes;
  }

  node(id: string): NodeRecord | undefined {
    return this.#byId.get(id);
  }

  get known(): boolean {
    return this.#known;
  }

  get fenced(): boolean {
    return this.#sighting.fenced;
  }

  get degraded(): readonly string[] {
    const { fenced, trouble } = this.#sighting;
    return [
      ...(trouble === '' ? [] : [`redis ${trouble}`]),
      ...(fenced ? ['fenced'] : []),
      ...(this.#threadFailed ? ['heartbeat'] : []),
    ];
  }

  async join(facts: NodeFacts): Promise<void> {
    if (this.#thread !== null) throw new Error('joined already');
    const { board, log, ...setup } = this.#options;
    this.#facts = facts;
    this.#show();
    const seen = deferred();
    this.#firstSeen = seen.resolve;
    this.#thread = new HeartThread(
      { ...setup, facts, epoch: 0, known: [], board: board.shared },
      {
        seen: (sighting) => this.#seen(sighting),
        log: (level, fields, message) => log[level](fields, message),
        failed: (error) => {
          this.#threadFailed = true;
          log.warn({ err: error }, 'the heartbeat thread ended; it is started again');
        },
      },
    );
    await atMost(seen.promise, JOIN_MS_MAX);
  }

  update(facts: Partial<NodeFacts>): void {
    this.#facts = { ...this.#facts, ...facts };
    this.#thread?.update(this.#facts);
    this.#show();
  }

  async leave(): Promise<void> {
    await this.#thread?.leave();
  }

  onChange(listener: () => void): () => void {
    return this.#changes.on(listener);
  }

  #seen(sighting: Sighting): void {
    this.#threadFailed = false;
    this.#sighting = sighting;
    this.#known ||= sighting.read;
    this.#show();
    this.#firstSeen();
  }

  #show(): void {
    const { epoch, fenced, nodes } = this.#sighting;
    const seen = nodes.find(({ id }) => id === this.id);
    // What this node knows of itself is newer than what it wrote.
    const self: NodeRecord =
      fenced && seen !== undefined
        ? seen
        : {
            ...this.#facts,
            id: this.id,
            load: this.#options.board.load,
            busy: false,
            epoch,
            heartbeatAgeMs: seen?.heartbeatAgeMs ?? 0,
          };
    this.#nodes = [...nodes.filter(({ id }) => id !== this.id), self].sort((a, b) => (a.id < b.id ? -1 : 1));
    this.#byId = new Map(this.#nodes.map((node) => [node.id, node]));
    this.#changes.look(this.#nodes, this.#known);
  }
}
