/**
 * Where the records of one batch are: reusable typed arrays over one flat buffer, in place of an object per record.
 *
 * @module
 */
import type { BlockDecoder } from './block-decoder.ts'
import { VarintReader } from './varint.ts'

/** length, attributes, timestamp delta, offset delta, key length, value length, header count: one byte each. */
export const RECORD_MIN_BYTES = 7

const CAPACITY_MIN = 1024

/** Headers of a record in their order, duplicates kept. */
export type RecordHeaders = [name: string, value: Uint8Array | null][]

/**
 * Record `i` (0 ≤ i < `count`) has its value at `bytes[valueStart[i] … valueEnd[i])`; −1 and −1 is null. Filled by
 * `readRecords`; each call overwrites the last one's content, so nothing of it may be kept beyond that.
 */
export class RecordSlab {
  /** Counts the batches that it held. */
  generation = 0
  count = 0
  baseOffset = 0n
  /** The unpacked records; the batch itself where it was not compressed. */
  bytes: Uint8Array = new Uint8Array(0)
  offsetDelta = new Int32Array(CAPACITY_MIN)
  /** Epoch milliseconds; −1 where the producer set none. */
  timestamp = new Float64Array(CAPACITY_MIN)
  keyStart = new Int32Array(CAPACITY_MIN)
  keyEnd = new Int32Array(CAPACITY_MIN)
  valueStart = new Int32Array(CAPACITY_MIN)
  valueEnd = new Int32Array(CAPACITY_MIN)
  /** The first header's position; meaningful where `headerCount` is not 0. */
  headersStart = new Int32Array(CAPACITY_MIN)
  headerCount = new Int32Array(CAPACITY_MIN)
  recordEnd = new Int32Array(CAPACITY_MIN)
  readonly decoder: BlockDecoder | undefined

  /** @param decoder of this slab alone: batches are unpacked in its memory. Without one, views of `bytes` may be kept. */
  constructor(decoder?: BlockDecoder) {
    this.decoder = decoder
  }

  /** Lets go of the bytes. */
  clear(): void {
    this.generation++
    this.count = 0
    this.bytes = new Uint8Array(0)
  }

  /** Points at other bytes and makes room for `capacity` records; `count` is the filler's to set. */
  reset(bytes: Uint8Array, baseOffset: bigint, capacity: number): void {
    this.generation++
    this.count = 0
    this.bytes = bytes
    this.baseOffset = baseOffset
    if (capacity <= this.offsetDelta.length) return
    const size = Math.max(capacity, this.offsetDelta.length * 2)
    this.offsetDelta = new Int32Array(size)
    this.timestamp = new Float64Array(size)
    this.keyStart = new Int32Array(size)
    this.keyEnd = new Int32Array(size)
    this.valueStart = new Int32Array(size)
    this.valueEnd = new Int32Array(size)
    this.headersStart = new Int32Array(size)
    this.headerCount = new Int32Array(size)
    this.recordEnd = new Int32Array(size)
  }

  offsetAt(index: number): bigint {
    return this.baseOffset + BigInt(this.offsetDelta[index]!)
  }

  /** A view of the key, or null. */
  keyAt(index: number): Uint8Array | null {
    const start = this.keyStart[index]!
    return start < 0 ? null : this.bytes.subarray(start, this.keyEnd[index]!)
  }

  /** A view of the value, or null (a tombstone). */
  valueAt(index: number): Uint8Array | null {
    const start = this.valueStart[index]!
    return start < 0 ? null : this.bytes.subarray(start, this.valueEnd[index]!)
  }

  /**
   * Decodes the headers of one record; the values are views.
   * @throws KafkaError `KAFKA_CORRUPT_BATCH`
   */
  headersAt(index: number, topic: string, partition: number): RecordHeaders {
    const count = this.headerCount[index]!
    const headers: RecordHeaders = []
    if (count === 0) return headers
    const { bytes, baseOffset } = this
    const place = { topic, partition, baseOffset }
    const reader = new VarintReader(bytes, this.headersStart[index]!, this.recordEnd[index]!, place)
    for (let header = 0; header < count; header++) {
      const nameLength = Math.max(0, reader.readLength())
      const nameEnd = reader.position + nameLength
      const name = Buffer.from(bytes.buffer, bytes.byteOffset + reader.position, nameLength).toString('utf8')
      reader.position = nameEnd
      const valueLength = reader.readLength()
      if (valueLength < 0) {
        headers.push([name, null])
        continue
      }
      headers.push([name, bytes.subarray(reader.position, reader.position + valueLength)])
      reader.position += valueLength
    }
    return headers
  }
}
