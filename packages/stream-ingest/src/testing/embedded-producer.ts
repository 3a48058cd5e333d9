/**
 * Producing from the broker's own process: records or ready-made batches, with and without transactions.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { KafkaError } from '../error.ts'
import type { CompressionCodec } from '../kafka/compression.ts'
import { type EncodableRecord, encodeRecordBatch } from '../kafka/record-batch-encoder.ts'
import { type AppendRecordsOptions, type AppendTarget, appendRecords } from './append.ts'
import { topicError } from './cluster.ts'
import type { PartitionLog } from './partition-log.ts'
import { formatProtocolError, type ProtocolErrorCode } from './protocol-error.ts'
import { readStoredHeader } from './stored-batch.ts'
import type { ProducerIdentity } from './transaction-coordinator.ts'

export interface ProduceOptions {
  /** Default `none`. */
  readonly codec?: CompressionCodec
  /** Java producers write `xerial` (the default), librdkafka `raw`. */
  readonly snappyFraming?: 'xerial' | 'raw'
  /** The broker's own stamp in place of the producer's (`message.timestamp.type=LogAppendTime`). */
  readonly logAppendTimeMs?: number
  /** Beyond the last record's where compaction removed the tail. */
  readonly lastOffsetDelta?: number
  /** At or after the log's end: leaves a gap, as compaction does. Default: the log's end. */
  readonly baseOffset?: bigint
  /** For ready-made batches: false stores them even where their CRC is wrong. Default true. */
  readonly checkCrc?: boolean
}

/**
 * Appends one batch of records, or ready-made batches as they are (only base offset and leader epoch are rewritten).
 * Records without a timestamp get the broker's time.
 *
 * @returns the first batch's base offset
 * @throws KafkaError `KAFKA_TOPIC_NOT_FOUND`, or `KAFKA_PROTOCOL` naming the code that a client would be sent
 */
export function produceInProcess(
  target: AppendTarget,
  topic: string,
  partition: number,
  records: readonly EncodableRecord[] | Uint8Array,
  options: ProduceOptions,
  transaction: { readonly identity: ProducerIdentity; readonly baseSequence: number } | null,
): bigint {
  const log = requirePartition(target, topic, partition)
  const bytes =
    records instanceof Uint8Array ? records : encode(target.cluster.nowMs(), records, options, transaction)
  const append: AppendRecordsOptions = {
    checkCrc: options.checkCrc ?? true,
    // Ready-made batches may hold whatever the test needs; records of a transaction are ours and stay checked.
    checkTransaction: transaction !== null,
    checkSequence: transaction !== null,
    ...(options.baseOffset === undefined ? {} : { baseOffset: options.baseOffset }),
  }
  const outcome = appendRecords(target, log, bytes, append)
  if (!outcome.ok) throw refusal(`produce to \`${topic}-${partition}\``, outcome.code, outcome.reason)
  target.cluster.notifyChange()
  return outcome.baseOffset
}

function encode(
  nowMs: number,
  records: readonly EncodableRecord[],
  options: ProduceOptions,
  transaction: { readonly identity: ProducerIdentity; readonly baseSequence: number } | null,
): Uint8Array {
  const { codec, snappyFraming, logAppendTimeMs, lastOffsetDelta } = options
  return encodeRecordBatch(
    records.map(record => (record.timestampMs === undefined ? { ...record, timestampMs: nowMs } : record)),
    {
      baseOffset: 0n,
      ...(codec === undefined ? {} : { codec }),
      ...(snappyFraming === undefined ? {} : { snappyFraming }),
      ...(logAppendTimeMs === undefined ? {} : { logAppendTimeMs }),
      ...(lastOffsetDelta === undefined ? {} : { lastOffsetDelta }),
      ...(transaction === null
        ? {}
        : { ...transaction.identity, baseSequence: transaction.baseSequence, transactional: true }),
    },
  )
}

/** @throws KafkaError `KAFKA_TOPIC_NOT_FOUND` */
export function requirePartition(target: AppendTarget, topic: string, partition: number): PartitionLog {
  if (target.cluster.topic(topic) === undefined) throw topicError('missing', topic)
  const log = target.cluster.partition(topic, partition)
  if (log !== undefined) return log
  throw new KafkaError('KAFKA_TOPIC_NOT_FOUND', `topic \`${topic}\` has no partition \`${partition}\``, {
    hint: 'add partitions, or name another',
    context: { topic, partition },
  })
}

/**
 * A transactional producer in the broker's process. A transaction begins with the first `produce` and ends with `commit`
 * or `abort`, which write real control batches; then the next may begin under the same producer id.
 */
export class EmbeddedProducer {
  readonly transactionalId: string
  readonly producerId: bigint
  readonly producerEpoch: number
  readonly #target: AppendTarget
  readonly #sequences = new Map<PartitionLog, number>()

  /** Use {@link EmbeddedBroker.createTransactionalProducer}. Fences an earlier producer of the same id. */
  constructor(target: AppendTarget, transactionalId: string) {
    const outcome = target.transactions.initProducer(transactionalId)
    if (!outcome.ok) throw refusal(`producer \`${transactionalId}\``, outcome.code)
    this.transactionalId = transactionalId
    this.producerId = outcome.producerId
    this.producerEpoch = outcome.producerEpoch
    this.#target = target
  }

  /** Appends one batch to the open transaction. @returns its base offset */
  produce(
    topic: string,
    partition: number,
    records: readonly EncodableRecord[],
    options: ProduceOptions = {},
  ): bigint {
    const log = requirePartition(this.#target, topic, partition)
    const outcome = this.#target.transactions.addPartition(this.transactionalId, this, log)
    if (!outcome.ok) throw refusal(`transaction of \`${this.transactionalId}\``, outcome.code)
    const identity = { producerId: this.producerId, producerEpoch: this.producerEpoch }
    const baseSequence = this.#sequences.get(log) ?? 0
    const base = produceInProcess(this.#target, topic, partition, records, options, {
      identity,
      baseSequence,
    })
    const last = log.batches.at(-1)
    assert(last !== undefined, 'the batch just appended is there')
    this.#sequences.set(log, baseSequence + readStoredHeader(last.bytes).lastOffsetDelta + 1)
    return base
  }

  commit(): void {
    this.#end(true)
  }

  abort(): void {
    this.#end(false)
  }

  #end(committed: boolean): void {
    const outcome = this.#target.transactions.endTransaction(this.transactionalId, this, committed)
    if (!outcome.ok) throw refusal(`transaction of \`${this.transactionalId}\``, outcome.code)
  }
}

function refusal(what: string, code: ProtocolErrorCode, reason = ''): KafkaError {
  const detail = reason === '' ? '' : `: ${reason}`
  return new KafkaError('KAFKA_PROTOCOL', `${what} is refused with ${formatProtocolError(code)}${detail}`, {
    retryable: false,
    hint: 'correct the call; the embedded broker applies a real broker’s rules',
    context: { errorCode: code },
  })
}
