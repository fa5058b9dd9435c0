/**
 * Checkpoints in LMDB: pieces first, the manifest last.
 *
 * Role: what a restart begins with. A checkpoint without a manifest does not exist, so one that is cut short by a crash
 * or a full disk leaves the earlier ones as they were; its pieces are removed later.
 * Tables: manifests, keyed [id, seq]; pieces, keyed [id, content, piece]. Ids rise and are never used twice. At most
 * `PIECE_BYTES` go into one write, and the next waits for it: appends to the log that shares the environment pass in
 * between.
 */
import { setImmediate } from 'node:timers/promises';
import type { LmdbEnvironment, LmdbTable, TableKey } from '../lmdb/open.ts';
import {
  type Content,
  cutPiece,
  decodeManifest,
  encodeManifest,
  type Manifest,
  PIECE_BYTES,
  type Piece,
  pieceOf,
  pieceProblem,
} from './manifest.ts';
import { CHECKPOINTS_KEPT, type Checkpoint, type CheckpointStore } from './port.ts';

const REMOVED_PER_WRITE = 256;
/** Manifests looked at when it is opened: those kept, and what crashes between save and removal left. */
const MANIFESTS_MAX = 1024;
/** Contents that are texts; chunks have names that begin with another letter. */
const DEFINITIONS = 'd';
const FACTS = 'f';
const CHUNK = 'c';

interface Kept {
  readonly id: number;
  readonly seq: number;
  damaged: boolean;
}

/** Collects pieces until they are worth a flush. */
class PieceWriter {
  readonly #environment: LmdbEnvironment;
  readonly #table: LmdbTable;
  #collected: [TableKey, Buffer][] = [];
  #bytes = 0;

  constructor(environment: LmdbEnvironment, table: LmdbTable) {
    this.#environment = environment;
    this.#table = table;
  }

  async write(id: number, content: number, bytes: Uint8Array): Promise<Piece[]> {
    const pieces: Piece[] = [];
    for (let at = 0; at < bytes.byteLength; at += PIECE_BYTES) {
      const stored = cutPiece(bytes, at);
      const key: TableKey = [id, content, pieces.length];
      pieces.push(pieceOf(stored));
      if (stored.byteLength === 0) continue;
      if (this.#bytes + stored.byteLength > PIECE_BYTES) await this.flush();
      this.#collected.push([key, stored]);
      this.#bytes += stored.byteLength;
    }
    return pieces;
  }

  async flush(): Promise<void> {
    const collected = this.#collected;
    this.#collected = [];
    this.#bytes = 0;
    await this.#environment.write(() => {
      for (const [key, stored] of collected) this.#table.put(key, stored);
    });
  }
}

export class LmdbCheckpointStore implements CheckpointStore {
  readonly #environment: LmdbEnvironment;
  readonly #manifests: LmdbTable;
  readonly #pieces: LmdbTable;
  readonly #keep: number;
  #kept: Kept[];
  #nextId: number;
  #saving: Promise<void> | null = null;

  constructor(environment: LmdbEnvironment, keep: number = CHECKPOINTS_KEPT) {
    this.#environment = environment;
    this.#manifests = environment.table('checkpoints');
    this.#pieces = environment.table('checkpoint-pieces');
    this.#keep = keep;
    const keys = this.#manifests.keys({ limit: MANIFESTS_MAX }) as [number, number][];
    this.#kept = keys.map(([id, seq]) => ({ id, seq, damaged: false }));
    const [newestPiece] = this.#pieces.keys({ reverse: true, limit: 1 }) as [number, number, number][];
    this.#nextId = Math.max(0, this.#kept.at(-1)?.id ?? 0, newestPiece?.[0] ?? 0) + 1;
  }

  save(checkpoint: Checkpoint): Promise<void> {
    if (this.#saving !== null) throw new Error('a checkpoint is being saved already');
    this.#saving = this.#save(checkpoint).finally(() => {
      this.#saving = null;
    });
    return this.#saving;
  }

  async newest(damaged: (seq: number, reason: string) => void): Promise<Checkpoint | null> {
    for (const kept of this.#kept.toReversed()) {
      const checkpoint = await this.#load(kept);
      if (typeof checkpoint !== 'string') return checkpoint;
      kept.damaged = true;
      damaged(kept.seq, checkpoint);
    }
    return null;
  }

  oldestSeq(): number {
    return this.#kept[0]?.seq ?? 0;
  }

  async close(): Promise<void> {
    // Whoever saves is told what became of it.
    await Promise.allSettled([this.#saving]);
  }

  async #save(checkpoint: Checkpoint): Promise<void> {
    await this.#environment.recover();
    await this.#removeLeftovers();
    const id = this.#nextId++;
    const pieces = new PieceWriter(this.#environment, this.#pieces);
    const contents: Content[] = [];
    for (const [name, bytes] of contentsOf(checkpoint)) {
      contents.push({ name, byteLength: bytes.byteLength, pieces: await pieces.write(id, contents.length, bytes) });
    }
    await pieces.flush();
    const manifest = encodeManifest(id, { seq: checkpoint.seq, contents });
    await this.#environment.write(() => this.#manifests.put([id, checkpoint.seq], manifest));
    this.#kept.push({ id, seq: checkpoint.seq, damaged: false });
    // It is saved, whatever becomes of the old ones: the next save removes what this one could not.
    await Promise.allSettled([this.#removeOld()]);
  }

  async #load({ id, seq }: Kept): Promise<Checkpoint | string> {
    try {
      const manifest = decodeManifest(id, this.#manifests.get([id, seq]));
      if (typeof manifest === 'string') return manifest;
      if (manifest.seq !== seq) return `manifest: sequence number ${manifest.seq} instead of ${seq}`;
      const contents = await this.#loadContents(id, manifest);
      return typeof contents === 'string' ? contents : checkpointOf(seq, contents);
    } catch (error) {
      return `cannot be read: ${String(error)}`;
    }
  }

  async #loadContents(id: number, manifest: Manifest): Promise<Map<string, Uint8Array> | string> {
    const contents = new Map<string, Uint8Array>();
    for (const [index, { name, byteLength, pieces }] of manifest.contents.entries()) {
      const bytes = new Uint8Array(new SharedArrayBuffer(byteLength));
      for (const [number, piece] of pieces.entries()) {
        const stored = piece.storedBytes === 0 ? undefined : this.#pieces.get([id, index, number]);
        const problem = pieceProblem(stored, piece);
        if (problem !== null) return `piece ${number} of ${name.slice(1) || name}: ${problem}`;
        if (stored === undefined) continue;
        bytes.set(stored, number * PIECE_BYTES);
        await setImmediate();
      }
      contents.set(name, bytes);
    }
    return contents;
  }

  /** Keeps the newest good ones; a damaged one stays only while there is room. */
  async #removeOld(): Promise<void> {
    while (this.#kept.length > this.#keep) {
      const damagedAt = this.#kept.findIndex(({ damaged }) => damaged);
      const { id, seq } = this.#kept[Math.max(0, damagedAt)] as Kept;
      await this.#environment.write(() => this.#manifests.remove([id, seq]));
      this.#kept = this.#kept.filter((each) => each.id !== id);
      await this.#removePieces(id);
    }
  }

  /** Pieces of ids that have no manifest: saves that did not finish, removals that a crash cut short. */
  async #removeLeftovers(): Promise<void> {
    const ids = new Set(this.#kept.map(({ id }) => id));
    let after = 0;
    for (;;) {
      const [key] = this.#pieces.keys({ from: [after], limit: 1 }) as [number, number, number][];
      if (key === undefined) return;
      const [id] = key;
      if (!ids.has(id)) await this.#removePieces(id);
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

function* contentsOf(checkpoint: Checkpoint): Generator<[string, Uint8Array]> {
  yield [DEFINITIONS, Buffer.from(checkpoint.definitionsJson)];
  yield [FACTS, Buffer.from(checkpoint.factsJson)];
  for (const [name, bytes] of checkpoint.chunks) yield [CHUNK + name, bytes];
}

function checkpointOf(seq: number, contents: Map<string, Uint8Array>): Checkpoint {
  const text = (name: string): string => Buffer.from(contents.get(name) ?? []).toString('utf8');
  const chunks = new Map<string, Uint8Array>();
  for (const [name, bytes] of contents) if (name.startsWith(CHUNK)) chunks.set(name.slice(CHUNK.length), bytes);
  return { seq, definitionsJson: text(DEFINITIONS), factsJson: text(FACTS), chunks };
}
