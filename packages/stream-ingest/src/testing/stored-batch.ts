/**
 * A record batch as the broker keeps it: the bytes verbatim, and what its header says. The grammar of a record batch is
 * above `kafka/record-batch.ts`.
 *
 * @module
 */
import { crc32c } from '../kafka/crc32c.ts'
import {
  BATCH_ATTRIBUTE,
  BATCH_FIELD,
  BATCH_HEADER_BYTES,
  BATCH_MAGIC,
  BATCH_OVERHEAD_BYTES,
  readRecords,
} from '../kafka/record-batch.ts'
import { assignBaseOffset } from '../kafka/record-batch-encoder.ts'
import { RecordSlab } from '../kafka/record-slab.ts'
import { PROTOCOL_ERRORS, type ProtocolErrorCode } from './protocol-error.ts'

/** Every field that a broker acts on. */
export interface StoredBatchHeader {
  readonly baseOffset: bigint
  /** Of the whole batch, as `batchLength` says. */
  readonly sizeBytes: number
  readonly attributes: number
  readonly isTransactional: boolean
  readonly isControl: boolean
  readonly lastOffsetDelta: number
  readonly baseTimestamp: bigint
  readonly maxTimestamp: bigint
  readonly producerId: bigint
  readonly producerEpoch: number
  readonly baseSequence: number
  readonly recordCount: number
}

export interface StoredBatch {
  /** Never changed in place: responses on their way to a socket refer to it. */
  readonly bytes: Uint8Array
  readonly header: StoredBatchHeader
  readonly baseOffset: bigint
  /** Inclusive. */
  readonly lastOffset: bigint
  readonly leaderEpoch: number
}

/** The batch does not fit the format; `code` is what a producer is told. */
export interface BatchRejection {
  readonly code: ProtocolErrorCode
  readonly reason: string
}

export function readStoredHeader(bytes: Uint8Array): StoredBatchHeader {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const attributes = view.getInt16(BATCH_FIELD.attributes)
  return {
    baseOffset: view.getBigInt64(BATCH_FIELD.baseOffset),
    sizeBytes: view.getInt32(BATCH_FIELD.batchLength) + BATCH_OVERHEAD_BYTES,
    attributes,
    isTransactional: (attributes & BATCH_ATTRIBUTE.transactional) !== 0,
    isControl: (attributes & BATCH_ATTRIBUTE.control) !== 0,
    lastOffsetDelta: view.getInt32(BATCH_FIELD.lastOffsetDelta),
    baseTimestamp: view.getBigInt64(BATCH_FIELD.baseTimestamp),
    maxTimestamp: view.getBigInt64(BATCH_FIELD.maxTimestamp),
    producerId: view.getBigInt64(BATCH_FIELD.producerId),
    producerEpoch: view.getInt16(BATCH_FIELD.producerEpoch),
    baseSequence: view.getInt32(BATCH_FIELD.baseSequence),
    recordCount: view.getInt32(BATCH_FIELD.recordCount),
  }
}

/**
 * Splits the bytes of a RECORDS field into its batches, each checked as a broker checks a producer's.
 *
 * @param checkCrc false stores batches whose CRC is wrong, for tests of damage at rest
 */
export function splitBatches(
  records: Uint8Array,
  checkCrc: boolean,
): { readonly batches: readonly Uint8Array[] } | BatchRejection {
  const batches: Uint8Array[] = []
  for (let position = 0; position < records.length; ) {
    const rest = records.subarray(position)
    const rejection = checkBatch(rest, checkCrc)
    if (rejection !== null) return rejection
    const { sizeBytes } = readStoredHeader(rest)
    batches.push(rest.subarray(0, sizeBytes))
    position += sizeBytes
  }
  if (batches.length === 0) return reject('INVALID_RECORD', 'there is no record batch')
  return { batches }
}

function checkBatch(bytes: Uint8Array, checkCrc: boolean): BatchRejection | null {
  if (bytes.length <= BATCH_FIELD.magic) return reject('CORRUPT_MESSAGE', 'the batch ends within its header')
  const magic = bytes[BATCH_FIELD.magic]!
  if (magic !== BATCH_MAGIC) {
    return reject('UNSUPPORTED_FOR_MESSAGE_FORMAT', `magic \`${magic}\` is not 2`)
  }
  if (bytes.length < BATCH_HEADER_BYTES) return reject('CORRUPT_MESSAGE', 'the batch ends within its header')
  const header = readStoredHeader(bytes)
  if (header.sizeBytes < BATCH_HEADER_BYTES || header.sizeBytes > bytes.length) {
    return reject('CORRUPT_MESSAGE', `batchLength announces \`${header.sizeBytes}\` bytes of ${bytes.length}`)
  }
  const batch = bytes.subarray(0, header.sizeBytes)
  const crc = new DataView(batch.buffer, batch.byteOffset).getUint32(BATCH_FIELD.crc)
  if (checkCrc && crc32c(batch.subarray(BATCH_FIELD.attributes)) !== crc) {
    return reject('CORRUPT_MESSAGE', 'the CRC-32C does not fit')
  }
  if (header.lastOffsetDelta < 0 || header.recordCount < 0) {
    return reject('INVALID_RECORD', 'lastOffsetDelta and recordCount must not be negative')
  }
  return null
}

/** A copy with the two fields that belong to the broker: base offset and leader epoch. Both are outside the CRC. */
export function storeBatch(batch: Uint8Array, baseOffset: bigint, leaderEpoch: number): StoredBatch {
  const bytes = new Uint8Array(batch)
  assignBaseOffset(bytes, baseOffset, leaderEpoch)
  const header = readStoredHeader(bytes)
  return { bytes, header, baseOffset, lastOffset: baseOffset + BigInt(header.lastOffsetDelta), leaderEpoch }
}

/** How to damage a batch at rest. */
export type BatchDamage =
  /** Inverts one bit; `bit` counts from the start of the batch, most significant bit of a byte first. */
  | { readonly flipBit: number }
  /** Keeps the first bytes only. With `fixLength`, `batchLength` says so, and the batches after it stay readable. */
  | { readonly truncateToBytes: number; readonly fixLength?: boolean }

export function damageBatch(batch: StoredBatch, damage: BatchDamage): StoredBatch {
  if ('flipBit' in damage) {
    const bytes = batch.bytes.slice()
    const index = Math.floor(damage.flipBit / 8)
    bytes[index] = bytes[index]! ^ (0x80 >> (damage.flipBit % 8))
    return { ...batch, bytes }
  }
  const bytes = batch.bytes.slice(0, damage.truncateToBytes)
  if (damage.fixLength === true && bytes.length >= BATCH_OVERHEAD_BYTES) {
    new DataView(bytes.buffer).setInt32(BATCH_FIELD.batchLength, bytes.length - BATCH_OVERHEAD_BYTES)
  }
  return { ...batch, bytes }
}

/**
 * The first record at or after a timestamp, as ListOffsets answers it.
 *
 * @returns null where the batch holds none
 * @throws KafkaError `KAFKA_CORRUPT_BATCH` where the batch cannot be unpacked
 */
export function findTimestamp(
  batch: StoredBatch,
  timestampMs: bigint,
  place: { readonly topic: string; readonly partition: number },
): { readonly offset: bigint; readonly timestampMs: bigint } | null {
  const { header, baseOffset } = batch
  if (header.maxTimestamp < timestampMs) return null
  const slab = new RecordSlab()
  readRecords(batch.bytes, slab, place.topic, place.partition)
  for (let index = 0; index < slab.count; index++) {
    const timestamp = BigInt(slab.timestamp[index]!)
    if (timestamp >= timestampMs) {
      return { offset: baseOffset + BigInt(slab.offsetDelta[index]!), timestampMs: timestamp }
    }
  }
  return null
}

function reject(name: keyof typeof PROTOCOL_ERRORS, reason: string): BatchRejection {
  return { code: PROTOCOL_ERRORS[name], reason }
}
