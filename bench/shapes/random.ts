/**
 * Chance from a seed: the same seed gives the same messages on every machine.
 *
 * @module
 */

/** Mulberry32: small, fast, and the same everywhere. Returns numbers in [0, 1). */
export function createRandom(seed: number): () => number {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000
  }
}

/** What a message generator draws from. */
export class Chance {
  readonly #random: () => number

  constructor(seed: number) {
    this.#random = createRandom(seed)
  }

  /** A whole number in [0, bound). */
  below(bound: number): number {
    return Math.floor(this.#random() * bound)
  }

  /** True once in `every` times on average. */
  once(every: number): boolean {
    return this.below(every) === 0
  }

  pick<T>(values: readonly T[]): T {
    return values[this.below(values.length)] as T
  }

  /** Eight hexadecimal digits. */
  hex32(): string {
    return this.below(0x1_0000_0000).toString(16).padStart(8, '0')
  }
}
