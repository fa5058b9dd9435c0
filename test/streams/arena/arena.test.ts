/** The arena against a model: a list of blocks and what was written into each. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { ARENA_BYTES_AT_START, ARENA_BYTES_MAX, Arena } from '../../../src/streams/state/arena.ts';
import { ShardMemory } from '../../../src/streams/state/memory.ts';

const HEAD_BYTES = 8;
const HEADER_BYTES = 256;

interface Block {
  offset: number;
  bytes: number;
  mark: number;
}

type Command =
  | { readonly kind: 'alloc'; readonly bytes: number }
  | { readonly kind: 'free'; readonly pick: number }
  | { readonly kind: 'attach' }
  | { readonly kind: 'resize'; readonly pick: number; readonly bytes: number };

const sizes = fc.oneof(
  fc.integer({ min: 0, max: 40 }),
  fc.integer({ min: 0, max: 3000 }),
  fc.constantFrom(16, 17, 32, 64, 65, 4096, 16384, 40_000),
);
const command: fc.Arbitrary<Command> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('alloc' as const), bytes: sizes }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('free' as const), pick: fc.nat() }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('resize' as const), pick: fc.nat(), bytes: sizes }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('attach' as const) }) },
);

/** Plays commands; after each, all live blocks have their content, apart from one another. */
class Play {
  memory = ShardMemory.create(ARENA_BYTES_AT_START);
  arena = new Arena(this.memory, 0);
  readonly blocks: Block[] = [];
  #marks = 0;

  run(command: Command): void {
    if (command.kind === 'alloc') this.#alloc(command.bytes);
    else if (command.kind === 'attach') this.#attach();
    else if (this.blocks.length > 0) {
      const at = command.pick % this.blocks.length;
      const block = this.blocks[at] as Block;
      if (command.kind === 'free') {
        this.arena.free(block.offset);
        this.blocks.splice(at, 1);
      } else this.#resize(block, command.bytes);
    }
    this.check();
  }

  /** As another thread does: from the image alone. */
  #attach(): void {
    this.memory = new ShardMemory(this.memory.image());
    this.arena = new Arena(this.memory, 0);
  }

  #alloc(bytes: number): void {
    const offset = this.arena.alloc(bytes);
    this.#marks = (this.#marks % 250) + 1;
    this.arena.bytes.fill(this.#marks, offset, offset + bytes);
    this.blocks.push({ offset, bytes, mark: this.#marks });
  }

  #resize(block: Block, bytes: number): void {
    const kept = Math.min(bytes, block.bytes);
    block.offset = this.arena.resize(block.offset, bytes);
    assert.ok(this.arena.bytes.subarray(block.offset, block.offset + kept).every((byte) => byte === block.mark));
    this.arena.bytes.fill(block.mark, block.offset, block.offset + bytes);
    block.bytes = bytes;
  }

  check(): void {
    const { arena } = this;
    let live = 0;
    let end = HEADER_BYTES;
    for (const { offset, bytes, mark } of this.blocks.toSorted((a, b) => a.offset - b.offset)) {
      const capacity = arena.capacity(offset);
      assert.equal(offset % 8, 0);
      assert.ok(capacity >= bytes, `${capacity} for ${bytes}`);
      assert.ok(offset - HEAD_BYTES >= end, `a block at ${offset}, the one before it ends at ${end}`);
      end = offset + capacity;
      live += HEAD_BYTES + capacity;
      for (let i = offset; i < offset + bytes; i++) if (arena.bytes[i] !== mark) assert.fail(`byte ${i} was changed`);
    }
    assert.ok(end <= arena.bytes.length);
    assert.equal(arena.liveBytes, live);
  }
}

describe('the arena', () => {
  it('keeps blocks apart and their content, through growth, reuse and new objects over the same memory', () => {
    fc.assert(
      fc.property(fc.array(command, { maxLength: 80 }), (commands) => {
        const play = new Play();
        for (const each of commands) play.run(each);
      }),
      { numRuns: 300 },
    );
  });

  it('makes the same memory of the same calls', () => {
    fc.assert(
      fc.property(fc.array(command, { maxLength: 60 }), (commands) => {
        const [a, b] = [new Play(), new Play()];
        for (const each of commands.filter(({ kind }) => kind !== 'attach')) {
          a.run(each);
          b.run(each);
        }
        assert.deepEqual(new Uint8Array(a.memory.buffer(0)), new Uint8Array(b.memory.buffer(0)));
      }),
      { numRuns: 50 },
    );
  });

  it('uses freed blocks again instead of growing', () => {
    const memory = ShardMemory.create(ARENA_BYTES_AT_START);
    const arena = new Arena(memory, 0);
    const round = (): void => {
      const offsets = Array.from({ length: 200 }, (_, i) => arena.alloc(8 + (i % 7) * 100));
      for (const offset of offsets) arena.free(offset);
    };
    round();
    const size = memory.byteLength;
    for (let i = 0; i < 50; i++) round();
    assert.equal(memory.byteLength, size);
    assert.equal(arena.liveBytes, 0);
  });

  it('holds a register array of 16,384 bytes without waste', () => {
    const arena = new Arena(ShardMemory.create(ARENA_BYTES_AT_START), 0);
    assert.equal(arena.capacity(arena.alloc(16_384)), 16_384);
  });

  it('refuses to free what is not live', () => {
    const arena = new Arena(ShardMemory.create(ARENA_BYTES_AT_START), 0);
    const offset = arena.alloc(100);
    arena.free(offset);
    assert.throws(() => arena.free(offset), /no live block/);
    assert.throws(() => arena.free(0), /no live block/);
    assert.throws(() => arena.free(offset + 8), /no live block/);
    assert.equal(arena.liveBytes, 0);
    assert.equal(arena.alloc(100), offset);
  });

  it('refuses sizes it cannot have, and stays as it was', () => {
    const arena = new Arena(ShardMemory.create(ARENA_BYTES_AT_START), 0);
    const before = arena.bytes.slice();
    for (const bytes of [-1, Number.NaN, Number.POSITIVE_INFINITY, ARENA_BYTES_MAX, ARENA_BYTES_MAX + 1]) {
      assert.throws(() => arena.alloc(bytes), RangeError);
    }
    assert.deepEqual(arena.bytes.slice(), before);
  });

  it('refuses memory that cannot hold its header', () => {
    assert.throws(() => new Arena(ShardMemory.create(128), 0), RangeError);
    assert.throws(() => new Arena(ShardMemory.create(1004), 0), RangeError);
  });
});
