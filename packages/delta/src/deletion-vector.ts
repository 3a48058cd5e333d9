/**
 * Deletion vectors: which rows of a data file are deleted.
 *
 * PROTOCOL.md › Deletion Vectors, › Deletion Vector Format; RoaringFormatSpec. A vector is a Roaring bitmap of 64-bit row
 * numbers in the portable format, inline in the log (Z85) or in a file of its own:
 * `<version: 1 byte>…<size: int32 BE><bitmap><CRC-32 of the bitmap: int32 BE>`.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { crc32 } from 'node:zlib'
import type { DeletionVectorDescriptor } from './action.ts'
import { DeltaLakeError } from './error.ts'
import { dataFileSource, type OpenForeignStore } from './file-source.ts'
import type { ObjectStore, RequestOptions } from './store/object-store.ts'

/** Rows that are deleted, by their position in the file, from 0. */
export class DeletedRows {
  /** 65,536 bits each, by the row number's upper part: at most one bit per row of the file. */
  readonly #blocks: ReadonlyMap<number, Uint8Array>

  constructor(blocks: ReadonlyMap<number, Uint8Array>) {
    this.#blocks = blocks
  }

  has(row: number): boolean {
    const block = this.#blocks.get(Math.floor(row / BLOCK_ROWS))
    if (block === undefined) return false
    const bit = row % BLOCK_ROWS
    return (block[bit >> 3]! & (1 << (bit & 7))) !== 0
  }
}

const BLOCK_ROWS = 65_536
const BLOCK_BYTES = BLOCK_ROWS / 8
/** Size in front of the bitmap and checksum behind it. */
const FRAME_BYTES = 8
const ARRAY_MAGIC = 1_681_511_377
const COOKIE_WITHOUT_RUNS = 12_346
const COOKIE_WITH_RUNS = 12_347
/** With runs, a bitmap of fewer containers than this has no offsets. */
const OFFSETS_FROM_CONTAINERS = 4
/** A container with more values is a bitmap. */
const ARRAY_CONTAINER_MAX = 4_096
/** Characters of a UUID in Z85; what precedes it is a folder. */
const UUID_CHARACTERS = 20

/**
 * Reads the deletion vector of a file: one request, none where it is inline.
 *
 * @throws DeltaLakeError `DELTA_DATA_CORRUPT` naming the vector, and what the store throws
 */
export async function readDeletionVector(
  store: ObjectStore,
  descriptor: DeletionVectorDescriptor,
  openForeign?: OpenForeignStore,
  options: RequestOptions = {},
): Promise<DeletedRows> {
  const name = describe(descriptor)
  const bytes =
    descriptor.storageType === 'i'
      ? decodeZ85(descriptor.pathOrInlineDv, name).subarray(0, descriptor.sizeInBytes)
      : await readStored(store, descriptor, name, openForeign, options)
  let decoded: { blocks: Map<number, Uint8Array>; count: number }
  try {
    decoded = decodeBitmap(bytes)
  } catch (cause) {
    throw corrupt(name, 'cannot be decoded', cause)
  }
  if (decoded.count !== descriptor.cardinality) {
    throw corrupt(name, `deletes ${decoded.count} rows, where the log says ${descriptor.cardinality}`)
  }
  return new DeletedRows(decoded.blocks)
}

async function readStored(
  store: ObjectStore,
  descriptor: DeletionVectorDescriptor,
  name: string,
  openForeign: OpenForeignStore | undefined,
  request: RequestOptions,
): Promise<Uint8Array> {
  const path = deletionVectorPath(descriptor)
  assert(path !== null)
  const source = dataFileSource(path, store, openForeign)
  const startByte = descriptor.offset ?? 1
  const endByte = startByte + descriptor.sizeInBytes + FRAME_BYTES
  const frame = await source.store.get(source.key, { ...request, range: { startByte, endByte } })
  if (frame === null) throw corrupt(name, 'does not exist')
  if (frame.length !== endByte - startByte) throw corrupt(name, `ends before byte ${endByte}`)
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength)
  const size = view.getInt32(0)
  if (size !== descriptor.sizeInBytes) {
    throw corrupt(name, `has ${size} bytes, where the log says ${descriptor.sizeInBytes}`)
  }
  const bitmap = frame.subarray(4, frame.length - 4)
  if (crc32(bitmap) !== view.getUint32(frame.length - 4)) {
    throw corrupt(name, 'does not have the checksum that is stored with it')
  }
  return bitmap
}

/**
 * The file that holds a deletion vector, as a path of the log: relative to the table's root, or absolute.
 *
 * @returns null where the vector is inline
 * @throws DeltaLakeError `DELTA_DATA_CORRUPT` for a text that holds no UUID
 */
export function deletionVectorPath(descriptor: DeletionVectorDescriptor): string | null {
  switch (descriptor.storageType) {
    case 'i':
      return null
    case 'p':
      return descriptor.pathOrInlineDv
    case 'u':
      return relativePath(descriptor, describe(descriptor))
  }
}

/** `deletion_vector_<uuid>.bin`, in a folder where the text has more than the UUID. */
function relativePath({ pathOrInlineDv }: DeletionVectorDescriptor, name: string): string {
  const prefix = pathOrInlineDv.slice(0, -UUID_CHARACTERS)
  const hex = Buffer.from(decodeZ85(pathOrInlineDv.slice(-UUID_CHARACTERS), name)).toString('hex')
  if (hex.length !== 32) throw corrupt(name, 'has no UUID in its path')
  const uuid = [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join(
    '-',
  )
  return `${prefix === '' ? '' : `${prefix}/`}deletion_vector_${uuid}.bin`
}

const Z85_ALPHABET = '0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#'

/** ZeroMQ RFC 32: five characters are four bytes. */
function decodeZ85(text: string, name: string): Uint8Array {
  if (text.length % 5 !== 0) throw corrupt(name, `has ${text.length} characters of Z85, no multiple of 5`)
  const bytes = new DataView(new ArrayBuffer((text.length / 5) * 4))
  for (let i = 0; i < text.length; i += 5) {
    let value = 0
    for (const character of text.slice(i, i + 5)) {
      const digit = Z85_ALPHABET.indexOf(character)
      if (digit < 0) throw corrupt(name, `has the character \`${character}\`, which is not Z85`)
      value = value * 85 + digit
    }
    if (value > 0xffff_ffff) throw corrupt(name, 'is not Z85')
    bytes.setUint32((i / 5) * 4, value)
  }
  return new Uint8Array(bytes.buffer)
}

/** `<magic><bitmap count: int64>` and for each `<upper 32 bits: int32><bitmap of the lower 32 bits>`, little-endian. */
function decodeBitmap(bytes: Uint8Array): { blocks: Map<number, Uint8Array>; count: number } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const magic = view.getUint32(0, true)
  if (magic !== ARRAY_MAGIC) throw new Error(`the bitmap starts with ${magic}, not ${ARRAY_MAGIC}`)
  const bitmapCount = Number(view.getBigUint64(4, true))
  const cursor = new BitmapCursor(view, 12)
  for (let i = 0; i < bitmapCount; i++) cursor.readBitmap()
  return { blocks: cursor.blocks, count: cursor.count }
}

class BitmapCursor {
  readonly blocks = new Map<number, Uint8Array>()
  count = 0
  readonly #view: DataView
  #offset: number

  constructor(view: DataView, offset: number) {
    this.#view = view
    this.#offset = offset
  }

  readBitmap(): void {
    const upper = this.#uint32() * BLOCK_ROWS
    const cookie = this.#uint32()
    const hasRuns = (cookie & 0xffff) === COOKIE_WITH_RUNS
    if (!hasRuns && cookie !== COOKIE_WITHOUT_RUNS) throw new Error(`the bitmap has the cookie ${cookie}`)
    const containerCount = hasRuns ? (cookie >>> 16) + 1 : this.#uint32()
    if (containerCount > BLOCK_ROWS) throw new Error(`the bitmap has ${containerCount} containers`)
    const runFlagsAt = this.#offset
    if (hasRuns) this.#offset += Math.ceil(containerCount / 8)
    const headersAt = this.#offset
    this.#offset += containerCount * 4
    if (!hasRuns || containerCount >= OFFSETS_FROM_CONTAINERS) this.#offset += containerCount * 4
    for (let i = 0; i < containerCount; i++) {
      const key = this.#view.getUint16(headersAt + i * 4, true)
      const valueCount = this.#view.getUint16(headersAt + i * 4 + 2, true) + 1
      const isRun = hasRuns && (this.#view.getUint8(runFlagsAt + (i >> 3)) & (1 << (i & 7))) !== 0
      this.blocks.set(upper + key, this.#container(isRun, valueCount))
      this.count += valueCount
    }
  }

  #container(isRun: boolean, valueCount: number): Uint8Array {
    const block = new Uint8Array(BLOCK_BYTES)
    if (isRun) {
      const runCount = this.#uint16()
      for (let i = 0; i < runCount; i++) {
        const start = this.#uint16()
        const end = start + this.#uint16()
        if (end >= BLOCK_ROWS) throw new Error('a run of the bitmap leaves its container')
        for (let bit = start; bit <= end; bit++) block[bit >> 3]! |= 1 << (bit & 7)
      }
    } else if (valueCount <= ARRAY_CONTAINER_MAX) {
      for (let i = 0; i < valueCount; i++) {
        const bit = this.#uint16()
        block[bit >> 3]! |= 1 << (bit & 7)
      }
    } else {
      for (let i = 0; i < BLOCK_BYTES; i++) block[i] = this.#view.getUint8(this.#offset++)
    }
    return block
  }

  #uint16(): number {
    const value = this.#view.getUint16(this.#offset, true)
    this.#offset += 2
    return value
  }

  #uint32(): number {
    const value = this.#view.getUint32(this.#offset, true)
    this.#offset += 4
    return value
  }
}

function describe({ storageType, pathOrInlineDv }: DeletionVectorDescriptor): string {
  return storageType === 'i' ? 'an inline deletion vector' : `the deletion vector \`${pathOrInlineDv}\``
}

function corrupt(name: string, message: string, cause?: unknown): DeltaLakeError {
  return new DeltaLakeError('DELTA_DATA_CORRUPT', `${name} ${message}`, { cause })
}
