/**
 * Chance that can be had again.
 *
 * @module
 */
import { createRandom } from '../../src/testing/generate-messages.ts'

export class SeededRandom {
  readonly #seed: number
  /** In [0, 1). */
  readonly next: () => number

  /** @param seed any 32-bit integer */
  constructor(seed: number) {
    this.#seed = seed | 0
    this.next = createRandom(seed)
  }

  /** A stream of its own, the same for the same label however much of this one was drawn. */
  fork(label: string): SeededRandom {
    // FNV-1a over the label, started from the seed.
    let hash = Math.imul(this.#seed ^ 0x811c9dc5, 0x01000193)
    for (let i = 0; i < label.length; i++) hash = Math.imul(hash ^ label.charCodeAt(i), 0x01000193)
    return new SeededRandom(hash)
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
