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
  /** The response ended inside a batch, as it does at the size limit, or a batch behind these cannot be read. */
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
 *
 * What comes before a batch that cannot be read is handed out; the next Fetch then begins with that batch.
 * @throws KafkaError `KAFKA_CORRUPT_BATCH`, `KAFKA_BATCH_UNSUPPORTED` where the very first batch cannot be read
 */
export function selectConsumableBatches(fetched: FetchedRecords): ConsumableBatches {
  const selection = new Selection(fetched)
  try {
    while (selection.takeNext());
  } catch (error) {
    if (selection.nextOffset === fetched.fromOffset) throw error
  }
  const { batches, sizeBytes, nextOffset, abortedRecordCount, isCut } = selection
  return { batches, sizeBytes, nextOffset, abortedRecordCount, isCut }
}

/** Goes through the batches of one response; where it throws, it stands before the batch at fault. */
class Selection implements ConsumableBatches {
  readonly batches: Uint8Array[] = []
  sizeBytes = 0
  abortedRecordCount = 0
  nextOffset: bigint
  private readonly fetched: FetchedRecords
  private readonly filter: AbortedTransactionFilter
  private position = 0

  constructor(fetched: FetchedRecords) {
    this.fetched = fetched
    this.nextOffset = fetched.fromOffset
    this.filter = new AbortedTransactionFilter(fetched.isReadCommitted ? fetched.abortedTransactions : [])
  }

  get isCut(): boolean {
    return this.position < this.fetched.records.length
  }

  /** Returns false where there is no further whole batch. */
  takeNext(): boolean {
    const { topic, partition, records, fromOffset } = this.fetched
    if (!this.isCut) return false
    const header = readBatchHeader(records, this.position, topic, partition)
    if (header === null) return false
    const batch = records.subarray(this.position, this.position + header.sizeBytes)
    checkOffsets(header, this.fetched, this.nextOffset)
    const isAborted = this.filter.next(header)
    const isBehind = header.lastOffset < fromOffset
    const isLeftOut = isBehind || header.isControl || isAborted || header.recordCount === 0
    if (isLeftOut) verifyChecksum(batch, header, topic, partition)
    this.position += header.sizeBytes
    if (!isBehind) this.nextOffset = header.lastOffset + 1n
    if (!isLeftOut) {
      this.batches.push(batch)
      this.sizeBytes += batch.length
    } else if (isAborted && !isBehind) this.abortedRecordCount += header.recordCount
    return true
  }
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
