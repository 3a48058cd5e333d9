import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { SchemaElement } from 'hyparquet'
import { valueConversion } from '../../src/parquet/leaf-value.ts'
import { array, type DataType, decimal, type PrimitiveName, primitive } from '../../src/schema.ts'

function convert(
  element: Omit<SchemaElement, 'name'>,
  type: DataType | PrimitiveName,
  ...values: unknown[]
): unknown[] {
  const conversion = valueConversion(
    { name: 'x', ...element },
    typeof type === 'string' ? primitive(type) : type,
  )
  assert(conversion !== null)
  return Array.from(conversion(values))
}

const DAY_NANOS = 86_400_000_000_000n
function int96(julianDay: bigint, nanosOfDay: bigint): bigint {
  return (julianDay << 64n) | nanosOfDay
}

describe('timestamps', () => {
  test('of every unit become microseconds, rounded down', () => {
    const logical = (unit: 'MILLIS' | 'MICROS' | 'NANOS') =>
      ({ type: 'INT64', logical_type: { type: 'TIMESTAMP', isAdjustedToUTC: true, unit } }) as const
    assert.deepEqual(convert(logical('MILLIS'), 'timestamp', -1n), [-1000n])
    assert.deepEqual(convert(logical('MICROS'), 'timestamp', -1n), [-1n])
    assert.deepEqual(convert(logical('NANOS'), 'timestamp_ntz', -1n, 1999n), [-1n, 1n])
    assert.deepEqual(convert({ type: 'INT64', converted_type: 'TIMESTAMP_MILLIS' }, 'timestamp', 7n), [7000n])
    assert.deepEqual(convert({ type: 'INT64', converted_type: 'TIMESTAMP_MICROS' }, 'timestamp', 7n), [7n])
    assert.deepEqual(convert({ type: 'INT64' }, 'timestamp', 7n), [7n])
  })

  test('of 96 bits count from their Julian day', () => {
    const epoch = 2_440_588n
    assert.deepEqual(
      convert(
        { type: 'INT96' },
        'timestamp',
        int96(epoch, 0n),
        int96(epoch - 1n, DAY_NANOS - 1n),
        int96(epoch + 1n, 1_500n),
      ),
      [0n, -1n, 86_400_000_001n],
    )
  })
})

describe('decimals', () => {
  const scaled = { converted_type: 'DECIMAL', scale: 2, precision: 9 } as const

  test('are exact in every physical form', () => {
    assert.deepEqual(convert({ type: 'INT32', ...scaled }, decimal(9, 2), -123), [-123n])
    assert.deepEqual(convert({ type: 'INT64', ...scaled }, decimal(18, 2), 9007199254740993n), [
      9007199254740993n,
    ])
    const limit = 10n ** 38n - 1n
    for (const value of [0n, -1n, 1n, 127n, 128n, -128n, -129n, limit, -limit]) {
      const bytes = Buffer.from(BigInt.asUintN(128, value).toString(16).padStart(32, '0'), 'hex')
      for (const type of ['FIXED_LEN_BYTE_ARRAY', 'BYTE_ARRAY'] as const) {
        assert.deepEqual(convert({ type, ...scaled }, decimal(38, 2), new Uint8Array(bytes)), [value])
      }
    }
    assert.deepEqual(
      convert(
        { type: 'BYTE_ARRAY', ...scaled },
        decimal(9, 2),
        Uint8Array.of(0xff),
        Uint8Array.of(0x01, 0x00),
        Uint8Array.of(),
      ),
      [-1n, 256n, 0n],
    )
  })

  test('of a smaller scale, and integers, are brought to the scale of the table', () => {
    assert.deepEqual(convert({ type: 'INT32', ...scaled }, decimal(12, 5), 7), [7000n])
    assert.deepEqual(convert({ type: 'INT64' }, decimal(22, 2), -7n), [-700n])
    const logical = { type: 'DECIMAL', precision: 9, scale: 1 } as const
    assert.deepEqual(convert({ type: 'INT32', logical_type: logical }, decimal(9, 2), 7), [70n])
  })

  test('of a larger scale would lose digits', () => {
    assert.equal(valueConversion({ name: 'x', type: 'INT32', ...scaled }, decimal(9, 1)), null)
  })
})

describe('other values', () => {
  test('are widened from the type that the file has', () => {
    assert.deepEqual(convert({ type: 'INT32' }, 'long', -5), [-5n])
    assert.deepEqual(convert({ type: 'INT32', converted_type: 'UINT_32' }, 'long', -1), [4_294_967_295n])
    assert.deepEqual(convert({ type: 'INT32' }, 'double', -5), [-5])
    assert.deepEqual(convert({ type: 'INT32', converted_type: 'DATE' }, 'timestamp_ntz', -1), [
      -86_400_000_000n,
    ])
  })

  test('of text keep a byte order mark, and bytes are copied out of their page', () => {
    const page = new TextEncoder().encode('\ufeffaé')
    assert.deepEqual(convert({ type: 'BYTE_ARRAY' }, 'string', page), ['\ufeffaé'])
    const [copy] = convert({ type: 'BYTE_ARRAY' }, 'binary', page.subarray(3, 4)) as [Uint8Array]
    assert.deepEqual(copy, Uint8Array.of(0x61))
    assert.equal(copy.buffer.byteLength, 1)
  })

  test('of a form that cannot hold the type are refused', () => {
    const refused: [SchemaElement['type'], DataType][] = [
      ['INT64', primitive('integer')],
      ['DOUBLE', primitive('float')],
      ['INT32', primitive('timestamp')],
      ['INT64', primitive('date')],
      ['BOOLEAN', primitive('string')],
      ['INT32', primitive('boolean')],
      ['DOUBLE', decimal(9, 2)],
      ['DOUBLE', primitive('timestamp')],
      ['BYTE_ARRAY', primitive('variant')],
      ['INT32', array(primitive('integer'))],
    ]
    for (const [type, wanted] of refused) {
      assert.equal(
        valueConversion({ name: 'x', ...(type === undefined ? {} : { type }) }, wanted),
        null,
        `${type}`,
      )
    }
  })
})
