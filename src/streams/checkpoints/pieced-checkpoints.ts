/**
 * Checkpoints as pieces and a manifest, wherever pieces are kept: what LMDB and Redis have in common.
 *
 * Role: cuts contents into pieces, writes them, then the manifest; reads them back and says what is damaged; keeps the
 * newest good ones. A checkpoint without a manifest does not exist, so one that is cut short leaves the earlier ones as
 * they were; its pieces are removed by the next save.
 * Leaves to its `PieceStore`: where things are, and what may be written together.
 */
import { setImmediate } from 'node:timers/promises';
import type { MaybePromise } from '../../sessions/port.ts';
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
import type { Checkpoint, CheckpointStore, CheckpointToSave, TakeChunk } from './port.ts';

/** Contents that are texts; chunks have names that begin with another letter. */
const DEFINITIONS = 'd';
const FACTS = 'f';
const CHUNK = 'c';

export interface KeptCheckpoint {
  /** Rises, and is never used twice. */
  readonly id: number;
  readonly seq: number;
  damaged: boolean;
}

/** Pieces of at most `PIECE_BYTES`. One save at a time. */
export interface PieceStore {
  /** Removes what belongs to none of these, and gives the id of a new one. */
  begin(kept: ReadonlySet<number>): Promise<number>;
  /** May be collected until `flush`. */
  write(id: number, content: number, piece: number, bytes: Buffer): MaybePromise<void>;
  flush(): Promise<void>;
  piece(id: number, content: number, piece: number): MaybePromise<Buffer | undefined>;
  /** Makes the checkpoint visible. */
  finish(id: number, seq: number, manifest: Buffer): Promise<void>;
  manifest(id: number, seq: number): MaybePromise<Buffer | undefined>;
  /** The manifest first. */
  remove(id: number, seq: number): Promise<void>;
  /** A failure to read that is damage, in words; null for one that is not: it rejects. */
  damage(error: unknown): string | null;
}

export class PiecedCheckpoints implements CheckpointStore {
  readonly #store: PieceStore;
  readonly #keep: number;
  #kept: KeptCheckpoint[];
  #saving: Promise<void> | null = null;

  /** `kept`: those that have a manifest, oldest first. */
  constructor(store: PieceStore, keep: number, kept: KeptCheckpoint[]) {
    this.#store = store;
    this.#keep = keep;
    this.#kept = kept;
  }

  save(checkpoint: CheckpointToSave): Promise<void> {
    if (this.#saving !== null) throw new Error('a checkpoint is being saved already');
    this.#saving = this.#save(checkpoint).finally(() => {
      this.#saving = null;
    });
    return this.#saving;
  }

  async newest(
    damaged: (seq: number, reason: string) => void,
    take: TakeChunk = () => false,
  ): Promise<Checkpoint | null> {
    for (const kept of this.#kept.toReversed()) {
      const checkpoint = await this.#load(kept, take);
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

  async #save(checkpoint: CheckpointToSave): Promise<void> {
    const store = this.#store;
    const { seq } = checkpoint;
    const id = await store.begin(new Set(this.#kept.map((kept) => kept.id)));
    const contents: Content[] = [];
    for (const [name, bytes] of contentsOf(checkpoint)) {
      contents.push({ name, byteLength: bytes.byteLength, pieces: await this.#write(id, contents.length, bytes) });
    }
    await store.flush();
    await store.finish(id, seq, encodeManifest(id, { seq, contents }));
    this.#kept.push({ id, seq, damaged: false });
    // It is saved, whatever becomes of the old ones: the next save removes what this one could not.
    await Promise.allSettled([this.#removeOld()]);
  }

  async #write(id: number, content: number, bytes: Uint8Array): Promise<Piece[]> {
    const pieces: Piece[] = [];
    for (let at = 0; at < bytes.byteLength; at += PIECE_BYTES) {
      const stored = cutPiece(bytes, at);
      if (stored.byteLength > 0) await this.#store.write(id, content, pieces.length, stored);
      pieces.push(pieceOf(stored));
    }
    return pieces;
  }

  async #load({ id, seq }: KeptCheckpoint, take: TakeChunk): Promise<Checkpoint | string> {
    try {
      const manifest = decodeManifest(id, await this.#store.manifest(id, seq));
      if (typeof manifest === 'string') return manifest;
      if (manifest.seq !== seq) return `manifest: sequence number ${manifest.seq} instead of ${seq}`;
      const contents = await this.#loadContents(id, manifest, take);
      return typeof contents === 'string' ? contents : checkpointOf(seq, contents);
    } catch (error) {
      const damage = this.#store.damage(error);
      if (damage === null) throw error;
      return damage;
    }
  }

  async #loadContents(id: number, manifest: Manifest, take: TakeChunk): Promise<Map<string, Uint8Array> | string> {
    const contents = new Map<string, Uint8Array>();
    for (const [index, { name, byteLength, pieces }] of manifest.contents.entries()) {
      const bytes = new Uint8Array(new SharedArrayBuffer(byteLength));
      for (const [number, piece] of pieces.entries()) {
        const stored = piece.storedBytes === 0 ? undefined : await this.#store.piece(id, index, number);
        const problem = pieceProblem(stored, piece);
        if (problem !== null) return `piece ${number} of ${name.slice(1) || name}: ${problem}`;
        if (stored === undefined) continue;
        bytes.set(stored, number * PIECE_BYTES);
        await setImmediate();
      }
      if (!name.startsWith(CHUNK) || !take(name.slice(CHUNK.length), bytes)) contents.set(name, bytes);
    }
    return contents;
  }

  /** Keeps the newest good ones; a damaged one stays only while there is room. */
  async #removeOld(): Promise<void> {
    while (this.#kept.length > this.#keep) {
      const damagedAt = this.#kept.findIndex(({ damaged }) => damaged);
      const { id, seq } = this.#kept[Math.max(0, damagedAt)] as KeptCheckpoint;
      await this.#store.remove(id, seq);
      this.#kept = this.#kept.filter((each) => each.id !== id);
    }
  }
}

function* contentsOf(checkpoint: CheckpointToSave): Generator<[string, Uint8Array]> {
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
