/**
 * A `MessageSource` without a network: the embedded broker's log, read directly. For simulations, where each step of
 * time and each fault is the test's own.
 *
 * @module
 */
import assert from 'node:assert/strict'
import type { KafkaConfig } from '../config/ingest-config.ts'
import { KafkaError } from '../error.ts'
import { selectConsumableBatches } from '../kafka/aborted-transactions.ts'
import type {
  MessageSource,
  OffsetLoss,
  ReadBudget,
  SourceChunk,
  StartPosition,
  TopicPartition,
} from '../kafka/message-source.ts'
import { outOfRange, passLostOffsets } from '../kafka/offset-range.ts'
import type { EncodableRecord } from '../kafka/record-batch-encoder.ts'
import type { KafkaRuntime } from '../kafka/retry.ts'
import type { AppendTarget } from './append.ts'
import { Cluster } from './cluster.ts'
import {
  EmbeddedProducer,
  type ProduceOptions,
  produceInProcess,
  requirePartition,
} from './embedded-producer.ts'
import type { PartitionLog } from './partition-log.ts'
import type { BatchDamage } from './stored-batch.ts'
import { TransactionCoordinator } from './transaction-coordinator.ts'

const STORED_BYTES_MAX = 1024 * 1024 * 1024
const BATCH_BYTES_MAX = 64 * 1024 * 1024

/** Bytes of one partition in one chunk, unless the options say otherwise. */
const PARTITION_BYTES_MAX = 1024 * 1024

/** Calls of a source that a fault may meet. */
export type MemorySourceCall =
  | 'open'
  | 'refreshAssignment'
  | 'resolveStart'
  | 'read'
  | 'endOffsets'
  | 'commitGroupOffsets'

export interface MemorySourceOptions {
  readonly topics: readonly string[]
  readonly consumerGroup?: string
  /** Every partition by default. */
  readonly partitions?: readonly number[]
  /** `read_committed` by default. */
  readonly isolationLevel?: KafkaConfig['isolationLevel']
  /** `fail` by default. */
  readonly onOffsetOutOfRange?: KafkaConfig['onOffsetOutOfRange']
  /** At least one batch is returned, whatever its size; 1 MiB by default. */
  readonly maxPartitionBytes?: number
  /** Runs before each call and may throw or wait: the fault. */
  readonly beforeCall?: (call: MemorySourceCall) => void | Promise<void>
}

/** Topics in memory. Several sources may read them at once. */
export class MemoryKafka {
  private readonly cluster: Cluster
  private readonly target: AppendTarget
  private readonly runtime: KafkaRuntime
  private producerCount = 0

  constructor(runtime: KafkaRuntime) {
    this.runtime = runtime
    const limits = { storedBytesMax: STORED_BYTES_MAX, batchBytesMax: BATCH_BYTES_MAX }
    this.cluster = new Cluster(limits, () => runtime.now(), runtime.random)
    this.target = { cluster: this.cluster, transactions: new TransactionCoordinator(this.cluster) }
  }

  createTopic(name: string, partitions = 1): void {
    const problem = this.cluster.checkNewTopic(name, partitions)
    assert(problem === null, `topic ${name}: ${problem}`)
    this.cluster.createTopic(name, partitions)
  }

  deleteTopic(name: string): void {
    this.cluster.deleteTopic(name)
  }

  /** @param partitions the new total */
  addPartitions(name: string, partitions: number): void {
    const problem = this.cluster.checkPartitionCount(name, partitions)
    assert(problem === null, `topic ${name}: ${problem}`)
    this.cluster.growTopic(name, partitions)
    this.cluster.notifyChange()
  }

  /** Appends one batch of records, or ready-made batches as they are. @returns the base offset */
  produce(
    topic: string,
    partition: number,
    records: readonly EncodableRecord[] | Uint8Array,
    options: ProduceOptions = {},
  ): bigint {
    return produceInProcess(this.target, topic, partition, records, options, null)
  }

  createTransactionalProducer(transactionalId = `memory-producer-${this.producerCount}`): EmbeddedProducer {
    this.producerCount++
    return new EmbeddedProducer(this.target, transactionalId)
  }

  /** As retention does. */
  deleteRecordsBefore(topic: string, partition: number, offset: bigint): void {
    requirePartition(this.target, topic, partition).deleteBefore(offset)
  }

  /** Damages the stored batch that holds `offset`. */
  corruptBatch(topic: string, partition: number, offset: bigint, damage: BatchDamage): void {
    assert(requirePartition(this.target, topic, partition).damage(offset, damage), `no batch holds ${offset}`)
  }

  /** What a group has committed; undefined where nothing. */
  committedOffset(group: string, topic: string, partition: number): bigint | undefined {
    return this.cluster.committedOffset(group, topic, partition)?.offset
  }

  createSource(options: MemorySourceOptions): MessageSource {
    return new MemorySource(this.cluster, this.runtime, options)
  }
}

/** What can be read of one partition now. */
type Offer =
  | { readonly status: 'chunk'; readonly chunk: SourceChunk }
  | { readonly status: 'nothing' }
  | { readonly status: 'lost'; readonly loss: OffsetLoss }

class MemorySource implements MessageSource {
  assignment: readonly TopicPartition[] = []
  private readonly cluster: Cluster
  private readonly runtime: KafkaRuntime
  private readonly options: MemorySourceOptions
  private readonly positions = new Map<TopicPartition, bigint>()
  private readonly heardEnds = new Map<TopicPartition, bigint>()
  private losses: OffsetLoss[] = []
  /** Where the next read begins, so that no partition starves another. */
  private turn = 0
  private readonly closing = new AbortController()

  constructor(cluster: Cluster, runtime: KafkaRuntime, options: MemorySourceOptions) {
    this.cluster = cluster
    this.runtime = runtime
    this.options = options
  }

  async open(): Promise<void> {
    await this.enter('open')
    this.adopt()
  }

  async refreshAssignment(): Promise<readonly TopicPartition[]> {
    await this.enter('refreshAssignment')
    return this.adopt()
  }

  async resolveStart(
    partitions: readonly TopicPartition[],
    start: StartPosition,
  ): Promise<Map<TopicPartition, bigint>> {
    await this.enter('resolveStart')
    return new Map(partitions.map(target => [target, this.startOf(this.logOf(target), start)]))
  }

  seek(partition: TopicPartition, nextOffset: bigint): void {
    assert(this.assignment.includes(partition), `${partition.topic}-${partition.partition} is not assigned`)
    this.positions.set(partition, nextOffset)
  }

  async read(budget: ReadBudget): Promise<readonly SourceChunk[]> {
    if (budget.maxBytes <= 0) return []
    await this.enter('read')
    const deadline = this.runtime.now() + budget.maxWaitMs
    for (;;) {
      if (budget.signal?.aborted) return []
      const chunks = this.collect(budget.maxBytes)
      const remainingMs = deadline - this.runtime.now()
      if (chunks.length > 0 || remainingMs <= 0) return chunks
      await this.waitForChange(remainingMs, budget.signal)
      this.closing.signal.throwIfAborted()
    }
  }

  heardEndOffset(target: TopicPartition): bigint | null {
    return this.heardEnds.get(target) ?? null
  }

  async endOffsets(): Promise<Map<TopicPartition, { startOffset: bigint; endOffset: bigint }>> {
    await this.enter('endOffsets')
    return new Map(
      this.assignment.map(target => {
        const log = this.logOf(target)
        return [target, { startOffset: log.startOffset, endOffset: log.readableEnd(this.isolationLevel) }]
      }),
    )
  }

  async commitGroupOffsets(offsets: ReadonlyMap<TopicPartition, bigint>): Promise<void> {
    await this.enter('commitGroupOffsets')
    const group = this.options.consumerGroup ?? 'memory'
    for (const [{ topic, partition }, offset] of offsets) {
      this.cluster.commitOffset(group, topic, partition, { offset, leaderEpoch: -1, metadata: null })
    }
  }

  takeLosses(): readonly OffsetLoss[] {
    const { losses } = this
    this.losses = []
    return losses
  }

  async close(): Promise<void> {
    this.closing.abort(
      new KafkaError('KAFKA_UNREACHABLE', 'the memory source is closed', { retryable: false }),
    )
  }

  private get isolationLevel(): KafkaConfig['isolationLevel'] {
    return this.options.isolationLevel ?? 'read_committed'
  }

  private async enter(call: MemorySourceCall): Promise<void> {
    this.closing.signal.throwIfAborted()
    await this.options.beforeCall?.(call)
  }

  private adopt(): readonly TopicPartition[] {
    const added: TopicPartition[] = []
    const all: TopicPartition[] = []
    for (const name of [...this.options.topics].sort()) {
      const topic = this.cluster.topic(name)
      if (topic === undefined)
        throw new KafkaError('KAFKA_TOPIC_NOT_FOUND', `topic \`${name}\` does not exist`)
      for (const { partition } of topic.partitions) {
        if (this.options.partitions?.includes(partition) === false) continue
        const known = this.assignment.find(target => target.topic === name && target.partition === partition)
        const target = known ?? { topic: name, topicId: topic.topicId, partition }
        if (known === undefined) added.push(target)
        all.push(target)
      }
    }
    this.assignment = all
    return added
  }

  private logOf(target: TopicPartition): PartitionLog {
    const topic = this.cluster.topic(target.topic)
    const log = topic?.partitions[target.partition]
    if (log === undefined) {
      throw new KafkaError('KAFKA_TOPIC_NOT_FOUND', `topic \`${target.topic}\` does not exist`)
    }
    if (topic?.topicId === target.topicId) return log
    throw new KafkaError('KAFKA_TOPIC_RECREATED', `topic \`${target.topic}\` was deleted and created again`)
  }

  private startOf(log: PartitionLog, start: StartPosition): bigint {
    if (start === 'earliest') return log.startOffset
    const end = log.readableEnd(this.isolationLevel)
    if (start === 'latest') return end
    return log.findTimestamp(BigInt(start.timestampMs), end)?.offset ?? end
  }

  private collect(maxBytes: number): SourceChunk[] {
    const chunks: SourceChunk[] = []
    let bytes = 0
    this.turn++
    for (
      let index = 0;
      index < this.assignment.length && (chunks.length === 0 || bytes < maxBytes);
      index++
    ) {
      const target = this.assignment[(this.turn + index) % this.assignment.length]!
      const position = this.positions.get(target)
      if (position === undefined) continue
      const offer = this.offer(target, position, Math.max(1, maxBytes - bytes))
      if (offer.status === 'lost') {
        this.losses.push(offer.loss)
        this.positions.set(target, offer.loss.resumedOffset)
        const passed = passLostOffsets(offer.loss, this.logOf(target).readableEnd(this.isolationLevel))
        if (passed !== null) chunks.push(passed)
      }
      if (offer.status !== 'chunk') continue
      chunks.push(offer.chunk)
      bytes += offer.chunk.sizeBytes
      this.positions.set(target, offer.chunk.nextOffset)
    }
    return chunks
  }

  private offer(target: TopicPartition, fromOffset: bigint, maxBytes: number): Offer {
    const log = this.logOf(target)
    if (fromOffset < log.startOffset || fromOffset > log.endOffset)
      return this.leaveRange(target, fromOffset, log)
    const endOffset = log.readableEnd(this.isolationLevel)
    this.heardEnds.set(target, endOffset)
    const limit = Math.min(maxBytes, this.options.maxPartitionBytes ?? PARTITION_BYTES_MAX)
    const slice = log.read(fromOffset, endOffset, limit, true)
    const selected = selectConsumableBatches({
      topic: target.topic,
      partition: target.partition,
      fromOffset,
      records: Buffer.concat(slice.pieces),
      abortedTransactions: log.abortedTransactions(fromOffset, slice.nextOffset),
      highWatermark: log.endOffset,
      isReadCommitted: this.isolationLevel === 'read_committed',
    })
    const { batches, sizeBytes, nextOffset, abortedRecordCount } = selected
    if (nextOffset === fromOffset) return { status: 'nothing' }
    const chunk = {
      topicPartition: target,
      fromOffset,
      nextOffset,
      batches,
      sizeBytes,
      abortedRecordCount,
      endOffset,
    }
    return { status: 'chunk', chunk }
  }

  private leaveRange(target: TopicPartition, wantedOffset: bigint, log: PartitionLog): Offer {
    const { startOffset, endOffset } = log
    const policy = this.options.onOffsetOutOfRange ?? 'fail'
    if (policy === 'fail') throw outOfRange(target, wantedOffset, { startOffset, endOffset })
    const resumedOffset = policy === 'earliest' ? startOffset : endOffset
    return { status: 'lost', loss: { topicPartition: target, wantedOffset, resumedOffset } }
  }

  private async waitForChange(waitMs: number, signal: AbortSignal | undefined): Promise<void> {
    const stop = new AbortController()
    const unsubscribe = this.cluster.onChange(() => stop.abort())
    const signals = [stop.signal, this.closing.signal, ...(signal === undefined ? [] : [signal])]
    await this.runtime.delay(waitMs, AbortSignal.any(signals)).catch(() => {})
    unsubscribe()
  }
}
