/**
 * Dead letters in Redis: per stream one Redis stream, whose ids are the places of the letters.
 *
 * Role: poison events go with their unit from node to node. A box per stream says how many letters and bytes it holds,
 * how many were dropped and the newest place ever seen; letters and box change in one script, which also decides what
 * is new and what has to go, and checks the owner's token. The boxes are kept here as well, since `counts` is asked for
 * often and only the owner changes them.
 */
import type { RedisArgument, RedisReply } from '../../redis/connection.ts';
import { guarded, type UnitFence } from '../cluster/fence.ts';
import { decodeLetter, encodeLetter, type LetterKey } from './letter-codec.ts';
import {
  DEAD_LETTER_LIMITS,
  type DeadLetter,
  type DeadLetterLimits,
  type DeadLetterStore,
  LETTER_PAGE_MAX,
  type LetterCounts,
  type LetterId,
  type LetterPage,
  letterBytes,
  placeOf,
  type StoredLetter,
} from './port.ts';

const CALL_BYTES_MAX = 2 ** 20;
const CALL_LETTERS_MAX = 500;

/** KEYS: head, boxes, letters. The box of ARGV[2] as five numbers, and how it is written back. */
const BOX = `
local text = redis.call('HGET', KEYS[2], ARGV[2]) or '0 0 0 -1 -1'
local letters, bytes, dropped, seq, index = string.match(text, '(%S+) (%S+) (%S+) (%S+) (%S+)')
letters, bytes, dropped, seq, index = tonumber(letters), tonumber(bytes), tonumber(dropped), tonumber(seq), tonumber(index)
local function save()
  text = string.format('%.0f %.0f %.0f %.0f %.0f', letters, bytes, dropped, seq, index)
  redis.call('HSET', KEYS[2], ARGV[2], text)
end
`;

/** ARGV: token, stream, lettersMax, bytesMax, then seq, index, what it counts as and the letter, in turn. Gives the box. */
const ADD = guarded(`${BOX}
for i = 5, #ARGV, 4 do
  local at, row = tonumber(ARGV[i]), tonumber(ARGV[i + 1])
  if at > seq or (at == seq and row > index) then
    seq, index = at, row
    redis.call('XADD', KEYS[3], ARGV[i] .. '-' .. ARGV[i + 1], 'n', ARGV[i + 2], 'l', ARGV[i + 3])
    letters = letters + 1
    bytes = bytes + tonumber(ARGV[i + 2])
    while letters > tonumber(ARGV[3]) or bytes > tonumber(ARGV[4]) do
      local oldest = redis.call('XRANGE', KEYS[3], '-', '+', 'COUNT', 1)[1]
      redis.call('XDEL', KEYS[3], oldest[1])
      letters = letters - 1
      bytes = bytes - tonumber(oldest[2][2])
      dropped = dropped + 1
    end
  end
end
save()
return text`);

/** ARGV: token, stream, ids of entries. Gives the box, then id and letter of those that were there. */
const TAKE = guarded(`${BOX}
local taken = {''}
for i = 3, #ARGV do
  local entry = redis.call('XRANGE', KEYS[3], ARGV[i], ARGV[i])[1]
  if entry then
    redis.call('XDEL', KEYS[3], ARGV[i])
    letters = letters - 1
    bytes = bytes - tonumber(entry[2][2])
    taken[#taken + 1] = ARGV[i]
    taken[#taken + 1] = entry[2][4]
  end
end
if #taken > 1 then save() end
taken[1] = text
return taken`);

export class RedisDeadLetterStore implements DeadLetterStore {
  readonly idPrefix: string;
  readonly #fence: UnitFence;
  readonly #limits: DeadLetterLimits;
  readonly #boxes = new Map<string, Omit<LetterCounts, 'stream'>>();
  /** Settles when what was added before is there, or was refused: whoever added it is told. */
  #adding: Promise<unknown> = Promise.resolve();

  private constructor(fence: UnitFence, limits: DeadLetterLimits, idPrefix: string) {
    this.idPrefix = idPrefix;
    this.#fence = fence;
    this.#limits = limits;
  }

  /** Rejects with `RedisUnavailable`. */
  static async open(
    fence: UnitFence,
    limits: DeadLetterLimits = DEAD_LETTER_LIMITS,
    idPrefix = '',
  ): Promise<RedisDeadLetterStore> {
    const store = new RedisDeadLetterStore(fence, limits, idPrefix);
    const boxes = listOf(await fence.redis.command('HGETALL', fence.keys.boxes));
    for (let i = 0; i < boxes.length; i += 2) store.#note(String(boxes[i]), String(boxes[i + 1]));
    return store;
  }

  async add(letters: readonly DeadLetter[]): Promise<void> {
    const byStream = new Map<string, DeadLetter[]>();
    for (const letter of letters) {
      const sameStream = byStream.get(letter.stream);
      if (sameStream === undefined) byStream.set(letter.stream, [letter]);
      else sameStream.push(letter);
    }
    // One after the other: a place below the newest is known already, and a script that Redis has to be told again comes
    // after what was sent since.
    const added = this.#adding.then(async () => {
      for (const [stream, each] of byStream) for (const call of callsOf(each)) await this.#addSome(stream, call);
    });
    this.#adding = added.catch(() => undefined);
    await added;
  }

  async list(stream: string, { after, limit }: LetterPage): Promise<readonly StoredLetter[]> {
    const count = Math.min(limit, LETTER_PAGE_MAX);
    if (count <= 0) return [];
    const place = placeOf(after);
    const from = place === null ? '-' : `(${place[0]}-${place[1]}`;
    const { keys, redis } = this.#fence;
    await this.#adding;
    const entries = listOf(await redis.commandBytes('XRANGE', keys.letters(stream), from, '+', 'COUNT', count));
    return entries.flatMap((entry) => {
      const [id, fields] = listOf(entry);
      return letterOf(stream, String(id), listOf(fields ?? null)[3] ?? null) ?? [];
    });
  }

  async take(stream: string, ids: readonly LetterId[]): Promise<readonly StoredLetter[]> {
    const places = [...new Set(ids)].flatMap((id) => {
      const place = placeOf(id);
      return place === null ? [] : [`${place[0]}-${place[1]}`];
    });
    if (places.length === 0) return [];
    const { keys } = this.#fence;
    await this.#adding;
    const reply = listOf(await this.#fence.run(TAKE, [keys.boxes, keys.letters(stream)], [stream, ...places]));
    if (this.#boxes.has(stream)) this.#note(stream, String(reply[0]));
    const taken: StoredLetter[] = [];
    for (let i = 1; i < reply.length; i += 2) {
      const letter = letterOf(stream, String(reply[i]), reply[i + 1] ?? null);
      if (letter !== null) taken.push(letter);
    }
    return taken;
  }

  async remove(stream: string, ids: readonly LetterId[]): Promise<number> {
    return (await this.take(stream, ids)).length;
  }

  counts(): readonly LetterCounts[] {
    return [...this.#boxes].map(([stream, box]) => ({ stream, ...box })).sort((a, b) => (a.stream < b.stream ? -1 : 1));
  }

  /** Whoever adds or takes is told what became of it. */
  close(): Promise<void> {
    return Promise.resolve();
  }

  async #addSome(stream: string, letters: readonly DeadLetter[]): Promise<void> {
    const { keys } = this.#fence;
    const args: RedisArgument[] = [stream, this.#limits.lettersMax, this.#limits.bytesMax];
    for (const letter of letters) {
      const key: LetterKey = [stream, letter.seq, letter.index];
      args.push(String(letter.seq), String(letter.index), letterBytes(letter), encodeLetter(key, letter));
    }
    this.#note(stream, String(await this.#fence.run(ADD, [keys.boxes, keys.letters(stream)], args)));
  }

  #note(stream: string, box: string): void {
    const [letters = 0, bytes = 0, dropped = 0] = box.split(' ').map(Number);
    this.#boxes.set(stream, { letters, bytes, dropped });
  }
}

function callsOf(letters: readonly DeadLetter[]): DeadLetter[][] {
  const calls: DeadLetter[][] = [];
  let bytes = Number.POSITIVE_INFINITY;
  for (const letter of letters) {
    const newest = calls.at(-1);
    bytes += letterBytes(letter);
    if (newest === undefined || bytes > CALL_BYTES_MAX || newest.length >= CALL_LETTERS_MAX) {
      calls.push([letter]);
      bytes = letterBytes(letter);
    } else newest.push(letter);
  }
  return calls;
}

/** Null when it is not what was written. `id`: of the entry, `seq-index`. */
function letterOf(stream: string, id: string, value: RedisReply): StoredLetter | null {
  const [seq, index] = id.split('-').map(Number) as [number, number];
  return Buffer.isBuffer(value) ? decodeLetter([stream, seq, index], value) : null;
}

const listOf = (reply: RedisReply): readonly RedisReply[] => (Array.isArray(reply) ? reply : []);
