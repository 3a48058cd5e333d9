/**
 * Kafka's variable-length integers: base 128, least significant group first; signed ones zigzag-encoded.
 *
 * @module
 */
import { type BatchPlace, corruptBatch } from './batch-place.ts'

const VARINT_MAX_BYTES = 5
const VARLONG_MAX_BYTES = 10

/** Reads a byte range; past `end` everything is a damaged batch. */
export class VarintReader {
  readonly bytes: Uint8Array
  position: number
  end: number
  private readonly place: BatchPlace

  constructor(bytes: Uint8Array, position: number, end: number, place: BatchPlace) {
    this.bytes = bytes
    this.position = position
    this.end = end
    this.place = place
  }

  /** VARINT, 32 bits. */
  readVarint(): number {
    const { bytes, end } = this
    let position = this.position
    let value = 0
    for (let shift = 0; shift < 7 * VARINT_MAX_BYTES; shift += 7) {
      if (position >= end) throw this.truncated()
      const byte = bytes[position++]!
      value |= (byte & 0x7f) << shift
      if (byte < 0x80) {
        this.position = position
        return (value >>> 1) ^ -(value & 1)
      }
    }
    throw corruptBatch(this.place, 'a variable-length integer has more than 32 bits')
  }

  /** A VARINT length of bytes that follow, −1 for null. */
  readLength(): number {
    const length = this.readVarint()
    if (length < -1 || length > this.end - this.position) {
      throw corruptBatch(this.place, `a length of ${length} at byte ${this.position} leads past its record`)
    }
    return length
  }

  /** VARLONG, 64 bits; beyond 2^53 it is rounded, which no timestamp reaches. */
  readVarlong(): number {
    const { bytes, end } = this
    let position = this.position
    let low = 0
    for (let shift = 0; shift < 28; shift += 7) {
      if (position >= end) throw this.truncated()
      const byte = bytes[position++]!
      low |= (byte & 0x7f) << shift
      if (byte < 0x80) {
        this.position = position
        return (low >>> 1) ^ -(low & 1)
      }
    }
    return this.readLongVarlong(position, BigInt(low))
  }

  private readLongVarlong(from: number, low: bigint): number {
    let value = low
    let position = from
    for (let shift = 28n; shift < 7 * VARLONG_MAX_BYTES; shift += 7n) {
      if (position >= this.end) throw this.truncated()
      const byte = this.bytes[position++]!
      value |= BigInt(byte & 0x7f) << shift
      if (byte < 0x80) {
        this.position = position
        return Number((BigInt.asUintN(64, value) >> 1n) ^ -(value & 1n))
      }
    }
    throw corruptBatch(this.place, 'a variable-length integer has more than 64 bits')
  }

  private truncated(): Error {
    return corruptBatch(this.place, `a record ends inside a variable-length integer at byte ${this.position}`)
  }
}

/** Appends zigzag var-ints and bytes to a growing buffer. */
export class VarintWriter {
  private buffer = Buffer.allocUnsafe(256)
  private length = 0

  get size(): number {
    return this.length
  }

  writeVarint(value: number): void {
    this.writeUnsigned(((value << 1) ^ (value >> 31)) >>> 0)
  }

  writeVarlong(value: bigint): void {
    let rest = BigInt.asUintN(64, (value << 1n) ^ (value >> 63n))
    while (rest >= 0x80n) {
      this.writeByte(Number(rest & 0x7fn) | 0x80)
      rest >>= 7n
    }
    this.writeByte(Number(rest))
  }

  writeByte(value: number): void {
    this.reserve(1)
    this.buffer[this.length++] = value
  }

  writeBytes(bytes: Uint8Array): void {
    this.reserve(bytes.length)
    this.buffer.set(bytes, this.length)
    this.length += bytes.length
  }

  /** A view of what was written; valid until the next write. */
  bytes(): Buffer {
    return this.buffer.subarray(0, this.length)
  }

  clear(): void {
    this.length = 0
  }

  private writeUnsigned(value: number): void {
    let rest = value
    while (rest >= 0x80) {
      this.writeByte((rest & 0x7f) | 0x80)
      rest >>>= 7
    }
    this.writeByte(rest)
  }

  private reserve(size: number): void {
    if (this.length + size <= this.buffer.length) return
    const larger = Buffer.allocUnsafe(Math.max(this.length + size, this.buffer.length * 2))
    larger.set(this.bytes())
    this.buffer = larger
  }
}
