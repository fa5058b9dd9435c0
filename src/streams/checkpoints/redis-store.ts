/**
 * Checkpoints in Redis: what the next owner of a unit begins with.
 *
 * Role: the pieces and manifests of `pieced-checkpoints.ts`. Pieces go in script calls of a few; each call checks the
 * owner's token, so what a node writes after it was replaced is refused. Ids are given out by Redis and never used twice,
 * so pieces of two owners never mix.
 */
import type { RedisReply } from '../../redis/connection.ts';
import { guarded, type UnitFence } from '../cluster/fence.ts';
import { PIECE_BYTES } from './manifest.ts';
import { type KeptCheckpoint, PiecedCheckpoints, type PieceStore } from './pieced-checkpoints.ts';
import { CHECKPOINTS_KEPT } from './port.ts';

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

export class RedisCheckpointStore extends PiecedCheckpoints {
  /** Rejects with `RedisUnavailable`. */
  static async open(fence: UnitFence, keep: number = CHECKPOINTS_KEPT): Promise<RedisCheckpointStore> {
    const fields = listOf(await fence.redis.command('HKEYS', fence.keys.manifests)).map(String);
    const kept = fields.map((field): KeptCheckpoint => {
      const [id, seq] = field.split(':').map(Number) as [number, number];
      return { id, seq, damaged: false };
    });
    return new RedisCheckpointStore(
      new RedisPieces(fence),
      keep,
      kept.sort((a, b) => a.id - b.id),
    );
  }
}

class RedisPieces implements PieceStore {
  readonly #fence: UnitFence;
  /** Fields and bytes in turn, of one id, that wait until they are worth a call. */
  #collected: (string | Buffer)[] = [];
  #collectedId = 0;
  #bytes = 0;

  constructor(fence: UnitFence) {
    this.#fence = fence;
  }

  async begin(kept: ReadonlySet<number>): Promise<number> {
    const { keys, redis } = this.#fence;
    // A manifest of one that is not kept: the answer of `finish` was lost, or that was carried out late.
    const left = new Map<number, string>();
    for (const id of listOf(await redis.command('SMEMBERS', keys.begun))) left.set(Number(id), '');
    for (const field of listOf(await redis.command('HKEYS', keys.manifests))) {
      left.set(Number.parseInt(String(field), 10), String(field));
    }
    for (const [id, field] of left) if (!kept.has(id)) await this.#remove(id, field);
    this.#collected = [];
    this.#bytes = 0;
    return Number(await this.#fence.run(BEGIN, [keys.begun], []));
  }

  async write(id: number, content: number, piece: number, bytes: Buffer): Promise<void> {
    const full = this.#bytes + bytes.byteLength > PIECE_BYTES || this.#collected.length >= 2 * CALL_PIECES_MAX;
    if (full) await this.flush();
    this.#collectedId = id;
    this.#collected.push(`${content}/${piece}`, bytes);
    this.#bytes += bytes.byteLength;
  }

  async flush(): Promise<void> {
    const collected = this.#collected;
    this.#collected = [];
    this.#bytes = 0;
    if (collected.length > 0) await this.#fence.run(PUT, [this.#fence.keys.pieces(this.#collectedId)], collected);
  }

  async piece(id: number, content: number, piece: number): Promise<Buffer | undefined> {
    const { keys, redis } = this.#fence;
    return bytesOf(await redis.commandBytes('HGET', keys.pieces(id), `${content}/${piece}`));
  }

  async finish(id: number, seq: number, manifest: Buffer): Promise<void> {
    await this.#fence.run(FINISH, [this.#fence.keys.manifests], [`${id}:${seq}`, manifest]);
  }

  async manifest(id: number, seq: number): Promise<Buffer | undefined> {
    const { keys, redis } = this.#fence;
    return bytesOf(await redis.commandBytes('HGET', keys.manifests, `${id}:${seq}`));
  }

  remove(id: number, seq: number): Promise<void> {
    return this.#remove(id, `${id}:${seq}`);
  }

  async #remove(id: number, field: string): Promise<void> {
    const { keys } = this.#fence;
    await this.#fence.run(REMOVE, [keys.manifests, keys.begun, keys.pieces(id)], [String(id), field]);
  }

  /** Redis that is away says nothing about what it holds. */
  damage(): null {
    return null;
  }
}

const listOf = (reply: RedisReply): readonly RedisReply[] => (Array.isArray(reply) ? reply : []);
const bytesOf = (reply: RedisReply): Buffer | undefined => (Buffer.isBuffer(reply) ? reply : undefined);
