import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { crc32 } from 'node:zlib'
import type { DeletionVectorDescriptor } from '../src/action.ts'
import { readDeletionVector } from '../src/deletion-vector.ts'
import { field, primitive, struct } from '../src/schema.ts'
import { MemoryObjectStore } from '../src/store/memory.ts'
import { createScanTable, readAll } from './operation/scan-fixture.ts'

/** Rows 3, 4, 7, 11, 18 and 29. */
const INLINE: DeletionVectorDescriptor = {
  storageType: 'i',
  pathOrInlineDv: '^Bg9^0rr910000000000iXQKl0rr91000f55c8Xg0@@D72lkbi5=-{L',
  sizeInBytes: 44,
  cardinality: 6,
}
const INLINE_ROWS = [3, 4, 7, 11, 18, 29]

/** PROTOCOL.md's example of a relative path. */
const UUID_PATH = 'ab^-aqEH.-t@S}K{vb[*k^'
const UUID_KEY = 'ab/deletion_vector_d2c639aa-8816-431a-aaf6-d3fe2512ff61.bin'

type Container = { readonly key: number } & (
  | { readonly values: readonly number[] }
  | { readonly runs: readonly (readonly [start: number, length: number])[] }
)

/** Little-endian numbers one after the other. */
function littleEndian(...parts: (readonly [bytes: 1 | 2 | 4 | 8, value: number])[]): Buffer {
  return Buffer.concat(
    parts.map(([size, value]) => {
      const bytes = Buffer.alloc(size)
      if (size === 8) bytes.writeBigUInt64LE(BigInt(value))
      else bytes.writeUIntLE(value, 0, size)
      return bytes
    }),
  )
}

/** RoaringFormatSpec, one 32-bit bitmap. */
function roaring(containers: readonly Container[]): Buffer {
  const hasRuns = containers.some(c => 'runs' in c)
  const counts = containers.map(c =>
    'runs' in c ? c.runs.reduce((n, [, length]) => n + length, 0) : c.values.length,
  )
  const bodies = containers.map((c, i) => {
    if ('runs' in c) {
      return littleEndian(
        [2, c.runs.length],
        ...c.runs.flatMap(([s, n]) => [[2, s] as const, [2, n - 1] as const]),
      )
    }
    if (counts[i]! <= 4096) return littleEndian(...c.values.map(v => [2, v] as const))
    const bits = Buffer.alloc(8192)
    for (const v of c.values) bits[v >> 3]! |= 1 << (v & 7)
    return bits
  })
  const flags = Buffer.alloc(hasRuns ? Math.ceil(containers.length / 8) : 0)
  for (const [i, c] of containers.entries()) if ('runs' in c) flags[i >> 3]! |= 1 << (i & 7)
  const cookie = hasRuns
    ? littleEndian([4, (12_347 | ((containers.length - 1) << 16)) >>> 0])
    : littleEndian([4, 12_346], [4, containers.length])
  const headers = littleEndian(
    ...containers.flatMap((c, i) => [[2, c.key] as const, [2, counts[i]! - 1] as const]),
  )
  // Readers go through the containers in order, so what the offsets say does not matter here.
  const offsets = Buffer.alloc(!hasRuns || containers.length >= 4 ? containers.length * 4 : 0)
  return Buffer.concat([cookie, flags, headers, offsets, ...bodies])
}

function bitmapArray(bitmaps: readonly (readonly [upper: number, bitmap: Buffer])[]): Buffer {
  return Buffer.concat([
    littleEndian([4, 1_681_511_377], [8, bitmaps.length]),
    ...bitmaps.flatMap(([upper, bitmap]) => [littleEndian([4, upper]), bitmap]),
  ])
}

/** A file with one vector behind the version byte. */
async function stored(
  bitmap: Uint8Array,
  cardinality: number,
  checksum = crc32(bitmap),
): Promise<{ store: MemoryObjectStore; descriptor: DeletionVectorDescriptor }> {
  const store = new MemoryObjectStore({ name: 'dv' })
  const frame = Buffer.alloc(bitmap.length + 9)
  frame.writeUInt8(1, 0)
  frame.writeInt32BE(bitmap.length, 1)
  frame.set(bitmap, 5)
  frame.writeUInt32BE(checksum, bitmap.length + 5)
  await store.put(UUID_KEY, frame)
  const descriptor: DeletionVectorDescriptor = {
    storageType: 'u',
    pathOrInlineDv: UUID_PATH,
    offset: 1,
    sizeInBytes: bitmap.length,
    cardinality,
  }
  return { store, descriptor }
}

describe('a deletion vector', () => {
  test('is read from the log itself', async () => {
    const deleted = await readDeletionVector(new MemoryObjectStore({ name: 'dv' }), INLINE)
    const rows = Array.from({ length: 100 }, (_, row) => row).filter(row => deleted.has(row))
    assert.deepEqual(rows, INLINE_ROWS)
  })

  test('is read from a file: arrays, bitmaps and runs, beyond 32 bits', async () => {
    const dense = Array.from({ length: 5000 }, (_, i) => i * 2)
    const bitmap = bitmapArray([
      [
        0,
        roaring([
          { key: 0, values: dense },
          { key: 7, values: [1, 65_535] },
        ]),
      ],
      [
        1,
        roaring([
          {
            key: 2,
            runs: [
              [10, 3],
              [100, 1],
            ],
          },
        ]),
      ],
    ])
    const { store, descriptor } = await stored(bitmap, 5006)
    const deleted = await readDeletionVector(store, descriptor)
    for (const row of dense) assert(deleted.has(row) && !deleted.has(row + 1))
    assert(deleted.has(7 * 65_536 + 1) && deleted.has(7 * 65_536 + 65_535) && !deleted.has(7 * 65_536))
    const high = 2 ** 32 + 2 * 65_536
    assert.deepEqual(
      [9, 10, 12, 13, 99, 100, 101].map(bit => deleted.has(high + bit)),
      [false, true, true, false, false, true, false],
    )
  })

  test('of many containers has offsets, also with runs', async () => {
    const containers = [1, 2, 3, 4, 5].map(key => ({ key, runs: [[key, 2]] as const }))
    const { store, descriptor } = await stored(bitmapArray([[0, roaring(containers)]]), 10)
    const deleted = await readDeletionVector(store, descriptor)
    for (const { key } of containers) assert(deleted.has(key * 65_536 + key + 1))
  })

  test('that is missing, damaged, or not what the log says is refused by its name', async () => {
    const bitmap = bitmapArray([[0, roaring([{ key: 0, values: [1, 2] }])]])
    const good = await stored(bitmap, 2)
    const rejects = (read: Promise<unknown>, message: RegExp): Promise<void> =>
      assert.rejects(read, { code: 'DELTA_DATA_CORRUPT', message })
    const { store, descriptor } = good
    await rejects(
      readDeletionVector(store, { ...descriptor, cardinality: 3 }),
      /deletes 2 rows, where the log says 3/,
    )
    await rejects(
      readDeletionVector(store, { ...descriptor, sizeInBytes: bitmap.length - 1 }),
      /has \d+ bytes/,
    )
    await rejects(readDeletionVector(store, { ...descriptor, offset: 9 }), /ends before byte/)
    await rejects(readDeletionVector(new MemoryObjectStore({ name: 'x' }), descriptor), /does not exist/)
    const flipped = await stored(bitmap, 2, crc32(bitmap) ^ 1)
    await rejects(readDeletionVector(flipped.store, flipped.descriptor), /checksum/)
    const torn = await stored(bitmap.subarray(0, -2), 2)
    await rejects(readDeletionVector(torn.store, torn.descriptor), /cannot be decoded/)
    await rejects(readDeletionVector(store, { ...INLINE, pathOrInlineDv: 'ab"cd' }), /is not Z85/)
  })

  test('leaves its rows out of a scan, counted through all row groups of the file', async () => {
    const schema = struct([field('id', primitive('long'))])
    const rows = Array.from({ length: 40 }, (_, i) => ({ id: BigInt(i) }))
    const { store } = await createScanTable({
      schema,
      protocol: {
        minReaderVersion: 3,
        minWriterVersion: 7,
        readerFeatures: ['deletionVectors'],
        writerFeatures: ['deletionVectors'],
      },
      files: [{ path: 'a.parquet', schema, rows, deletionVector: INLINE, encode: { rowGroupRows: 7 } }],
    })
    const read = await readAll(store)
    assert.deepEqual(
      read.map(row => Number(row.id)),
      rows.map((_, i) => i).filter(i => !INLINE_ROWS.includes(i)),
    )
  })
})
