/**
 * Chance from a seed: the same seed gives the same messages on every machine.
 *
 * @module
 */

import { createRandom } from '../../packages/stream-ingest/src/testing/generate-messages.ts'

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
