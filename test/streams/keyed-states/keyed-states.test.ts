/** Keyed states against a Map, with the memory taken up anew, copied and written from elsewhere between any two calls. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { pack, unpack } from 'msgpackr';
import {
  HELD_BYTES_MAX,
  HELD_STATES_MAX,
  SharedKeyedStates,
  TALLIES,
} from '../../../src/streams/state/keyed-states.ts';
import type { StateCodec } from '../../../src/streams/state/keyed-states-port.ts';
import { type MemoryImage, ShardMemory } from '../../../src/streams/state/memory.ts';
import { KeyRegistry } from './key-registry.ts';

interface Note {
  text: string;
  counts: number[];
}

const codec: StateCodec<Note> = { encode: (state) => pack(state), decode: (bytes) => unpack(bytes) as Note };

function copied(image: MemoryImage): MemoryImage {
  return {
    generation: image.generation,
    buffers: image.buffers.map((buffer) => {
      const copy = new SharedArrayBuffer(buffer.byteLength);
      new Uint8Array(copy).set(new Uint8Array(buffer));
      return copy;
    }),
  };
}

const bytesOf = (memory: ShardMemory): Uint8Array[] => memory.image().buffers.map((b) => new Uint8Array(b).slice());

type Model = Map<number, { state: Note; timer: number }>;

function modelDue(model: Model, until: number): number[] {
  return [...model]
    .filter(([, each]) => each.timer <= until)
    .sort(([a, x], [b, y]) => x.timer - y.timer || a - b)
    .map(([keyId]) => keyId);
}

type Command =
  | { do: 'put'; key: number; note: Note; timer: number }
  | { do: 'change'; key: number; count: number; timer: number }
  | { do: 'delete' | 'get'; key: number }
  | { do: 'due'; until: number }
  | { do: 'flush' | 'attach' | 'copy' | 'elsewhere' };

const key = fc.oneof(fc.nat(12), fc.nat(200));
const timer = fc.oneof(fc.nat(40), fc.constant(Infinity), fc.constant(-Infinity));
const note: fc.Arbitrary<Note> = fc.record({
  text: fc.oneof(fc.string(), fc.string({ minLength: 100, maxLength: 900 })),
  counts: fc.array(fc.nat(), { maxLength: 20 }),
});
const command: fc.Arbitrary<Command> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ do: fc.constant('put' as const), key, note, timer }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('change' as const), key, count: fc.nat(), timer }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constantFrom('delete' as const, 'get' as const), key }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('due' as const), until: fc.nat(45) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constantFrom('flush', 'attach', 'copy', 'elsewhere') }) },
);

class Run {
  readonly keys = new KeyRegistry();
  readonly model: Model = new Map();
  memory = SharedKeyedStates.create();
  states = new SharedKeyedStates<Note>(this.memory, this.keys, codec);

  step(command: Command): void {
    const { states, model } = this;
    switch (command.do) {
      case 'put':
        states.put(command.key, structuredClone(command.note), command.timer);
        model.set(command.key, { state: structuredClone(command.note), timer: command.timer });
        break;
      case 'change': {
        const state = states.get(command.key);
        const known = model.get(command.key);
        assert.deepEqual(state, known?.state);
        if (state === undefined || known === undefined) break;
        state.counts.push(command.count);
        states.put(command.key, state, command.timer);
        known.state.counts.push(command.count);
        known.timer = command.timer;
        break;
      }
      case 'get':
        assert.deepEqual(states.get(command.key), model.get(command.key)?.state);
        break;
      case 'delete':
        states.delete(command.key);
        model.delete(command.key);
        break;
      case 'due':
        assert.deepEqual(states.due(command.until), modelDue(model, command.until));
        break;
      default:
        states.flush();
        this.#moved(command.do);
    }
    assert.equal(states.size, model.size);
  }

  #moved(how: 'flush' | 'attach' | 'copy' | 'elsewhere'): void {
    if (how === 'copy') this.memory = new ShardMemory(copied(this.memory.image()));
    if (how === 'copy' || how === 'attach') this.states = new SharedKeyedStates<Note>(this.memory, this.keys, codec);
    if (how === 'elsewhere') {
      // Another thread's object over the same buffers. Views are made anew only when it had to replace a buffer.
      const before = this.memory.generation;
      const [first] = this.model.keys();
      if (first === undefined) return;
      const other = new SharedKeyedStates<Note>(this.memory, this.keys, codec);
      const small = { text: '', counts: [] };
      other.put(first, small, 1);
      other.flush();
      this.model.set(first, { state: structuredClone(small), timer: 1 });
      if (this.memory.generation !== before) this.#moved('attach');
    }
    for (let keyId = 0; keyId <= 200; keyId++) {
      assert.equal(this.keys.retained(keyId), this.model.has(keyId) ? 1 : 0, `retains of key ${keyId}`);
    }
    assert.deepEqual(
      [...this.states.keys()],
      [...this.model.keys()].sort((a, b) => a - b),
    );
  }
}

describe('keyed states', () => {
  it('are what a map of states and timers is, wherever the memory is taken up', () => {
    fc.assert(
      fc.property(fc.array(command, { maxLength: 150, size: 'max' }), (commands) => {
        const run = new Run();
        for (const each of commands) run.step(each);
        run.step({ do: 'copy' });
        for (let keyId = 0; keyId <= 200; keyId++) run.step({ do: 'get', key: keyId });
        run.step({ do: 'due', until: 1000 });
      }),
      { numRuns: 150 },
    );
  });

  it('lead to the same bytes whether or not states were cached', () => {
    fc.assert(
      fc.property(fc.array(command, { maxLength: 100, size: 'max' }), (commands) => {
        const kept = new Run();
        const anew = new Run();
        for (const each of commands) {
          if (each.do === 'elsewhere') continue;
          kept.step(each.do === 'attach' || each.do === 'copy' ? { do: 'flush' } : each);
          anew.step(each.do === 'flush' ? { do: 'attach' } : each);
        }
        kept.step({ do: 'flush' });
        anew.step({ do: 'flush' });
        assert.deepEqual(bytesOf(kept.memory), bytesOf(anew.memory));
      }),
      { numRuns: 100 },
    );
  });

  it('hold more states than may wait on the heap', () => {
    const keys = new KeyRegistry();
    const memory = SharedKeyedStates.create();
    const states = new SharedKeyedStates<Note>(memory, keys, codec);
    const count = HELD_STATES_MAX * 3;
    for (let keyId = 0; keyId < count; keyId++) states.put(keyId, { text: `${keyId}`, counts: [keyId] }, count - keyId);
    for (let keyId = 0; keyId < count; keyId++) assert.equal(states.get(keyId)?.text, `${keyId}`);
    states.flush();
    const again = new SharedKeyedStates<Note>(memory, keys, codec);
    for (let keyId = 0; keyId < count; keyId++) assert.deepEqual(again.get(keyId)?.counts, [keyId]);
    assert.deepEqual(again.due(3), [count - 1, count - 2, count - 3]);
  });

  it('name the keys idle the longest first', () => {
    const states = new SharedKeyedStates<Note>(SharedKeyedStates.create(), new KeyRegistry(), codec);
    for (const keyId of [4, 2, 9, 7]) {
      states.put(keyId, { text: '', counts: [] }, Infinity);
      states.flush();
    }
    states.put(2, { text: 'again', counts: [] }, Infinity);
    states.flush();
    assert.deepEqual(states.idlest(3), [4, 9, 7]);
    assert.deepEqual(states.idlest(9), [4, 9, 7, 2]);
  });

  it('keep a key retained through a delete and a put of the same batch', () => {
    const keys = new KeyRegistry();
    const states = new SharedKeyedStates<Note>(SharedKeyedStates.create(), keys, codec);
    states.put(1, { text: 'a', counts: [] }, 5);
    states.flush();
    states.delete(1);
    assert.equal(keys.retained(1), 1);
    assert.equal(states.get(1), undefined);
    states.put(1, { text: 'b', counts: [] }, Infinity);
    states.flush();
    assert.equal(keys.retained(1), 1);
    assert.equal(states.get(1)?.text, 'b');
    states.delete(1);
    states.flush();
    assert.equal(keys.retained(1), 0);
  });

  it('give the blocks of deleted and shrunken states back', () => {
    const memory = SharedKeyedStates.create();
    const states = new SharedKeyedStates<Note>(memory, new KeyRegistry(), codec);
    let most = 0;
    for (let round = 0; round < 40; round++) {
      for (let keyId = 0; keyId < 50; keyId++) {
        states.put(keyId, { text: 'x'.repeat(round % 2 === 0 ? 2000 : 2), counts: [] }, round);
      }
      states.flush();
      for (let keyId = 0; keyId < 50; keyId++) states.delete(keyId);
      states.flush();
      if (round === 1) most = states.byteLength;
    }
    assert.equal(states.byteLength, most);
    assert.equal(states.size, 0);
    assert.deepEqual(states.due(Infinity), []);
  });

  it('keep tallies with the memory', () => {
    const memory = SharedKeyedStates.create();
    const states = new SharedKeyedStates<Note>(memory, new KeyRegistry(), codec);
    for (let i = 0; i < TALLIES; i++) states.addTally(i, i + 0.5);
    states.addTally(1, 2 ** 40);
    const again = new SharedKeyedStates<Note>(new ShardMemory(copied(memory.image())), new KeyRegistry(), codec);
    assert.deepEqual(
      Array.from({ length: TALLIES }, (_, i) => again.tally(i)),
      [0.5, 2 ** 40 + 1.5, 2.5, 3.5, 4.5, 5.5],
    );
    assert.equal(again.size, 0);
  });

  it('are written once per flush, however large they are and however often they are put', () => {
    let writes = 0;
    const counting: StateCodec<Note> = {
      encode: (state) => {
        writes += 1;
        return codec.encode(state);
      },
      decode: codec.decode,
    };
    const states = new SharedKeyedStates<Note>(SharedKeyedStates.create(), new KeyRegistry(), counting);
    const large = { text: 'x'.repeat(2 * HELD_BYTES_MAX), counts: [] };
    for (let round = 1; round <= 3; round++) {
      for (let i = 0; i < 50; i++) states.put(5, large, i);
      states.flush();
      assert.equal(writes, round);
    }
  });

  it('refuse a timer that is not a number', () => {
    const states = new SharedKeyedStates<Note>(SharedKeyedStates.create(), new KeyRegistry(), codec);
    assert.throws(() => states.put(0, { text: '', counts: [] }, Number.NaN), RangeError);
  });
});
