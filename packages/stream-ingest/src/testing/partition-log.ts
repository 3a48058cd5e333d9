/**
 * One topic partition: its batches in offset order, its producers' sequences, and its transactions.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { PROTOCOL_ERRORS, type ProtocolErrorCode } from './protocol-error.ts'
import {
  type BatchDamage,
  damageBatch,
  findTimestamp,
  type StoredBatch,
  type StoredBatchHeader,
  storeBatch,
} from './stored-batch.ts'

/** As in Apache Kafka, a producer may have five requests in flight: so many batches are remembered as duplicates. */
const REMEMBERED_BATCHES_PER_PRODUCER = 5
const REMEMBERED_PRODUCERS = 10_000
const SEQUENCE_MODULUS = 2 ** 31

export interface AbortedTransaction {
  readonly producerId: bigint
  readonly firstOffset: bigint
  /** Offset of the abort marker. */
  readonly lastOffset: bigint
}

export type IsolationLevel = 'read_uncommitted' | 'read_committed'

export type AppendOutcome =
  | { readonly ok: true; readonly baseOffset: bigint; readonly isDuplicate: boolean }
  | { readonly ok: false; readonly code: ProtocolErrorCode; readonly reason: string }

export interface AppendOptions {
  /** At or after the log's end: a gap, as compaction leaves one. Default: the log's end. */
  readonly baseOffset?: bigint
  /** False takes any sequence number. Default true. */
  readonly checkSequence?: boolean
}

interface ProducerState {
  epoch: number
  recent: { readonly baseSequence: number; readonly lastSequence: number; readonly baseOffset: bigint }[]
}

export class PartitionLog {
  readonly topic: string
  readonly partition: number
  #batches: StoredBatch[] = []
  #startOffset = 0n
  #endOffset = 0n
  #leaderEpoch = 0
  #sizeBytes = 0
  readonly #producers = new Map<bigint, ProducerState>()
  /** First offset of each producer's open transaction. */
  readonly #openTransactions = new Map<bigint, bigint>()
  #abortedTransactions: AbortedTransaction[] = []

  constructor(topic: string, partition: number) {
    this.topic = topic
    this.partition = partition
  }

  get startOffset(): bigint {
    return this.#startOffset
  }

  /** The high watermark: there are no other replicas to wait for. */
  get endOffset(): bigint {
    return this.#endOffset
  }

  /** Below it, every transaction is decided. */
  get lastStableOffset(): bigint {
    let offset = this.#endOffset
    for (const first of this.#openTransactions.values()) if (first < offset) offset = first
    return offset
  }

  get leaderEpoch(): number {
    return this.#leaderEpoch
  }

  get sizeBytes(): number {
    return this.#sizeBytes
  }

  get batches(): readonly StoredBatch[] {
    return this.#batches
  }

  readableEnd(isolation: IsolationLevel): bigint {
    return isolation === 'read_committed' ? this.lastStableOffset : this.#endOffset
  }

  /** As after an election: clients with the older epoch are fenced. */
  bumpLeaderEpoch(): void {
    this.#leaderEpoch++
  }

  /** Appends one batch whose form is already checked. */
  append(batch: Uint8Array, header: StoredBatchHeader, options: AppendOptions = {}): AppendOutcome {
    const verdict = options.checkSequence === false ? null : this.#checkProducer(header)
    if (verdict !== null) return verdict
    const baseOffset = options.baseOffset ?? this.#endOffset
    assert(baseOffset >= this.#endOffset, 'a batch is never appended below the end of the log')
    const stored = storeBatch(batch, baseOffset, this.#leaderEpoch)
    this.#batches.push(stored)
    this.#sizeBytes += stored.bytes.length
    this.#endOffset = stored.lastOffset + 1n
    this.#rememberProducer(header, baseOffset)
    if (header.isTransactional && !header.isControl && !this.#openTransactions.has(header.producerId)) {
      this.#openTransactions.set(header.producerId, baseOffset)
    }
    return { ok: true, baseOffset, isDuplicate: false }
  }

  /** Appends the marker that decides a producer's transaction. */
  appendMarker(marker: Uint8Array, header: StoredBatchHeader, committed: boolean): void {
    assert(header.isControl, 'a marker is a control batch')
    const outcome = this.append(marker, header, { checkSequence: false })
    assert(outcome.ok, 'a marker is always accepted')
    const firstOffset = this.#openTransactions.get(header.producerId)
    this.#openTransactions.delete(header.producerId)
    if (committed || firstOffset === undefined) return
    this.#abortedTransactions.push({
      producerId: header.producerId,
      firstOffset,
      lastOffset: outcome.baseOffset,
    })
  }

  /**
   * Stored bytes from the batch that holds `fromOffset` up to `endOffset`, at most `maxBytes`, as a broker reads them
   * from a segment: the last batch may be cut in the middle.
   *
   * @param atLeastOneBatch return the first batch whole even where it is larger than `maxBytes`
   */
  read(fromOffset: bigint, endOffset: bigint, maxBytes: number, atLeastOneBatch: boolean): LogSlice {
    const pieces: Uint8Array[] = []
    let sizeBytes = 0
    let nextOffset = fromOffset
    for (let index = this.#indexOf(fromOffset); index < this.#batches.length; index++) {
      const batch = this.#batches[index]!
      if (batch.baseOffset >= endOffset) break
      nextOffset = batch.lastOffset + 1n
      const isWhole = batch.bytes.length <= maxBytes - sizeBytes || (atLeastOneBatch && pieces.length === 0)
      const piece = isWhole ? batch.bytes : batch.bytes.subarray(0, maxBytes - sizeBytes)
      if (piece.length > 0) pieces.push(piece)
      sizeBytes += piece.length
      if (sizeBytes >= maxBytes) break
    }
    return { pieces, sizeBytes, nextOffset }
  }

  /** How many bytes are readable from `fromOffset`, counted up to `enough`. */
  availableBytes(fromOffset: bigint, endOffset: bigint, enough: number): number {
    let sizeBytes = 0
    for (let index = this.#indexOf(fromOffset); index < this.#batches.length && sizeBytes < enough; index++) {
      const batch = this.#batches[index]!
      if (batch.baseOffset >= endOffset) break
      sizeBytes += batch.bytes.length
    }
    return sizeBytes
  }

  /** Every aborted transaction that overlaps `[fromOffset, endOffset)`. */
  abortedTransactions(fromOffset: bigint, endOffset: bigint): AbortedTransaction[] {
    return this.#abortedTransactions.filter(
      aborted => aborted.lastOffset >= fromOffset && aborted.firstOffset < endOffset,
    )
  }

  /** The first record at or after a timestamp, among those below `endOffset`. */
  findTimestamp(
    timestampMs: bigint,
    endOffset: bigint,
  ): { readonly offset: bigint; readonly timestampMs: bigint; readonly leaderEpoch: number } | null {
    for (const batch of this.#batches) {
      if (batch.baseOffset >= endOffset) return null
      if (batch.header.isControl || batch.lastOffset < this.#startOffset) continue
      const found = findTimestamp(batch, timestampMs, this)
      if (found === null) continue
      let { offset } = found
      if (offset < this.#startOffset) offset = this.#startOffset
      return { offset, timestampMs: found.timestampMs, leaderEpoch: batch.leaderEpoch }
    }
    return null
  }

  /** The greatest timestamp of the log; its batch's base offset stands for the record's. */
  maxTimestamp(): {
    readonly offset: bigint
    readonly timestampMs: bigint
    readonly leaderEpoch: number
  } | null {
    let greatest: StoredBatch | null = null
    for (const batch of this.#batches) {
      if (batch.header.isControl) continue
      if (greatest === null || batch.header.maxTimestamp > greatest.header.maxTimestamp) greatest = batch
    }
    if (greatest === null) return null
    const found = findTimestamp(greatest, greatest.header.maxTimestamp, this)
    return found === null ? null : { ...found, leaderEpoch: greatest.leaderEpoch }
  }

  /** Moves the log start and frees the batches wholly below it. */
  deleteBefore(offset: bigint): void {
    assert(offset <= this.#endOffset, 'the log start never passes the log end')
    if (offset <= this.#startOffset) return
    this.#startOffset = offset
    const kept = this.#batches.findIndex(batch => batch.lastOffset >= offset)
    const removed = this.#batches.splice(0, kept < 0 ? this.#batches.length : kept)
    for (const batch of removed) this.#sizeBytes -= batch.bytes.length
    this.#abortedTransactions = this.#abortedTransactions.filter(aborted => aborted.lastOffset >= offset)
  }

  /** Damages the batch that holds `offset`; false where there is none. */
  damage(offset: bigint, damage: BatchDamage): boolean {
    const index = this.#indexOf(offset)
    const batch = this.#batches[index]
    if (batch === undefined || batch.baseOffset > offset) return false
    const damaged = damageBatch(batch, damage)
    this.#sizeBytes += damaged.bytes.length - batch.bytes.length
    this.#batches[index] = damaged
    return true
  }

  /** Index of the first batch that ends at or after `offset`. */
  #indexOf(offset: bigint): number {
    let low = 0
    let high = this.#batches.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#batches[middle]!.lastOffset < offset) low = middle + 1
      else high = middle
    }
    return low
  }

  /** Null lets the batch in; KIP-98's rules for idempotent producers. */
  #checkProducer(header: StoredBatchHeader): AppendOutcome | null {
    if (header.producerId < 0n) return null
    const state = this.#producers.get(header.producerId)
    if (state !== undefined && header.producerEpoch < state.epoch) {
      return refuse('INVALID_PRODUCER_EPOCH', `producer epoch \`${header.producerEpoch}\` is fenced`)
    }
    const isNewEpoch = state === undefined || header.producerEpoch > state.epoch
    if (isNewEpoch) {
      // A producer unknown to this partition may start anywhere (its state may have expired); a new epoch starts at 0.
      if (state === undefined || header.baseSequence === 0) return null
      return refuse('OUT_OF_ORDER_SEQUENCE_NUMBER', `sequence \`${header.baseSequence}\` starts a new epoch`)
    }
    const lastSequence = lastSequenceOf(header)
    const repeated = state.recent.find(
      recent => recent.baseSequence === header.baseSequence && recent.lastSequence === lastSequence,
    )
    if (repeated !== undefined) return { ok: true, baseOffset: repeated.baseOffset, isDuplicate: true }
    const expected = (state.recent.at(-1)!.lastSequence + 1) % SEQUENCE_MODULUS
    if (header.baseSequence === expected) return null
    return refuse(
      'OUT_OF_ORDER_SEQUENCE_NUMBER',
      `sequence \`${header.baseSequence}\` comes where \`${expected}\` is next`,
    )
  }

  #rememberProducer(header: StoredBatchHeader, baseOffset: bigint): void {
    if (header.producerId < 0n || header.isControl || header.baseSequence < 0) return
    const known = this.#producers.get(header.producerId)
    const recent = known !== undefined && known.epoch === header.producerEpoch ? known.recent : []
    recent.push({ baseSequence: header.baseSequence, lastSequence: lastSequenceOf(header), baseOffset })
    if (recent.length > REMEMBERED_BATCHES_PER_PRODUCER) recent.shift()
    this.#producers.delete(header.producerId)
    this.#producers.set(header.producerId, { epoch: header.producerEpoch, recent })
    // Maps keep insertion order: the first is the one that has been silent for longest.
    const [silent] = this.#producers.keys()
    if (this.#producers.size > REMEMBERED_PRODUCERS && silent !== undefined) this.#producers.delete(silent)
  }
}

export interface LogSlice {
  readonly pieces: readonly Uint8Array[]
  readonly sizeBytes: number
  /** After the last offset of the last batch touched, cut or whole. */
  readonly nextOffset: bigint
}

function lastSequenceOf(header: StoredBatchHeader): number {
  return (header.baseSequence + header.lastOffsetDelta) % SEQUENCE_MODULUS
}

function refuse(name: keyof typeof PROTOCOL_ERRORS, reason: string): AppendOutcome {
  return { ok: false, code: PROTOCOL_ERRORS[name], reason }
}
