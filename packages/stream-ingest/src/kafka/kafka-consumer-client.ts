/**
 * `KafkaConsumerClient`: consuming by hand, batch by batch, with positions in Kafka's group offsets.
 *
 * The pipeline does not use it: its positions are in the table.
 *
 * @module
 */
import { systemRuntime, withinTime } from '@stream-ingest/delta'
import type { KafkaConfig } from '../config/ingest-config.ts'
import { KafkaError, StreamIngestError } from '../error.ts'
import { createKafkaSource, type KafkaSource } from './kafka-source.ts'
import { type KafkaMessage, MessageBatch } from './message-batch.ts'
import type { TopicPartition } from './message-source.ts'
import { BATCH_MAX_BYTES } from './record-batch.ts'
import type { KafkaRuntime, RetryPolicy } from './retry.ts'

/** Defaults of one `consumeBatch`. */
const CONSUME_MAX_BYTES = 16 * 1024 * 1024
const CONSUME_MAX_WAIT_MS = 1000
/** A cluster that has not answered by then is not healthy. */
export const HEALTH_TIMEOUT_MS = 10_000

export interface KafkaConsumerOptions {
  /** Clock, randomness and timers; the system's by default. */
  readonly runtime?: KafkaRuntime
  readonly retry?: RetryPolicy
  /** About this much per `consumeBatch`, as it came over the wire; 16 MiB by default. */
  readonly maxBytes?: number
  /** Bound of one decompressed record batch; 256 MiB by default. */
  readonly batchMaxBytes?: number
}

export interface ConsumeOptions {
  /** An empty batch is returned after this long without messages; 1000 by default. */
  readonly maxWaitMs?: number
  /** When it aborts, an empty batch is returned. */
  readonly signal?: AbortSignal
}

export interface KafkaHealth {
  readonly ok: boolean
  readonly topics: readonly { readonly topic: string; readonly partitionCount: number }[]
  readonly durationMs: number
  /** Why not; null where `ok`. */
  readonly error: StreamIngestError | null
}

export interface KafkaMetrics {
  readonly batchesConsumed: number
  /** Counted from the batches' headers. */
  readonly messagesConsumed: number
  readonly bytesConsumed: number
  readonly fetchRequests: number
  /** Requests that failed and were repeated. */
  readonly failedRequests: number
  /** Records of aborted transactions that were left out. */
  readonly abortedMessages: number
  /** Offsets lost to `on_offset_out_of_range`. */
  readonly lostOffsets: bigint
  /** Offsets between what was consumed and the ends of the partitions, as the brokers last told them. */
  readonly lag: bigint
}

export class KafkaConsumerClient {
  private readonly config: KafkaConfig
  private readonly options: KafkaConsumerOptions
  private readonly runtime: KafkaRuntime
  private readonly source: KafkaSource
  private opening: Promise<void> | null = null
  /** Behind the last message that was handed out, of each partition. */
  private readonly positions = new Map<TopicPartition, bigint>()
  private batchesConsumed = 0
  private messagesConsumed = 0
  private bytesConsumed = 0
  private abortedMessages = 0
  private lostOffsets = 0n

  /**
   * Connects at the first call that needs to.
   * @throws ConfigError `CONFIG_UNSUPPORTED` for `assignment: group`
   */
  constructor(config: KafkaConfig, options: KafkaConsumerOptions = {}) {
    this.config = config
    this.options = options
    this.runtime = options.runtime ?? systemRuntime
    const retry = options.retry === undefined ? {} : { retry: options.retry }
    this.source = createKafkaSource(config, { runtime: this.runtime, ...retry })
  }

  /**
   * The next messages. Starts at the group's committed offsets, and where it has none at `auto_offset_reset`.
   * @throws KafkaError
   */
  async consumeBatch(options: ConsumeOptions = {}): Promise<MessageBatch> {
    await this.open()
    const chunks = await this.source.read({
      maxBytes: this.options.maxBytes ?? CONSUME_MAX_BYTES,
      maxWaitMs: options.maxWaitMs ?? CONSUME_MAX_WAIT_MS,
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    })
    const batch = new MessageBatch(chunks, this.options.batchMaxBytes ?? BATCH_MAX_BYTES)
    this.count(batch)
    return batch
  }

  /**
   * Tells the group how far it is: after these messages.
   * @throws KafkaError
   */
  async commitOffsets(messages: MessageBatch | readonly KafkaMessage[]): Promise<void> {
    await this.open()
    const offsets = messages instanceof MessageBatch ? messages.nextOffsets() : this.offsetsAfter(messages)
    await this.source.commitGroupOffsets(offsets)
  }

  /**
   * Asks the cluster for the topics and their ends, within {@link HEALTH_TIMEOUT_MS}. Never throws for an operational
   * failure.
   */
  async healthCheck(): Promise<KafkaHealth> {
    const startedMs = this.runtime.now()
    const outcome = await withinTime(
      this.runtime,
      HEALTH_TIMEOUT_MS,
      () => this.checkTopics(),
      () => new KafkaError('KAFKA_UNREACHABLE', `Kafka did not answer within ${HEALTH_TIMEOUT_MS} ms`),
    ).catch((error: unknown) => StreamIngestError.from(error))
    const durationMs = this.runtime.now() - startedMs
    if (outcome instanceof StreamIngestError) return { ok: false, topics: [], durationMs, error: outcome }
    return { ok: true, topics: outcome, durationMs, error: null }
  }

  getMetrics(): KafkaMetrics {
    const { counters } = this.source
    return {
      batchesConsumed: this.batchesConsumed,
      messagesConsumed: this.messagesConsumed,
      bytesConsumed: this.bytesConsumed,
      fetchRequests: counters.fetchCount,
      failedRequests: counters.failureCount,
      abortedMessages: this.abortedMessages,
      lostOffsets: this.lostOffsets,
      lag: [...this.positions].reduce((sum, [target, position]) => sum + this.lagOf(target, position), 0n),
    }
  }

  async close(): Promise<void> {
    await this.source.close()
  }

  /** Once; a failure may be tried again. */
  private async open(): Promise<void> {
    this.opening ??= this.openSource().catch((error: unknown) => {
      this.opening = null
      throw error
    })
    await this.opening
  }

  private async openSource(): Promise<void> {
    await this.source.open()
    const committed = await this.source.fetchGroupOffsets()
    const unknown = this.source.assignment.filter(target => !committed.has(target))
    const starts =
      unknown.length === 0 ? new Map<TopicPartition, bigint>() : await this.resolveStarts(unknown)
    for (const [target, offset] of [...committed, ...starts]) {
      this.source.seek(target, offset)
      this.positions.set(target, offset)
    }
  }

  private async resolveStarts(unknown: readonly TopicPartition[]): Promise<Map<TopicPartition, bigint>> {
    const { autoOffsetReset, consumerGroup } = this.config
    if (autoOffsetReset !== 'none') return this.source.resolveStart(unknown, autoOffsetReset)
    const names = unknown.map(({ topic, partition }) => `\`${topic}-${partition}\``).join(', ')
    throw new KafkaError(
      'KAFKA_NO_OFFSET',
      `group \`${consumerGroup}\` has no offset for ${names}, and \`auto_offset_reset\` is \`none\``,
    )
  }

  private async checkTopics(): Promise<KafkaHealth['topics']> {
    await this.source.open()
    await this.source.endOffsets()
    const byTopic = Map.groupBy(this.source.assignment, ({ topic }) => topic)
    return [...byTopic].map(([topic, partitions]) => ({ topic, partitionCount: partitions.length }))
  }

  private offsetsAfter(messages: readonly KafkaMessage[]): Map<TopicPartition, bigint> {
    const offsets = new Map<TopicPartition, bigint>()
    for (const { topic, partition, offset } of messages) {
      const target = this.source.assignment.find(
        candidate => candidate.topic === topic && candidate.partition === partition,
      )
      // A message from elsewhere has no place in this group.
      if (target === undefined) continue
      if (offset + 1n > (offsets.get(target) ?? 0n)) offsets.set(target, offset + 1n)
    }
    return offsets
  }

  private count(batch: MessageBatch): void {
    for (const { wantedOffset, resumedOffset } of this.source.takeLosses()) {
      if (resumedOffset > wantedOffset) this.lostOffsets += resumedOffset - wantedOffset
    }
    if (batch.chunks.length === 0) return
    this.batchesConsumed++
    this.messagesConsumed += batch.recordCountMax
    this.bytesConsumed += batch.sizeBytes
    for (const chunk of batch.chunks) {
      this.abortedMessages += chunk.abortedRecordCount
      this.positions.set(chunk.topicPartition, chunk.nextOffset)
    }
  }

  private lagOf(target: TopicPartition, position: bigint): bigint {
    const endOffset = this.source.heardEndOffset(target) ?? position
    return endOffset > position ? endOffset - position : 0n
  }
}
