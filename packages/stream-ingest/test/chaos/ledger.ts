/**
 * What the table must hold: every record that a committed reader sees and that has a value, and nothing else.
 *
 * A message is made from its number alone, so that only numbers are kept.
 *
 * @module
 */
import { createHash } from 'node:crypto'
import { daysFromCivil } from '@stream-ingest/delta'

/** Beyond what a JavaScript number holds exactly. */
const ID_BASE = 1n << 60n
const KINDS = ['view', 'click', 'order'] as const
const DAY_MS = 86_400_000
const FIRST_DAY = daysFromCivil(2026, 1, 1)
const DAYS = 3
const HASH_MODULUS = 1n << 128n

export interface ExpectedRow {
  readonly id: bigint
  readonly kind: string
  /** Epoch milliseconds. */
  readonly atMs: number
  /** Since 1970-01-01. */
  readonly day: number
}

export function rowOf(number: number): ExpectedRow {
  const day = FIRST_DAY + (number % DAYS)
  return {
    id: ID_BASE + BigInt(number),
    kind: KINDS[number % KINDS.length]!,
    atMs: day * DAY_MS + (number % DAY_MS),
    day,
  }
}

/** The message's JSON; `note` is a field that the table does not have. */
export function messageOf(number: number): string {
  const { id, kind, atMs } = rowOf(number)
  return `{"id":${id},"kind":"${kind}","at":${atMs},"note":"${'·'.repeat(number % 40)}"}`
}

/** In the order of the table's columns, as the configuration of the run makes them. */
export const COLUMNS = ['id', 'kind', 'at', 'day', '_kafka_partition', '_kafka_offset'] as const
const DAY_COLUMN = COLUMNS.indexOf('day')

export class Ledger {
  /** Of each topic partition: number of the message by offset. */
  readonly partitions: readonly Map<number, number>[]
  #nextNumber = 0
  #abortedCount = 0
  #tombstoneCount = 0

  constructor(partitionCount: number) {
    this.partitions = Array.from({ length: partitionCount }, () => new Map())
  }

  /** Numbers for messages that nobody else gets. */
  take(count: number): number[] {
    return Array.from({ length: count }, () => this.#nextNumber++)
  }

  /** The record at this offset is committed and has a value. */
  expect(partition: number, offset: bigint, number: number): void {
    const offsets = this.partitions[partition]
    if (offsets === undefined || offsets.has(Number(offset)))
      throw new Error(`offset ${offset} is written twice`)
    offsets.set(Number(offset), number)
  }

  countAborted(count: number): void {
    this.#abortedCount += count
  }

  countTombstone(): void {
    this.#tombstoneCount++
  }

  /** Of numbers taken: records of any fate. */
  get takenCount(): number {
    return this.#nextNumber
  }

  get rowCount(): number {
    return this.partitions.reduce((sum, offsets) => sum + offsets.size, 0)
  }

  get abortedCount(): number {
    return this.#abortedCount
  }

  get tombstoneCount(): number {
    return this.#tombstoneCount
  }

  get idSum(): bigint {
    let sum = 0n
    for (const offsets of this.partitions) for (const number of offsets.values()) sum += rowOf(number).id
    return sum
  }

  /**
   * The content hash of `scripts/stack/readers.ts` for exactly these rows, once with the columns in the order of the
   * schema and once with the partition column last: engines differ in that.
   */
  contentHashes(): readonly [inOrder: string, partitionLast: string] {
    let inOrder = 0n
    let partitionLast = 0n
    for (const [partition, offsets] of this.partitions.entries()) {
      for (const [offset, number] of offsets) {
        const { id, kind, atMs, day } = rowOf(number)
        const values = [String(id), JSON.stringify(kind), String(atMs * 1000), String(day), partition, offset]
        inOrder += hashOf(values)
        partitionLast += hashOf([...values.toSpliced(DAY_COLUMN, 1), String(day)])
      }
    }
    return [formatHash(inOrder), formatHash(partitionLast)]
  }
}

function hashOf(values: readonly (string | number)[]): bigint {
  const digest = createHash('sha256').update(`[${values.join()}]`).digest()
  return BigInt(`0x${digest.toString('hex', 0, 16)}`)
}

function formatHash(sum: bigint): string {
  return (sum % HASH_MODULUS).toString(16).padStart(32, '0')
}
