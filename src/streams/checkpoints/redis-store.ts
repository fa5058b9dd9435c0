/**
 * Checkpoints in Redis: pieces first, the manifest last.
 *
 * Role: what the next owner of a unit begins with. A checkpoint without a manifest does not exist, so one that is cut
 * short leaves the earlier ones as they were; its pieces are removed by the next save. Pieces, of at most 1 MiB, go in
 * script calls of a few; each call checks the owner's token, so what a node writes after it was replaced is refused.
 * Ids are given out by Redis and never used twice, so pieces of two owners never mix.
 */
import { setImmediate } from 'node:timers/promises';
import type { RedisReply } from '../../redis/connection.ts';
import { guarded, type UnitFence } from '../cluster/fence.ts';
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

/** Contents that are texts; chunks have names that begin with another letter. */
const DEFINITIONS = 'd';
const FACTS = 'f';
const CHUNK = 'c';
/** One script call, and one page of what is read. */
const CALL_PIECES_MAX = 256;

/** KEYS: head, begun. Gives an id. */
const BEGIN = guarded(`
local id = redis.call('HINCRBY', KEYS[1], 'checkpoint', 1)
redis.call('SADD', KEYS[2], id)
return id`);

/** KEYS: head, pieces. ARGV: token, then field and bytes in turn. */
const PUT = guarded(`
for i = 2, #ARGV, 2 do redis.call('HSET', KEYS[2], ARGV[i], ARGV[i + 1]) end
return 1`);

/** KEYS: head, manifests. ARGV: token, field, manifest. */
const FINISH = guarded(`return redis.call('HSET', KEYS[2], ARGV[2], ARGV[3])`);

/** KEYS: head, manifests, begun, pieces. ARGV: token, id, field. */
const REMOVE = guarded(`
if ARGV[3] ~= '' then redis.call('HDEL', KEYS[2], ARGV[3]) end
redis.call('UNLINK', KEYS[4])
return redis.call('SREM', KEYS[3], ARGV[2])`);

interface Kept {
  readonly id: number;
  readonly seq: number;
  damaged: boolean;
}

export class RedisCheckpointStore implements CheckpointStore {
  readonly #fence: UnitFence;
  readonly #keep: number;
  #kept: Kept[];
  #saving: Promise<void> | null = null;

  private constructor(fence: UnitFence, keep: number, kept: Kept[]) {
    this.#fence = fence;
    this.#keep = keep;
    this.#kept = kept;
  }

  /** Rejects with `RedisUnavailable`. */
  static async open(fence: UnitFence, keep: number = CHECKPOINTS_KEPT): Promise<RedisCheckpointStore> {
    const fields = listOf(await fence.redis.command('HKEYS', fence.keys.manifests)).map(String);
    const kept = fields.map((field): Kept => {
      const [id, seq] = field.split(':').map(Number) as [number, number];
      return { id, seq, damaged: false };
    });
    return new RedisCheckpointStore(
      fence,
      keep,
      kept.sort((a, b) => a.id - b.id),
    );
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
    const { keys } = this.#fence;
    await this.#removeLeftovers();
    const id = Number(await this.#fence.run(BEGIN, [keys.begun], []));
    const pieces = new PieceWriter(this.#fence, id);
    const contents: Content[] = [];
    for (const [name, bytes] of contentsOf(checkpoint)) {
      contents.push({ name, byteLength: bytes.byteLength, pieces: await pieces.write(contents.length, bytes) });
    }
    await pieces.flush();
    const { seq } = checkpoint;
    await this.#fence.run(FINISH, [keys.manifests], [`${id}:${seq}`, encodeManifest(id, { seq, contents })]);
    this.#kept.push({ id, seq, damaged: false });
    // It is saved, whatever becomes of the old ones: the next save removes what this one could not.
    await Promise.allSettled([this.#removeOld()]);
  }

  async #load({ id, seq }: Kept): Promise<Checkpoint | string> {
    const { keys, redis } = this.#fence;
    const stored = await redis.commandBytes('HGET', keys.manifests, `${id}:${seq}`);
    const manifest = decodeManifest(id, bytesOf(stored));
    if (typeof manifest === 'string') return manifest;
    if (manifest.seq !== seq) return `manifest: sequence number ${manifest.seq} instead of ${seq}`;
    const contents = await this.#loadContents(id, manifest);
    return typeof contents === 'string' ? contents : checkpointOf(seq, contents);
  }

  async #loadContents(id: number, manifest: Manifest): Promise<Map<string, Uint8Array> | string> {
    const { keys, redis } = this.#fence;
    const contents = new Map<string, Uint8Array>();
    for (const [index, { name, byteLength, pieces }] of manifest.contents.entries()) {
      const bytes = new Uint8Array(new SharedArrayBuffer(byteLength));
      for (const [number, piece] of pieces.entries()) {
        if (piece.storedBytes === 0) continue;
        const stored = bytesOf(await redis.commandBytes('HGET', keys.pieces(id), `${index}/${number}`));
        const problem = pieceProblem(stored, piece);
        if (problem !== null) return `piece ${number} of ${name.slice(1) || name}: ${problem}`;
        bytes.set(stored as Buffer, number * PIECE_BYTES);
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
      await this.#remove(id, `${id}:${seq}`);
      this.#kept = this.#kept.filter((each) => each.id !== id);
    }
  }

  /** Pieces of ids that have no manifest: saves that did not finish. */
  async #removeLeftovers(): Promise<void> {
    const ids = new Set(this.#kept.map(({ id }) => id));
    const begun = listOf(await this.#fence.redis.command('SMEMBERS', this.#fence.keys.begun)).map(Number);
    for (const id of begun) if (!ids.has(id)) await this.#remove(id, '');
  }

  async #remove(id: number, field: string): Promise<void> {
    const { keys } = this.#fence;
    await this.#fence.run(REMOVE, [keys.manifests, keys.begun, keys.pieces(id)], [String(id), field]);
  }
}

/** Collects pieces until they are worth a call. */
class PieceWriter {
  readonly #fence: UnitFence;
  readonly #key: string;
  #collected: (string | Buffer)[] = [];
  #bytes = 0;

  constructor(fence: UnitFence, id: number) {
    this.#fence = fence;
    this.#key = fence.keys.pieces(id);
  }

  async write(content: number, bytes: Uint8Array): Promise<Piece[]> {
    const pieces: Piece[] = [];
    for (let at = 0; at < bytes.byteLength; at += PIECE_BYTES) {
      const stored = cutPiece(bytes, at);
      const field = `${content}/${pieces.length}`;
      pieces.push(pieceOf(stored));
      if (stored.byteLength === 0) continue;
      const full = this.#bytes + stored.byteLength > PIECE_BYTES || this.#collected.length >= 2 * CALL_PIECES_MAX;
      if (full) await this.flush();
      this.#collected.push(field, stored);
      this.#bytes += stored.byteLength;
    }
    return pieces;
  }

  async flush(): Promise<void> {
    const collected = this.#collected;
    this.#collected = [];
    this.#bytes = 0;
    if (collected.length > 0) await this.#fence.run(PUT, [this.#key], collected);
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

const listOf = (reply: RedisReply): readonly RedisReply[] => (Array.isArray(reply) ? reply : []);
const bytesOf = (reply: RedisReply): Buffer | undefined => (Buffer.isBuffer(reply) ? reply : undefined);
