import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import fc from 'fast-check'
import {
  doesCount,
  isPending,
  isVoid,
  mayHoldVoid,
  nextNumber,
  type SeriesNumbers,
  settlesUpTo,
} from '../../src/delta/quarantine-numbers.ts'

/** Two tables of one series: rows by number, and what the commits of the table decided. */
class Model {
  numbers: SeriesNumbers = { taken: 0n, settled: 0n, named: 0n, floor: 0n, open: 0n }
  /** Numbers that rows bear. */
  rows = new Set<bigint>()
  /** Those that the table has named, of which no later one has replaced the table. */
  readonly counting = new Set<bigint>()
  /** Steps that are taken and not yet given up: number, and what the table named then. */
  readonly underway: { number: bigint; expected: bigint }[] = []

  take(): void {
    const { numbers } = this
    // Void rows go before the next number is settled upon.
    if (mayHoldVoid(numbers)) this.sweep()
    const number = nextNumber(this.numbers)
    this.underway.push({ number, expected: this.numbers.named })
    this.rows.add(number)
    this.numbers = { ...this.numbers, taken: number, settled: settlesUpTo(this.numbers) }
  }

  /** The table's commit of one that is under way: refused where another was first. */
  name(index: number, replaces: boolean): void {
    const [step] = this.underway.splice(index % Math.max(1, this.underway.length), 1)
    if (step === undefined || step.expected !== this.numbers.named) return
    if (replaces) this.counting.clear()
    this.counting.add(step.number)
    const { number } = step
    this.numbers = { ...this.numbers, named: number, floor: replaces ? number : this.numbers.floor }
  }

  sweep(): void {
    this.rows = new Set([...this.rows].filter(number => !isVoid(number, this.numbers)))
    this.numbers = { ...this.numbers, settled: settlesUpTo(this.numbers) }
  }

  assertRight(): void {
    for (const number of this.rows) {
      assert.equal(doesCount(number, this.numbers), this.counting.has(number), `${number}`)
    }
    for (const number of this.counting) assert(this.rows.has(number), `${number} is gone`)
    if (!mayHoldVoid(this.numbers) && !isPending(this.numbers)) {
      assert.deepEqual([...this.rows].sort(), [...this.counting].sort(), 'nothing is left over')
    }
  }
}

suite('numbers that bind a quarantine to its table', () => {
  test('count exactly where the table has named them, whoever dies where', () => {
    const step = fc.oneof(
      fc.constant({ kind: 'take' as const }),
      fc.constant({ kind: 'sweep' as const }),
      fc.record({
        kind: fc.constant('name' as const),
        index: fc.nat(3),
        replaces: fc.boolean(),
      }),
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), steps => {
        const model = new Model()
        for (const each of steps) {
          if (each.kind === 'take') model.take()
          else if (each.kind === 'sweep') model.sweep()
          else model.name(each.index, each.replaces)
          model.assertRight()
        }
      }),
      { numRuns: 2_000 },
    )
  })
})
