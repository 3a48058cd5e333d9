/**
 * Messages as people see them: an object each, made on demand from undecoded record batches.
 *
 * @module
 */
import { SerializationError } from '../error.ts'
import type { SourceChunk, TopicPartition } from './message-source.ts'
import { BATCH_MAX_BYTES, readBatchHeader, readRecords } from './record-batch.ts'
import { RecordSlab } from './record-slab.ts'

/** One Kafka message. Texts are UTF-8; the bytes beside them are exact. */
export interface KafkaMessage {
  readonly key: string | null
  readonly payload: string | null
  readonly topic: string
  readonly partition: number
  readonly offset: bigint
  /** Epoch milliseconds; null where the producer set none. */
  readonly timestamp: number | null
  /** The last one of each name; a null value reads as an empty text. */
  readonly headers: Record<string, string>
  readonly keyBytes: Uint8Array | null
  readonly payloadBytes: Uint8Array | null
  /** All headers in their order. */
  readonly headerList: [string, Uint8Array | null][]
}

/**
 * What one `consumeBatch` brought: undecoded chunks, iterable as messages. Iterating decodes anew each time and makes
 * an object per message: it is for users and tests, the product's own path works on `chunks`.
 */
export class MessageBatch implements Iterable<KafkaMessage> {
  readonly chunks: readonly SourceChunk[]
  private readonly maxBytes: number

  /** @param maxBytes bound of one decompressed record batch */
  constructor(chunks: readonly SourceChunk[], maxBytes: number = BATCH_MAX_BYTES) {
    this.chunks = chunks
    this.maxBytes = maxBytes
  }

  /** As they came, compressed. */
  get sizeBytes(): number {
    return this.chunks.reduce((sum, chunk) => sum + chunk.sizeBytes, 0)
  }

  /** Records in the batches' headers: an upper bound of the messages, known without decoding. */
  get recordCountMax(): number {
    let count = 0
    for (const { batches, topicPartition } of this.chunks) {
      for (const batch of batches) {
        count += readBatchHeader(batch, 0, topicPartition.topic, topicPartition.partition)?.recordCount ?? 0
      }
    }
    return count
  }

  /** The first offset after this batch, for each partition it holds. */
  nextOffsets(): Map<TopicPartition, bigint> {
    return new Map(this.chunks.map(chunk => [chunk.topicPartition, chunk.nextOffset]))
  }

  /** @throws KafkaError `KAFKA_CORRUPT_BATCH`, `KAFKA_BATCH_TOO_LARGE`, `KAFKA_BATCH_UNSUPPORTED` */
  *[Symbol.iterator](): Generator<KafkaMessage> {
    const slab = new RecordSlab()
    for (const chunk of this.chunks) {
      const { topic, partition } = chunk.topicPartition
      for (const batch of chunk.batches) {
        readRecords(batch, slab, topic, partition, { maxBytes: this.maxBytes })
        for (let index = 0; index < slab.count; index++) {
          const offset = slab.offsetAt(index)
          if (offset >= chunk.fromOffset && offset < chunk.nextOffset) {
            yield messageAt(slab, index, topic, partition, offset)
          }
        }
      }
    }
  }
}

function messageAt(
  slab: RecordSlab,
  index: number,
  topic: string,
  partition: number,
  offset: bigint,
): KafkaMessage {
  const keyBytes = slab.keyAt(index)
  const payloadBytes = slab.valueAt(index)
  const headerList = slab.headersAt(index, topic, partition)
  const timestamp = slab.timestamp[index]!
  return {
    key: textOf(keyBytes),
    payload: textOf(payloadBytes),
    topic,
    partition,
    offset,
    timestamp: timestamp < 0 ? null : timestamp,
    headers: Object.fromEntries(headerList.map(([name, value]) => [name, textOf(value) ?? ''])),
    keyBytes,
    payloadBytes,
    headerList,
  }
}

function textOf(bytes: Uint8Array | null): string | null {
  if (bytes === null) return null
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8')
}

/**
 * Parses a payload; integers beyond 2^53 become bigints, so that 64-bit numbers stay exact.
 * @throws SerializationError `RECORD_NOT_JSON`
 */
export function parseJsonMessage(payload: string): unknown {
  try {
    return JSON.parse(payload, reviveExactly as (key: string, value: unknown) => unknown)
  } catch (error) {
    throw new SerializationError('RECORD_NOT_JSON', `the payload is not JSON: ${(error as Error).message}`, {
      cause: error,
    })
  }
}

const INTEGER = /^-?\d+$/

function reviveExactly(_key: string, value: unknown, context: { readonly source?: string }): unknown {
  if (typeof value !== 'number' || Number.isSafeInteger(value)) return value
  const { source } = context
  return source !== undefined && INTEGER.test(source) ? BigInt(source) : value
}

/** Columns that are derived from the Kafka timestamp, in UTC, where the payload has no field of that name. */
const DERIVED: Readonly<Record<string, (instant: Date) => string>> = {
  date: instant => instant.toISOString().slice(0, 10),
  year: instant => String(instant.getUTCFullYear()),
  month: instant => String(instant.getUTCMonth() + 1),
  day: instant => String(instant.getUTCDate()),
  hour: instant => String(instant.getUTCHours()),
}

/**
 * The partition values of one message: the payload's field of each name, if it is there and not null; else `date`, `year`, `month`, `day` and `hour`
 * of the Kafka timestamp in UTC.
 * @throws SerializationError `RECORD_NOT_JSON`, or `RECORD_INVALID` where a column has neither, or an object as value.
 * A null of any other name stays null
 */
export function extractPartitionValues(
  message: KafkaMessage,
  columns: readonly string[],
): Record<string, string | null> {
  const payload = message.payload === null ? null : parseJsonMessage(message.payload)
  const fields = typeof payload === 'object' && payload !== null ? payload : {}
  return Object.fromEntries(columns.map(column => [column, partitionValue(message, fields, column)]))
}

function partitionValue(message: KafkaMessage, fields: object, column: string): string | null {
  const value = Object.hasOwn(fields, column) ? (fields as Record<string, unknown>)[column] : undefined
  if (typeof value === 'object' && value !== null) {
    throw invalid(message, column, 'is an object or array in the payload')
  }
  if (value !== undefined && value !== null) return String(value)
  const derive = Object.hasOwn(DERIVED, column) ? DERIVED[column] : undefined
  if (derive === undefined) {
    if (value === null) return null
    throw invalid(message, column, 'is not in the payload')
  }
  if (message.timestamp === null) throw invalid(message, column, 'needs a timestamp, which the message lacks')
  return derive(new Date(message.timestamp))
}

function invalid(message: KafkaMessage, column: string, reason: string): SerializationError {
  const { topic, partition, offset } = message
  return new SerializationError(
    'RECORD_INVALID',
    `partition column \`${column}\` of \`${topic}-${partition}@${offset}\` ${reason}`,
    { context: { topic, partition, offset, column } },
  )
}
