/**
 * What the table must hold: every record that a committed reader sees and that has a value, and nothing else.
 *
 * A message is made from its number alone, so that only numbers are kept.
 *
 * @module
 */
import { daysFromCivil, field, primitive, struct } from '@stream-ingest/delta'
import { ContentHash } from '../../../delta/test/content-hash.ts'

/** Beyond what a JavaScript number holds exactly. */
const ID_BASE = 1n << 60n
const KINDS = ['view', 'click', 'order'] as const
const DAY_MS = 86_400_000
const FIRST_DAY = daysFromCivil(2026, 1, 1)
const DAYS = 3

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

/** The columns of the table, as the configuration of the run makes them. */
const SCHEMA = struct([
  field('id', primitive('long')),
  field('kind', primitive('string')),
  field('at', primitive('timestamp')),
  field('day', primitive('date')),
  field('_kafka_partition', primitive('integer')),
  field('_kafka_offset', primitive('long')),
])
export const COLUMNS: readonly string[] = SCHEMA.fields.map(({ name }) => name)

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

  /** The content hash that a table of exactly these rows has. */
  contentHash(): string {
    const content = new ContentHash(SCHEMA)
    for (const [partition, offsets] of this.partitions.entries()) {
      for (const [offset, number] of offsets) {
        const { id, kind, atMs, day } = rowOf(number)
        const at = BigInt(atMs) * 1000n
        content.add({ id, kind, at, day, _kafka_partition: partition, _kafka_offset: BigInt(offset) })
      }
    }
    return content.hex()
  }
}
