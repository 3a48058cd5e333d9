/**
 * Reading and writing the primitive types of the Kafka protocol, in both of its encodings: the classic one (fixed-width
 * lengths) and the flexible one of KIP-482 (compact lengths, tagged fields).
 *
 * ```
 * STRING           => INT16 length, bytes              COMPACT_STRING => UNSIGNED_VARINT length + 1, bytes
 * NULLABLE_STRING  => length -1 is null                COMPACT_NULLABLE_STRING => 0 is null
 * BYTES, RECORDS   => INT32 length, bytes              COMPACT_BYTES  => UNSIGNED_VARINT length + 1, bytes
 * ARRAY            => INT32 count, items               COMPACT_ARRAY  => UNSIGNED_VARINT count + 1, items
 * UUID             => 16 bytes
 * TAG_BUFFER       => UNSIGNED_VARINT count, { UNSIGNED_VARINT tag, UNSIGNED_VARINT size, bytes }   (flexible only)
 * ```
 *
 * @module
 */

import { KafkaError } from '../error.ts'

/** A UUID of sixteen zero bytes: "no topic id". */
export const ZERO_UUID = '00000000-0000-0000-0000-000000000000'

const WRITER_INITIAL_SIZE_BYTES = 512
/** Bytes longer than this are handed to the socket as they are, instead of being copied into the response. */
const WRITER_REFERENCE_MIN_SIZE_BYTES = 4_096
const UVARINT_SIZE_BYTES_MAX = 5
const STRING_SIZE_BYTES_MAX = 0x7fff

const textDecoder = new TextDecoder('utf-8', { fatal: true })
const textEncoder = new TextEncoder()

/** Reads one request. Every read is bounds-checked; a request that lies about its lengths throws `KAFKA_PROTOCOL`. */
export class WireReader {
  readonly #bytes: Uint8Array
  readonly #view: DataView
  #position = 0
  /** Compact lengths and tag buffers, or not. The request header decides (see `connection.ts`). */
  flexible: boolean

  constructor(bytes: Uint8Array, flexible = false) {
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.flexible = flexible
  }

  get remainingBytes(): number {
    return this.#bytes.length - this.#position
  }

  int8(): number {
    return this.#view.getInt8(this.#advance(1))
  }

  int16(): number {
    return this.#view.getInt16(this.#advance(2))
  }

  int32(): number {
    return this.#view.getInt32(this.#advance(4))
  }

  int64(): bigint {
    return this.#view.getBigInt64(this.#advance(8))
  }

  boolean(): boolean {
    return this.int8() !== 0
  }

  unsignedVarint(): number {
    let value = 0
    for (let index = 0; index < UVARINT_SIZE_BYTES_MAX; index++) {
      const byte = this.#bytes[this.#advance(1)]!
      value += (byte & 0x7f) * 2 ** (7 * index)
      if (byte < 0x80) return value
    }
    throw malformed('an unsigned varint is longer than 5 bytes')
  }

  /** In the canonical form, lower case with dashes. */
  uuid(): string {
    const start = this.#advance(16)
    return formatUuid(this.#bytes.subarray(start, start + 16))
  }

  string(): string {
    return this.nullableString() ?? fail('a string is null where the protocol forbids it')
  }

  nullableString(): string | null {
    const size = this.flexible ? this.unsignedVarint() - 1 : this.int16()
    return size < 0 ? null : this.#text(size)
  }

  /** The header's client id: a classic nullable string even in flexible headers. */
  classicNullableString(): string | null {
    const size = this.int16()
    return size < 0 ? null : this.#text(size)
  }

  /** A view into the request, not a copy. */
  nullableBytes(): Uint8Array | null {
    const size = this.flexible ? this.unsignedVarint() - 1 : this.int32()
    if (size < 0) return null
    const start = this.#advance(size)
    return this.#bytes.subarray(start, start + size)
  }

  /** A view into the request, not a copy. */
  bytes(): Uint8Array {
    return this.nullableBytes() ?? fail('bytes are null where the protocol forbids it')
  }

  array<T>(readItem: (reader: this) => T): T[] {
    return this.nullableArray(readItem) ?? []
  }

  nullableArray<T>(readItem: (reader: this) => T): T[] | null {
    const count = this.flexible ? this.unsignedVarint() - 1 : this.int32()
    if (count < 0) return null
    // No item is smaller than a byte: the request's own size bounds every array.
    if (count > this.remainingBytes) throw malformed(`an array announces \`${count}\` items beyond its end`)
    const items: T[] = []
    for (let index = 0; index < count; index++) items.push(readItem(this))
    return items
  }

  /** Skips a TAG_BUFFER; does nothing in the classic encoding. No request of ours needs a tagged field. */
  skipTags(): void {
    if (!this.flexible) return
    const count = this.unsignedVarint()
    if (count > this.remainingBytes)
      throw malformed(`a tag buffer announces \`${count}\` tags beyond its end`)
    for (let index = 0; index < count; index++) {
      this.unsignedVarint()
      this.#advance(this.unsignedVarint())
    }
  }

  #text(size: number): string {
    const start = this.#advance(size)
    try {
      return textDecoder.decode(this.#bytes.subarray(start, start + size))
    } catch (cause) {
      throw malformed('a string is not UTF-8', cause)
    }
  }

  #advance(size: number): number {
    const start = this.#position
    if (size > this.#bytes.length - start) {
      throw malformed(`\`${size}\` bytes wanted, \`${this.#bytes.length - start}\` left`)
    }
    this.#position = start + size
    return start
  }
}

/** Writes one response as a list of chunks: long bytes (record batches) are referenced, not copied. */
export class WireWriter {
  readonly #finished: Uint8Array[] = []
  #finishedSizeBytes = 0
  #bytes: Uint8Array
  #view: DataView
  #start = 0
  #position = 0
  readonly flexible: boolean

  constructor(flexible = false) {
    this.flexible = flexible
    this.#bytes = new Uint8Array(WRITER_INITIAL_SIZE_BYTES)
    this.#view = new DataView(this.#bytes.buffer)
  }

  get sizeBytes(): number {
    return this.#finishedSizeBytes + this.#position - this.#start
  }

  /** What was written, in order. The writer must not be used afterwards. */
  finish(): readonly Uint8Array[] {
    this.#cut()
    return this.#finished
  }

  int8(value: number): this {
    const at = this.#reserve(1)
    this.#view.setInt8(at, value)
    return this
  }

  int16(value: number): this {
    const at = this.#reserve(2)
    this.#view.setInt16(at, value)
    return this
  }

  int32(value: number): this {
    const at = this.#reserve(4)
    this.#view.setInt32(at, value)
    return this
  }

  int64(value: bigint): this {
    const at = this.#reserve(8)
    this.#view.setBigInt64(at, value)
    return this
  }

  boolean(value: boolean): this {
    return this.int8(value ? 1 : 0)
  }

  unsignedVarint(value: number): this {
    let rest = value
    while (rest >= 0x80) {
      this.int8((rest % 0x80) | 0x80)
      rest = Math.floor(rest / 0x80)
    }
    return this.int8(rest)
  }

  uuid(value: string): this {
    const start = this.#reserve(16)
    this.#bytes.set(parseUuid(value), start)
    return this
  }

  string(value: string | null): this {
    if (value === null) return this.flexible ? this.unsignedVarint(0) : this.int16(-1)
    const bytes = textEncoder.encode(value)
    if (bytes.length > STRING_SIZE_BYTES_MAX) throw malformed('a string is longer than 32,767 bytes')
    if (this.flexible) this.unsignedVarint(bytes.length + 1)
    else this.int16(bytes.length)
    return this.#raw(bytes)
  }

  bytes(value: Uint8Array | null): this {
    return this.chunks(value === null ? null : [value])
  }

  /** One BYTES or RECORDS value made of several pieces. */
  chunks(pieces: readonly Uint8Array[] | null): this {
    if (pieces === null) return this.flexible ? this.unsignedVarint(0) : this.int32(-1)
    const size = pieces.reduce((sum, piece) => sum + piece.length, 0)
    if (this.flexible) this.unsignedVarint(size + 1)
    else this.int32(size)
    for (const piece of pieces) this.#raw(piece)
    return this
  }

  array<T>(items: readonly T[] | null, writeItem: (item: T, writer: this) => void): this {
    if (items === null) return this.flexible ? this.unsignedVarint(0) : this.int32(-1)
    if (this.flexible) this.unsignedVarint(items.length + 1)
    else this.int32(items.length)
    for (const item of items) writeItem(item, this)
    return this
  }

  /** An empty TAG_BUFFER; nothing in the classic encoding. */
  tags(): this {
    return this.flexible ? this.unsignedVarint(0) : this
  }

  #raw(bytes: Uint8Array): this {
    if (bytes.length >= WRITER_REFERENCE_MIN_SIZE_BYTES) {
      this.#cut()
      this.#finished.push(bytes)
      this.#finishedSizeBytes += bytes.length
    } else {
      const start = this.#reserve(bytes.length)
      this.#bytes.set(bytes, start)
    }
    return this
  }

  #cut(): void {
    if (this.#position === this.#start) return
    this.#finished.push(this.#bytes.subarray(this.#start, this.#position))
    this.#finishedSizeBytes += this.#position - this.#start
    this.#start = this.#position
  }

  /** May replace the buffer and its view: call it before either is read. */
  #reserve(size: number): number {
    if (this.#position + size > this.#bytes.length) {
      this.#cut()
      this.#bytes = new Uint8Array(Math.max(size, this.#bytes.length * 2))
      this.#view = new DataView(this.#bytes.buffer)
      this.#start = 0
      this.#position = 0
    }
    const start = this.#position
    this.#position = start + size
    return start
  }
}

export function formatUuid(bytes: Uint8Array): string {
  const hex = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex')
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-')
}

function parseUuid(uuid: string): Uint8Array {
  return Buffer.from(uuid.replaceAll('-', ''), 'hex')
}

function malformed(reason: string, cause?: unknown): KafkaError {
  return new KafkaError('KAFKA_PROTOCOL', `the request is malformed: ${reason}`, {
    retryable: false,
    hint: 'check the client’s encoding of this request against its API version',
    cause,
  })
}

function fail(reason: string): never {
  throw malformed(reason)
}
