/**
 * The buffer of a batch that nobody reads any more, for the next batch: growing and zeroing a new one costs more than
 * writing the rows does, and the garbage collector runs by what was allocated.
 *
 * @module
 */
import type { ArenaArray } from './arena.ts'

/** A used buffer that is larger than this many times what is needed goes: memory follows the size of batches down. */
const REUSE_FACTOR_MAX = 4

export class SpareBuffer<T extends ArenaArray> {
  private readonly type: { new (length: number): T; new (buffer: ArrayBufferLike): T }
  private buffer: T | null = null

  constructor(type: { new (length: number): T; new (buffer: ArrayBufferLike): T }) {
    this.type = type
  }

  /** @param view from the start of a buffer on, as a builder hands it out */
  give(view: T): void {
    if (view.byteOffset === 0) this.buffer = new this.type(view.buffer)
  }

  /** A buffer of about `length` elements, with anything in them: what held the last batch mostly holds the next one. */
  take(length: number): T {
    const { buffer } = this
    this.buffer = null
    const enough = length - (length >> 3)
    const suits = buffer !== null && buffer.length >= enough && buffer.length <= length * REUSE_FACTOR_MAX
    return suits ? buffer : new this.type(length)
  }
}
