/**
 * What a consumer may see of one partition's fetched batches.
 *
 * Under `read_committed` the broker sends aborted data too, with a list of the aborted transactions that overlap the
 * response. As in the Java client: going through the batches in order, a producer becomes "aborting" at the first
 * batch that reaches one of its transactions' first offsets, and stops being so at its next control batch. The list
 * names every transaction that overlaps the fetched range, so a marker in a later response is no problem, and neither
 * are two aborted transactions of one producer.
 *
 * @module
 */
import { corruptBatch } from './batch-place.ts'
import { crc32c } from './crc32c.ts'
import type { AbortedTransaction } from './fetch-response.ts'
import { BATCH_FIELD, type BatchHeader, readBatchHeader } from './record-batch.ts'

export interface ConsumableBatches {
  /** Views of the records, in offset order, each one whole batch. */
  readonly batches: readonly Uint8Array[]
  readonly sizeBytes: number
  /** Where the next fetch starts: after everything seen, what was left out included. */
  readonly nextOffset: bigint
  /** Records of aborted transactions, from the batch headers. */
  readonly abortedRecordCount: number
  /** The response ended inside a batch, as it does at the size limit. */
  readonly isCut: boolean
}

export interface FetchedRecords {
  readonly topic: string
  readonly partition: number
  readonly fromOffset: bigint
  readonly records: Uint8Array
  readonly abortedTransactions: readonly AbortedTransaction[]
  /** No batch may reach this offset: the high watermark. */
  readonly highWatermark: bigint
  readonly isReadCommitted: boolean
}

/**
 * Splits fetched records into batches and leaves out control batches and, under `read_committed`, aborted ones. What
 * is left out had its checksum verified first: a flipped bit must not make data disappear. What is kept is verified
 * by whoever unpacks it.
 * @throws KafkaError `KAFKA_CORRUPT_BATCH`, `KAFKA_BATCH_UNSUPPORTED`
 */
export function selectConsumableBatches(fetched: FetchedRecords): ConsumableBatches {
  const { topic, partition, records } = fetched
  const filter = new AbortedTransactionFilter(fetched.isReadCommitted ? fetched.abortedTransactions : [])
  const batches: Uint8Array[] = []
  let sizeBytes = 0
  let abortedRecordCount = 0
  let nextOffset = fetched.fromOffset
  let position = 0
  while (position < records.length) {
    const header = readBatchHeader(records, position, topic, partition)
    if (header === null) break
    const batch = records.subarray(position, position + header.sizeBytes)
    position += header.sizeBytes
    checkOffsets(header, fetched, nextOffset)
    const isAborted = filter.next(header)
    const isBehind = header.lastOffset < fetched.fromOffset
    if (!isBehind) nextOffset = header.lastOffset + 1n
    if (isBehind || header.isControl || isAborted || header.recordCount === 0) {
      verifyChecksum(batch, header, topic, partition)
      if (isAborted && !isBehind) abortedRecordCount += header.recordCount
      continue
    }
    batches.push(batch)
    sizeBytes += batch.length
  }
  return { batches, sizeBytes, nextOffset, abortedRecordCount, isCut: position < records.length }
}

/** Neither base offset nor length is covered by the checksum: offsets that cannot be are the only sign of damage. */
function checkOffsets(header: BatchHeader, fetched: FetchedRecords, nextOffset: bigint): void {
  const { topic, partition, fromOffset, highWatermark } = fetched
  const place = { topic, partition, baseOffset: header.baseOffset }
  if (nextOffset > fromOffset && header.baseOffset < nextOffset) {
    throw corruptBatch(place, `it follows offset ${nextOffset - 1n}`)
  }
  if (highWatermark >= 0n && header.lastOffset >= highWatermark) {
    throw corruptBatch(place, `its last offset ${header.lastOffset} is beyond the log's end ${highWatermark}`)
  }
}

function verifyChecksum(batch: Uint8Array, header: BatchHeader, topic: string, partition: number): void {
  const expected = new DataView(batch.buffer, batch.byteOffset, batch.byteLength).getUint32(BATCH_FIELD.crc)
  if (crc32c(batch.subarray(BATCH_FIELD.attributes)) === expected) return
  throw corruptBatch({ topic, partition, baseOffset: header.baseOffset }, 'its CRC-32C does not match')
}

/** The state of one response: batches must be shown to it in offset order. */
class AbortedTransactionFilter {
  private readonly pending: AbortedTransaction[]
  private readonly aborting = new Set<bigint>()
  private index = 0

  constructor(transactions: readonly AbortedTransaction[]) {
    this.pending = [...transactions].sort((left, right) => (left.firstOffset < right.firstOffset ? -1 : 1))
  }

  /** Is this batch part of an aborted transaction? */
  next(header: BatchHeader): boolean {
    while (this.index < this.pending.length && this.pending[this.index]!.firstOffset <= header.lastOffset) {
      this.aborting.add(this.pending[this.index]!.producerId)
      this.index++
    }
    if (!header.isTransactional && !header.isControl) return false
    if (!header.isControl) return this.aborting.has(header.producerId)
    this.aborting.delete(header.producerId)
    return false
  }
}
