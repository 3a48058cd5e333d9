import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { deserializeTCompactProtocol } from 'hyparquet/src/thrift.js'
import { ThriftWriter } from '../../src/parquet/thrift.ts'

test('what the thrift writer writes, an independent reader reads', () => {
  fc.assert(
    fc.property(
      fc.integer(),
      fc.maxSafeInteger().map(value => Math.trunc(value / 2)),
      fc.string({ unit: 'binary' }),
      fc.array(fc.integer(), { maxLength: 40 }),
      fc.array(fc.boolean(), { maxLength: 40 }),
      (int, long, text, ints, bools) => {
        const thrift = new ThriftWriter()
        thrift.struct(() => {
          thrift.i32(1, int)
          thrift.i64(2, long)
          thrift.field(4, () => {
            thrift.bool(1, true)
            thrift.string(15, text)
            thrift.bool(16, false)
          })
          thrift.i32s(5, ints)
          thrift.bools(6, bools)
          thrift.structs(7, ints, item => thrift.i32(3, item))
          thrift.i16(22, -5)
        })
        const bytes = thrift.take()
        const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
        const read = deserializeTCompactProtocol({ view, offset: 0 }) as Record<string, unknown>
        assert.equal(read.field_1, int)
        assert.equal(read.field_2, BigInt(long))
        const inner = read.field_4 as { field_1: boolean; field_15: Uint8Array; field_16: boolean }
        assert.deepEqual([inner.field_1, inner.field_16], [true, false])
        assert.equal(new TextDecoder('utf-8', { ignoreBOM: true }).decode(inner.field_15), text)
        assert.deepEqual(read.field_5, ints)
        assert.deepEqual(read.field_6, bools)
        assert.deepEqual(
          read.field_7,
          ints.map(item => ({ field_3: item })),
        )
        assert.equal(read.field_22, -5)
      },
    ),
  )
})

test('fields out of order and integers out of range are refused', () => {
  const thrift = new ThriftWriter()
  assert.throws(
    () =>
      thrift.struct(() => {
        thrift.i32(2, 1)
        thrift.i32(1, 1)
      }),
    /out of order/,
  )
  assert.throws(() => new ThriftWriter().struct(() => thrift.i32(3, 2 ** 31)), /out of range/)
})
