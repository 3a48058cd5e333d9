import assert from 'node:assert/strict'
import { KafkaError } from '../../src/error.ts'
import type { RecordSlab } from '../../src/kafka/record-slab.ts'

export interface Row {
  readonly offset: bigint
  readonly timestamp: number
  readonly key: string | null
  readonly value: string | null
  readonly headers: [string, string | null][]
}

const text = (bytes: Uint8Array | null): string | null =>
  bytes === null ? null : Buffer.from(bytes).toString()

/** Every record of a slab as plain values. */
export function rowsOf(slab: RecordSlab): Row[] {
  return Array.from({ length: slab.count }, (_, index) => ({
    offset: slab.offsetAt(index),
    timestamp: slab.timestamp[index]!,
    key: text(slab.keyAt(index)),
    value: text(slab.valueAt(index)),
    headers: slab
      .headersAt(index, 'orders', 0)
      .map(([name, value]): [string, string | null] => [name, text(value)]),
  }))
}

/** Runs `act`, which must throw a KafkaError of this code, and returns it. */
export function expectKafkaError(code: string, act: () => unknown): KafkaError {
  try {
    act()
  } catch (error) {
    assert(error instanceof KafkaError, `expected a KafkaError, found ${error}`)
    assert.equal(error.code, code, error.message)
    return error
  }
  assert.fail(`expected ${code}, nothing was thrown`)
}
