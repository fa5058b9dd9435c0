/**
 * Checkpoints in LMDB: what a restart begins with.
 *
 * Role: the pieces and manifests of `pieced-checkpoints.ts`, in an environment that the log may share.
 * Tables: manifests, keyed [id, seq]; pieces, keyed [id, content, piece]. Ids rise and are never used twice. At most
 * `PIECE_BYTES` go into one write, and the next waits for it: appends to the log pass in between.
 */
import type { LmdbEnvironment, LmdbTable, TableKey } from '../lmdb/open.ts';
import { PIECE_BYTES } from './manifest.ts';
import { PiecedCheckpoints, type PieceStore } from './pieced-checkpoints.ts';
import { CHECKPOINTS_KEPT } from './port.ts';

const REMOVED_PER_WRITE = 256;
/** Manifests looked at when it is opened: those kept, and what crashes between save and removal left. */
const MANIFESTS_MAX = 1024;

export class LmdbCheckpointStore extends PiecedCheckpoints {
  constructor(environment: LmdbEnvironment, keep: number = CHECKPOINTS_KEPT) {
    const manifests = environment.table('checkpoints');
    const keys = manifests.keys({ limit: MANIFESTS_MAX }) as [number, number][];
    const kept = keys.map(([id, seq]) => ({ id, seq, damaged: false }));
    super(new LmdbPieces(environment, manifests, kept.at(-1)?.id ?? 0), keep, kept);
  }
}

class LmdbPieces implements PieceStore {
  readonly #environment: LmdbEnvironment;
  readonly #manifests: LmdbTable;
  readonly #pieces: LmdbTable;
  #nextId: number;
  /** Pieces that wait until they are worth a write. */
  #collected: [TableKey, Buffer][] = [];
  #bytes = 0;

  constructor(environment: LmdbEnvironment, manifests: LmdbTable, newestId: number) {
    this.#environment = environment;
    this.#manifests = manifests;
    this.#pieces = environment.table('checkpoint-pieces');
    const [newestPiece] = this.#pieces.keys({ reverse: true, limit: 1 }) as [number, number, number][];
    this.#nextId = Math.max(0, newestId, newestPiece?.[0] ?? 0) + 1;
  }

  async begin(kept: ReadonlySet<number>): Promise<number> {
    await this.#environment.recover();
    // Of a save that failed: they have another id.
    this.#collected = [];
    this.#bytes = 0;
    await this.#removeLeftovers(kept);
    return this.#nextId++;
  }

  async write(id: number, content: number, piece: number, bytes: Buffer): Promise<void> {
    if (this.#bytes + bytes.byteLength > PIECE_BYTES) await this.flush();
    this.#collected.push([[id, content, piece], bytes]);
    this.#bytes += bytes.byteLength;
  }

  async flush(): Promise<void> {
    const collected = this.#collected;
    this.#collected = [];
    this.#bytes = 0;
    await this.#environment.write(() => {
      for (const [key, bytes] of collected) this.#pieces.put(key, bytes);
    });
  }

  piece(id: number, content: number, piece: number): Buffer | undefined {
    return this.#pieces.get([id, content, piece]);
  }

  async finish(id: number, seq: number, manifest: Buffer): Promise<void> {
    await this.#environment.write(() => this.#manifests.put([id, seq], manifest));
  }

  manifest(id: number, seq: number): Buffer | undefined {
    return this.#manifests.get([id, seq]);
  }

  async remove(id: number, seq: number): Promise<void> {
    await this.#environment.write(() => this.#manifests.remove([id, seq]));
    await this.#removePieces(id);
  }

  damage(error: unknown): string {
    return `cannot be read: ${String(error)}`;
  }

  /**
   * Pieces of ids that are not kept: of saves that did not finish, or that succeeded after they were reported as
   * failed, and of removals that a crash cut short.
   */
  async #removeLeftovers(kept: ReadonlySet<number>): Promise<void> {
    for (const [id, seq] of this.#manifests.keys({ limit: MANIFESTS_MAX }) as [number, number][]) {
      if (!kept.has(id)) await this.#environment.write(() => this.#manifests.remove([id, seq]));
    }
    let after = 0;
    for (;;) {
      const [key] = this.#pieces.keys({ from: [after], limit: 1 }) as [number, number, number][];
      if (key === undefined) return;
      const [id] = key;
      if (!kept.has(id)) await this.#removePieces(id);
      after = id + 1;
    }
  }

  async #removePieces(id: number): Promise<void> {
    for (;;) {
      const keys = this.#pieces.keys({ from: [id], before: [id + 1], limit: REMOVED_PER_WRITE });
      if (keys.length === 0) return;
      await this.#environment.write(() => {
        for (const key of keys) this.#pieces.remove(key);
      });
    }
  }
}
