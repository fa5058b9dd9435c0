/**
 * Dead letters in Redis: per stream one Redis stream, whose ids are the places of the letters.
 *
 * Role: poison events go with their unit from node to node. A box per stream says how many letters and bytes it holds,
 * how many were dropped and the newest place ever seen; letters and box change in one script, which also decides what
 * is new and what has to go, and checks the owner's token. The boxes are kept here as well, since `counts` is asked for
 * often and only the owner changes them.
 */
import type { RedisArgument, RedisReply } from '../../redis/connection.ts';
import { RedisUnavailable } from '../../redis/unavailable.ts';
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
  LettersUnavailable,
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

/**
 * KEYS: head, boxes, then letters of streams. ARGV: token, seq, index, lettersMax, bytesMax, then of each the stream, what
 * its letter counts as and the letter; the first one is a note: where that is there, all stays as it is. Gives the boxes. A
 * Redis stream takes entries at its end alone: where others are behind the place, it is written anew.
 */
const ADD_NOTED = guarded(`
local seq, index = tonumber(ARGV[2]), tonumber(ARGV[3])
local id = ARGV[2] .. '-' .. ARGV[3]
local function isThere(key) return #redis.call('XRANGE', key, id, id) > 0 end
local function put(key, isNewest, n, l)
  local later = {}
  if not isNewest then
    local all = redis.call('XRANGE', key, '-', '+')
    later = redis.call('XRANGE', key, '(' .. id, '+')
    redis.call('DEL', key)
    for i = 1, #all - #later do redis.call('XADD', key, all[i][1], unpack(all[i][2])) end
  end
  redis.call('XADD', key, id, 'n', n, 'l', l)
  for _, entry in ipairs(later) do redis.call('XADD', key, entry[1], unpack(entry[2])) end
end
local texts = {}
local isKnown = isThere(KEYS[3])
for i = 3, #KEYS do
  local key = KEYS[i]
  local at = 6 + (i - 3) * 3
  local text = redis.call('HGET', KEYS[2], ARGV[at]) or '0 0 0 -1 -1'
  local letters, bytes, dropped, last, row = string.match(text, '(%S+) (%S+) (%S+) (%S+) (%S+)')
  letters, bytes, dropped, last, row = tonumber(letters), tonumber(bytes), tonumber(dropped), tonumber(last), tonumber(row)
  if not isKnown and not isThere(key) then
    local isNewest = seq > last or (seq == last and index > row)
    put(key, isNewest, ARGV[at + 1], ARGV[at + 2])
    if isNewest then last, row = seq, index end
    letters = letters + 1
    bytes = bytes + tonumber(ARGV[at + 1])
    while i > 3 and (letters > tonumber(ARGV[4]) or bytes > tonumber(ARGV[5])) do
      local oldest = redis.call('XRANGE', key, '-', '+', 'COUNT', 1)[1]
      redis.call('XDEL', key, oldest[1])
      letters = letters - 1
      bytes = bytes - tonumber(oldest[2][2])
      dropped = dropped + 1
    end
  end
  text = string.format('%.0f %.0f %.0f %.0f %.0f', letters, bytes, dropped, last, row)
  redis.call('HSET', KEYS[2], ARGV[at], text)
  texts[#texts + 1] = text
end
return texts`);

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
    await this.#inTurn(async () => {
      for (const [stream, each] of byStream) for (const call of callsOf(each)) await this.#addSome(stream, call);
    });
  }

  addNoted(note: DeadLetter, letter: DeadLetter | null): Promise<void> {
    const all = letter === null ? [note] : [note, letter];
    return this.#inTurn(async () => {
      const { keys } = this.#fence;
      const { bytesMax, lettersMax } = this.#limits;
      const args: RedisArgument[] = [String(note.seq), String(note.index), lettersMax, bytesMax];
      for (const each of all) args.push(each.stream, letterBytes(each), encodeLetter(keyOf(each), each));
      const names = all.map(({ stream }) => keys.letters(stream));
      const boxes = listOf(await this.#fence.run(ADD_NOTED, [keys.boxes, ...names], args).catch(notKept));
      for (const [i, box] of boxes.entries()) this.#note((all[i] as DeadLetter).stream, String(box));
    });
  }

  /**
   * One after the other: a place below the newest would be ignored, and a script that Redis does not know yet is sent a
   * second time, after what was sent since.
   */
  #inTurn(add: () => Promise<void>): Promise<void> {
    const added = this.#adding.then(add);
    this.#adding = added.catch(() => undefined);
    return added;
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

  /** Nothing is applied, or kept, of a record that the log in Redis has not got. */
  newestSeq(): number {
    return 0;
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
      args.push(String(letter.seq), String(letter.index), letterBytes(letter), encodeLetter(keyOf(letter), letter));
    }
    this.#note(stream, String(await this.#fence.run(ADD, [keys.boxes, keys.letters(stream)], args)));
  }

  #note(stream: string, box: string): void {
    const [letters = 0, bytes = 0, dropped = 0] = box.split(' ').map(Number);
    this.#boxes.set(stream, { letters, bytes, dropped });
  }
}

const keyOf = ({ index, seq, stream }: DeadLetter): LetterKey => [stream, seq, index];

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

function notKept(error: unknown): never {
  if (!(error instanceof RedisUnavailable)) throw error;
  throw new LettersUnavailable(`dead letters cannot be written: ${error.message}`, { cause: error });
}

const listOf = (reply: RedisReply): readonly RedisReply[] => (Array.isArray(reply) ? reply : []);
