import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { WireReader, WireWriter } from '../../src/testing/wire.ts'

const RUNS = 200

test('reading gives back what was written, in both encodings', () => {
  const value = fc.record({
    flexible: fc.boolean(),
    numbers: fc.tuple(
      fc.integer({ min: -128, max: 127 }),
      fc.integer({ min: -0x8000, max: 0x7fff }),
      fc.integer(),
      fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
    ),
    varint: fc.nat(0x7fffffff),
    strings: fc.array(fc.option(fc.string({ unit: 'grapheme' }))),
    bytes: fc.option(fc.uint8Array({ maxLength: 10_000 })),
    uuid: fc.uuid(),
    // Enough to outgrow the writer's first buffers at any position.
    many: fc.array(fc.tuple(fc.integer(), fc.nat(0x7fffffff)), { maxLength: 500, size: 'max' }),
  })
  fc.assert(
    fc.property(value, ({ flexible, numbers, varint, strings, bytes, uuid, many }) => {
      const writer = new WireWriter(flexible)
      writer.int8(numbers[0]).int16(numbers[1]).int32(numbers[2]).int64(numbers[3]).unsignedVarint(varint)
      writer
        .array(strings, text => writer.string(text))
        .bytes(bytes)
        .uuid(uuid)
        .tags()
      writer.array(many, ([int32, unsigned]) => writer.int32(int32).unsignedVarint(unsigned).boolean(true))
      const { sizeBytes } = writer
      const written = Buffer.concat(writer.finish())
      assert.equal(written.length, sizeBytes)
      const reader = new WireReader(written, flexible)
      assert.deepEqual([reader.int8(), reader.int16(), reader.int32(), reader.int64()], numbers)
      assert.equal(reader.unsignedVarint(), varint)
      assert.deepEqual(
        reader.nullableArray(() => reader.nullableString()),
        strings,
      )
      const read = reader.nullableBytes()
      assert.deepEqual(read === null ? null : [...read], bytes === null ? null : [...bytes])
      assert.equal(reader.uuid(), uuid)
      reader.skipTags()
      const readMany = reader.array(() => [reader.int32(), reader.unsignedVarint(), reader.boolean()])
      assert.deepEqual(
        readMany,
        many.map(pair => [...pair, true]),
      )
      assert.equal(reader.remainingBytes, 0)
    }),
    { numRuns: RUNS },
  )
})

test('arbitrary bytes are read or refused, never read beyond their end', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.boolean(), (bytes, flexible) => {
      const reader = new WireReader(bytes, flexible)
      try {
        reader.array(() => [reader.nullableString(), reader.nullableBytes(), reader.skipTags()])
      } catch (error) {
        assert.equal((error as { code?: string }).code, 'KAFKA_PROTOCOL')
      }
      assert(reader.remainingBytes >= 0)
    }),
    { numRuns: RUNS },
  )
})
