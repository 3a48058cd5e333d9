/**
 * Writes record batches of format 2 (the grammar is in `record-batch.ts`), for the embedded broker and for tests: all
 * codecs, transactions, control markers.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { lz4Compress, snappyCompress } from '@platformatic/wasm-utils'
import { COMPRESSION_CODECS, type CompressionCodec } from './compression.ts'
import { crc32c } from './crc32c.ts'
import {
  BATCH_ATTRIBUTE,
  BATCH_FIELD,
  BATCH_HEADER_BYTES,
  BATCH_MAGIC,
  BATCH_OVERHEAD_BYTES,
} from './record-batch.ts'
import { VarintWriter } from './varint.ts'

export interface EncodableRecord {
  /** Strings are written as UTF-8. Missing is null. */
  readonly key?: Uint8Array | string | null
  readonly value?: Uint8Array | string | null
  /** Epoch milliseconds; the batch's base timestamp by default. */
  readonly timestampMs?: number
  /** Relative to the base offset; one more than the record before by default. A gap is what compaction leaves. */
  readonly offsetDelta?: number
  readonly headers?: readonly (readonly [name: string, value: Uint8Array | string | null])[]
  /** In place of `headers`: their number and the headers, as they stand in a record. */
  readonly rawHeaders?: Uint8Array
}

export interface RecordBatchOptions {
  readonly baseOffset: bigint
  readonly codec?: CompressionCodec
  /** Java producers write `xerial`, librdkafka `raw`. */
  readonly snappyFraming?: 'xerial' | 'raw'
  readonly partitionLeaderEpoch?: number
  /** −1 (none) by default. */
  readonly producerId?: bigint
  readonly producerEpoch?: number
  readonly baseSequence?: number
  readonly transactional?: boolean
  readonly control?: boolean
  /** Set where the broker stamps the records: readers then take this in place of each record's own. */
  readonly logAppendTimeMs?: number
  /** Beyond the last record's where compaction removed the tail. */
  readonly lastOffsetDelta?: number
}

const XERIAL_HEADER = Uint8Array.of(0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0, 0, 0, 0, 1, 0, 0, 0, 1)
/** snappy-java's default block size. */
const XERIAL_BLOCK_BYTES = 32 * 1024

/** Returns one whole batch, checksum included. */
export function encodeRecordBatch(
  records: readonly EncodableRecord[],
  options: RecordBatchOptions,
): Uint8Array {
  const baseTimestamp = records[0]?.timestampMs ?? options.logAppendTimeMs ?? -1
  const body = new VarintWriter()
  const record = new VarintWriter()
  let offsetDelta = -1
  let maxTimestamp = baseTimestamp
  for (const next of records) {
    assert(next.offsetDelta === undefined || next.offsetDelta > offsetDelta, 'offset deltas grow')
    offsetDelta = next.offsetDelta ?? offsetDelta + 1
    const timestamp = next.timestampMs ?? baseTimestamp
    maxTimestamp = Math.max(maxTimestamp, timestamp)
    record.clear()
    encodeRecord(record, next, offsetDelta, timestamp - baseTimestamp)
    body.writeVarint(record.size)
    body.writeBytes(record.bytes())
  }
  const codec = options.codec ?? 'none'
  const packed = compress(codec, body.bytes(), options.snappyFraming ?? 'xerial')
  const batch = Buffer.alloc(BATCH_HEADER_BYTES + packed.length)
  const attributes =
    COMPRESSION_CODECS.indexOf(codec) |
    (options.logAppendTimeMs === undefined ? 0 : BATCH_ATTRIBUTE.logAppendTime) |
    (options.transactional ? BATCH_ATTRIBUTE.transactional : 0) |
    (options.control ? BATCH_ATTRIBUTE.control : 0)
  batch.writeBigInt64BE(options.baseOffset, BATCH_FIELD.baseOffset)
  batch.writeInt32BE(batch.length - BATCH_OVERHEAD_BYTES, BATCH_FIELD.batchLength)
  batch.writeInt32BE(options.partitionLeaderEpoch ?? 0, BATCH_FIELD.partitionLeaderEpoch)
  batch.writeInt8(BATCH_MAGIC, BATCH_FIELD.magic)
  batch.writeInt16BE(attributes, BATCH_FIELD.attributes)
  batch.writeInt32BE(options.lastOffsetDelta ?? Math.max(0, offsetDelta), BATCH_FIELD.lastOffsetDelta)
  batch.writeBigInt64BE(BigInt(baseTimestamp), BATCH_FIELD.baseTimestamp)
  batch.writeBigInt64BE(BigInt(options.logAppendTimeMs ?? maxTimestamp), BATCH_FIELD.maxTimestamp)
  batch.writeBigInt64BE(options.producerId ?? -1n, BATCH_FIELD.producerId)
  batch.writeInt16BE(options.producerEpoch ?? -1, BATCH_FIELD.producerEpoch)
  batch.writeInt32BE(options.baseSequence ?? -1, BATCH_FIELD.baseSequence)
  batch.writeInt32BE(records.length, BATCH_FIELD.recordCount)
  batch.set(packed, BATCH_HEADER_BYTES)
  sealRecordBatch(batch)
  return batch
}

/** The marker that ends a transaction: a control batch of one record, key `[version INT16] [type INT16]`. */
export function encodeControlBatch(
  marker: 'commit' | 'abort',
  options: {
    readonly baseOffset: bigint
    readonly producerId: bigint
    readonly producerEpoch?: number
    readonly timestampMs?: number
  },
): Uint8Array {
  const { timestampMs = 0, ...rest } = options
  const key = Uint8Array.of(0, 0, 0, marker === 'commit' ? 1 : 0)
  // EndTransactionMarker => version INT16, coordinatorEpoch INT32
  const value = new Uint8Array(6)
  return encodeRecordBatch([{ key, value, timestampMs }], { ...rest, transactional: true, control: true })
}

/** Moves a batch to where a broker appends it. The checksum covers neither field. */
export function assignBaseOffset(batch: Uint8Array, baseOffset: bigint, partitionLeaderEpoch = 0): void {
  const view = new DataView(batch.buffer, batch.byteOffset, batch.byteLength)
  view.setBigInt64(BATCH_FIELD.baseOffset, baseOffset)
  view.setInt32(BATCH_FIELD.partitionLeaderEpoch, partitionLeaderEpoch)
}

/** Writes the checksum of the batch's present content. */
export function sealRecordBatch(batch: Uint8Array): void {
  const view = new DataView(batch.buffer, batch.byteOffset, batch.byteLength)
  view.setUint32(BATCH_FIELD.crc, crc32c(batch.subarray(BATCH_FIELD.attributes)))
}

function encodeRecord(
  writer: VarintWriter,
  record: EncodableRecord,
  offsetDelta: number,
  timestampDelta: number,
): void {
  writer.writeByte(0)
  writer.writeVarlong(BigInt(timestampDelta))
  writer.writeVarint(offsetDelta)
  encodeNullableBytes(writer, record.key)
  encodeNullableBytes(writer, record.value)
  if (record.rawHeaders !== undefined) {
    writer.writeBytes(record.rawHeaders)
    return
  }
  const headers = record.headers ?? []
  writer.writeVarint(headers.length)
  for (const [name, value] of headers) {
    encodeNullableBytes(writer, name)
    encodeNullableBytes(writer, value)
  }
}

function encodeNullableBytes(writer: VarintWriter, value: Uint8Array | string | null | undefined): void {
  if (value === null || value === undefined) {
    writer.writeVarint(-1)
    return
  }
  const bytes = typeof value === 'string' ? Buffer.from(value, 'utf8') : value
  writer.writeVarint(bytes.length)
  writer.writeBytes(bytes)
}

function compress(codec: CompressionCodec, bytes: Buffer, snappyFraming: 'xerial' | 'raw'): Uint8Array {
  switch (codec) {
    case 'none':
      return bytes
    case 'gzip':
      return gzipSync(bytes)
    case 'snappy':
      return snappyFraming === 'raw' ? snappyCompress(bytes) : compressXerial(bytes)
    case 'lz4':
      return lz4Compress(bytes)
    case 'zstd':
      return zstdCompressSync(bytes)
  }
}

function compressXerial(bytes: Buffer): Uint8Array {
  const parts: Uint8Array[] = [XERIAL_HEADER]
  for (let start = 0; start < bytes.length; start += XERIAL_BLOCK_BYTES) {
    const block = snappyCompress(bytes.subarray(start, start + XERIAL_BLOCK_BYTES))
    const size = Buffer.alloc(4)
    size.writeUInt32BE(block.length)
    parts.push(size, block)
  }
  return Buffer.concat(parts)
}
