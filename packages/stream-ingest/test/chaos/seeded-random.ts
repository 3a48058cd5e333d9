/**
 * Chance that can be had again.
 *
 * @module
 */

/** Mulberry32: small, fast, and the same everywhere. */
export class SeededRandom {
  readonly #seed: number
  #state: number

  /** @param seed any 32-bit integer */
  constructor(seed: number) {
    this.#seed = seed | 0
    this.#state = seed | 0
  }

  /** A stream of its own, the same for the same label however much of this one was drawn. */
  fork(label: string): SeededRandom {
    // FNV-1a over the label, started from the seed.
    let hash = Math.imul(this.#seed ^ 0x811c9dc5, 0x01000193)
    for (let i = 0; i < label.length; i++) hash = Math.imul(hash ^ label.charCodeAt(i), 0x01000193)
    return new SeededRandom(hash)
  }

  /** In [0, 1). */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000
  }

  /** A whole number, both ends included. */
  between(least: number, most: number): number {
    return least + Math.floor(this.next() * (most - least + 1))
  }

  chance(share: number): boolean {
    return this.next() < share
  }

  choose<T>(items: readonly T[]): T {
    return items[Math.floor(this.next() * items.length)] as T
  }

  shuffled<T>(items: readonly T[]): T[] {
    const result = [...items]
    for (let i = result.length - 1; i > 0; i--) {
      const j = this.between(0, i)
      ;[result[i], result[j]] = [result[j] as T, result[i] as T]
    }
    return result
  }
}
