/**
 * Shared memory of one operator, or of one key group's key table, in one shard: a few buffers that only grow.
 *
 * Role: the seam between operators and the engine. An operator keeps all that must outlive a task in here and nothing
 * elsewhere: a checkpoint is a copy of the buffers, a restore puts the copy back, any thread can go on with them.
 * `replace` swaps a buffer for a larger copy; the engine learns of it by `generation`, hands the new buffers to the next
 * task, and views that were made of the old ones are made anew (`attach`).
 * Invariant: one task at a time works on a shard, so nothing in here needs atomics.
 */
export interface MemoryImage {
  readonly generation: number;
  readonly buffers: readonly SharedArrayBuffer[];
}

export class ShardMemory {
  #generation: number;
  readonly #buffers: SharedArrayBuffer[];

  constructor(image: MemoryImage) {
    this.#generation = image.generation;
    this.#buffers = [...image.buffers];
  }

  /** Empty buffers of these sizes in bytes. */
  static create(...byteLengths: readonly number[]): ShardMemory {
    return new ShardMemory({ generation: 1, buffers: byteLengths.map((bytes) => new SharedArrayBuffer(bytes)) });
  }

  get generation(): number {
    return this.#generation;
  }

  get byteLength(): number {
    let sum = 0;
    for (const buffer of this.#buffers) sum += buffer.byteLength;
    return sum;
  }

  buffer(index: number): SharedArrayBuffer {
    const buffer = this.#buffers[index];
    if (buffer === undefined) throw new RangeError(`no buffer ${index} of ${this.#buffers.length}`);
    return buffer;
  }

  /** A larger buffer with the old one's content at its start. */
  grow(index: number, byteLength: number): SharedArrayBuffer {
    const grown = new SharedArrayBuffer(byteLength);
    new Uint8Array(grown).set(new Uint8Array(this.buffer(index)));
    return this.replace(index, grown);
  }

  replace(index: number, buffer: SharedArrayBuffer): SharedArrayBuffer {
    this.#buffers[index] = buffer;
    this.#generation += 1;
    return buffer;
  }

  image(): MemoryImage {
    return { generation: this.#generation, buffers: [...this.#buffers] };
  }
}

/** Memory of which any buffer may be elsewhere. */
interface AnyImage {
  readonly generation: number;
  readonly buffers: readonly unknown[];
}

/**
 * The same content in memory of its own, in buffers of `into` where they have the size; what is no memory stays as it is,
 * and is not written to. Not by `slice`, which V8 refuses for an empty shared buffer.
 */
export function copyOfImage<T extends AnyImage>(
  { buffers, generation }: T,
  into?: AnyImage,
): { readonly generation: number; readonly buffers: T['buffers'] } {
  return {
    generation,
    buffers: buffers.map((buffer, i) => {
      if (!(buffer instanceof SharedArrayBuffer)) return buffer;
      const given = into?.buffers[i];
      const fits = given instanceof SharedArrayBuffer && given.byteLength === buffer.byteLength;
      const copy = fits ? given : new SharedArrayBuffer(buffer.byteLength);
      new Uint8Array(copy).set(new Uint8Array(buffer));
      return copy;
    }),
  };
}
