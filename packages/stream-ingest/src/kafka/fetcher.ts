/**
 * The fetch loop: at most one Fetch in flight per broker, the next one sent as soon as an answer has come, until enough
 * is read ahead. A partition that has enough queued is left out of the request: that is the backpressure.
 *
 * @module
 */
import type { KafkaConfig } from '../config/ingest-config.ts'
import { KafkaError } from '../error.ts'
import { selectConsumableBatches } from './aborted-transactions.ts'
import { corruptBatch } from './batch-place.ts'
import type { KafkaCluster, KafkaObserver } from './cluster.ts'
import type { FetchRequest, FetchTarget, LeasedFetchResponse } from './connection.ts'
import type { FetchedPartition } from './fetch-response.ts'
import {
  isRetryableProtocolError,
  mayPass,
  noLeader,
  protocolError,
  protocolErrorName,
} from './kafka-failure.ts'
import type { Leases } from './leases.ts'
import type { OffsetLoss, SourceChunk, TopicPartition } from './message-source.ts'
import { passLostOffsets, resolveOutOfRange } from './offset-range.ts'
import { PartitionReader, type QueuedChunk } from './partition-reader.ts'
import type { KafkaRuntime, RetryPolicy } from './retry.ts'

/** A partition reads ahead this many answers of its size. */
const PARTITION_READ_AHEAD_FETCHES = 2

/** What a chunk costs although it holds no bytes: offsets that advance over aborted data must not queue up without end. */
const CHUNK_MIN_BYTES = 1024

/** A broker's wish to be asked later is followed up to this. */
const THROTTLE_MAX_MS = 5000

export interface FetcherOptions {
  readonly runtime: KafkaRuntime
  readonly retry: RetryPolicy
  /** Bound over everything queued and asked for. */
  readonly readAheadMaxBytes: number
  readonly observer?: KafkaObserver
}

/** Counters since the start. */
export interface FetchCounters {
  fetchCount: number
  fetchedBytes: number
  /** Requests that failed, as a whole or for some of their partitions, and were repeated. */
  failureCount: number
}

/** What was asked of one partition in one request. */
interface Asked {
  readonly reader: PartitionReader
  readonly generation: number
  readonly fromOffset: bigint
  readonly isFirst: boolean
}

/** May the next request follow at once, or only if somebody waits for it? Two empty answers in a row would spin. */
type Again = 'again' | 'when-awaited'

export class Fetcher {
  readonly counters: FetchCounters = { fetchCount: 0, fetchedBytes: 0, failureCount: 0 }
  private readonly cluster: KafkaCluster
  private readonly config: KafkaConfig
  private readonly options: FetcherOptions
  private readonly isReadCommitted: boolean
  private readonly readers = new Map<string, PartitionReader>()
  private queue: QueuedChunk[] = []
  private queuedBytes = 0
  private losses: OffsetLoss[] = []
  /** Bytes asked of each broker that has not answered yet. */
  private readonly asking = new Map<number, number>()
  private readonly running = new Set<Promise<void>>()
  private isRecovering = false
  private failure: unknown = null
  private sequence = 0
  private wake: () => void = () => {}

  constructor(cluster: KafkaCluster, config: KafkaConfig, options: FetcherOptions) {
    this.cluster = cluster
    this.config = config
    this.options = options
    this.isReadCommitted = config.isolationLevel === 'read_committed'
  }

  add(target: TopicPartition): void {
    this.readers.set(keyOf(target), new PartitionReader(target))
  }

  find(target: TopicPartition): PartitionReader | undefined {
    return this.readers.get(keyOf(target))
  }

  seek(reader: PartitionReader, nextOffset: bigint): void {
    this.queue = this.queue.filter(queued => queued.reader !== reader)
    this.queuedBytes -= reader.queuedBytes
    reader.seek(nextOffset)
  }

  takeLosses(): OffsetLoss[] {
    const losses = this.losses
    this.losses = []
    return losses
  }

  /** The error that stopped the loop, once; the next `pump` starts again. */
  takeFailure(): unknown {
    const { failure } = this
    if (failure === null) return null
    this.failure = null
    for (const reader of this.readers.values()) reader.failures = 0
    return failure
  }

  /** Chunks in the order they came, about `maxBytes`, at least one if there is any. */
  take(maxBytes: number): SourceChunk[] {
    const chunks: SourceChunk[] = []
    let bytes = 0
    for (const queued of this.queue) {
      if (chunks.length > 0 && bytes + queued.chunk.sizeBytes > maxBytes) break
      bytes += queued.chunk.sizeBytes
      queued.reader.queuedBytes -= queued.heldBytes
      this.queuedBytes -= queued.heldBytes
      chunks.push(queued.chunk)
    }
    this.queue = this.queue.slice(chunks.length)
    return chunks
  }

  /** A caller waits for data: only then is an empty answer followed by the next Fetch. */
  isAwaited = false

  /** Resolves when something has arrived or failed. */
  arrival(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.wake = resolve
    return promise
  }

  /** Sends what may be sent. Returns at once. */
  pump(): void {
    if (this.failure !== null || this.cluster.signal.aborted) return
    const wanted = [...this.readers.values()].filter(reader => reader.isWanted)
    if (!this.isRecovering && wanted.some(reader => this.leaderIdOf(reader) === null)) {
      this.isRecovering = true
      this.run(this.recover().finally(() => (this.isRecovering = false)))
    }
    const byLeader = Map.groupBy(wanted, reader => this.leaderIdOf(reader))
    for (const [leaderId, readers] of byLeader) {
      if (leaderId === null || this.asking.has(leaderId)) continue
      const request = this.planFetch(readers)
      if (request === null) continue
      this.run(this.fetchFrom(leaderId, request))
    }
  }

  /** Waits for everything that was started; the cluster must be closed first. */
  async settle(): Promise<void> {
    this.wake()
    await Promise.all(this.running)
  }

  private run(task: Promise<Again>): void {
    const running: Promise<void> = task.then(
      again => {
        this.running.delete(running)
        if (again === 'again' || this.isAwaited) this.pump()
      },
      (error: unknown) => {
        this.running.delete(running)
        if (this.cluster.signal.aborted) return
        this.failure ??= error
        this.wake()
      },
    )
    this.running.add(running)
  }

  private leaderIdOf(reader: PartitionReader): number | null {
    if (reader.needsLeader) return null
    const leaderId = this.cluster.leaderOf(reader.target)?.leaderId ?? -1
    return leaderId >= 0 && this.cluster.isKnownBroker(leaderId) ? leaderId : null
  }

  /** Which partitions of one broker to ask for, and how much; null where enough is read ahead. */
  private planFetch(readers: readonly PartitionReader[]): FetchRequest | null {
    const { fetchMaxPartitionBytes, fetchMaxBytes, fetchMinBytes, fetchMaxWaitMs } = this.config
    const asked = [...this.asking.values()].reduce((sum, bytes) => sum + bytes, 0)
    const available = this.options.readAheadMaxBytes - this.queuedBytes - asked
    if (available <= 0) return null
    const hungry = readers
      .filter(reader => reader.queuedBytes < fetchMaxPartitionBytes * PARTITION_READ_AHEAD_FETCHES)
      .sort((left, right) => left.servedAt - right.servedAt)
    if (hungry.length === 0) return null
    const targets = hungry.map(
      (reader): FetchTarget => ({
        topicId: reader.target.topicId,
        partition: reader.target.partition,
        leaderEpoch: this.cluster.leaderOf(reader.target)?.leaderEpoch ?? -1,
        fetchOffset: reader.position!,
        maxBytes: fetchMaxPartitionBytes,
      }),
    )
    return {
      // While a partition with a backlog is left out, waiting for the others at the broker would delay it.
      maxWaitMs: hungry.length < readers.length ? 0 : fetchMaxWaitMs,
      minBytes: fetchMinBytes,
      maxBytes: Math.min(fetchMaxBytes, available, hungry.length * fetchMaxPartitionBytes),
      isReadCommitted: this.isReadCommitted,
      targets,
    }
  }

  /** One Fetch and its answer. The broker counts as busy until the answer is dealt with. */
  private async fetchFrom(leaderId: number, request: FetchRequest): Promise<Again> {
    const asked = this.note(request)
    this.asking.set(leaderId, request.maxBytes)
    try {
      const response = await this.send(leaderId, request, asked)
      if (response === null) return 'again'
      const fetchedBefore = this.sequence
      await this.accept(response, asked)
      if (response.throttleTimeMs > 0) {
        const delayMs = Math.min(response.throttleTimeMs, THROTTLE_MAX_MS)
        await this.options.runtime.delay(delayMs, this.cluster.signal)
      }
      const isIdle =
        this.sequence === fetchedBefore && response.partitions.every(({ errorCode }) => errorCode === 0)
      return isIdle ? 'when-awaited' : 'again'
    } finally {
      this.asking.delete(leaderId)
    }
  }

  private async accept(
    { partitions, memory }: LeasedFetchResponse,
    asked: ReadonlyMap<string, Asked>,
  ): Promise<void> {
    // Until each chunk holds a lease of its own.
    const release = memory.lease()
    let failure: KafkaError | null = null
    try {
      for (const fetched of partitions) {
        const question = asked.get(`${fetched.topicId}:${fetched.partition}`)
        if (question === undefined || question.generation !== question.reader.generation) continue
        if (fetched.errorCode === 0) this.enqueue(question, fetched, memory)
        else failure = (await this.acceptError(question, fetched.errorCode)) ?? failure
      }
    } finally {
      release()
    }
    if (failure !== null) this.countFailure(failure)
  }

  private note(request: FetchRequest): Map<string, Asked> {
    const asked = new Map<string, Asked>()
    for (const [index, target] of request.targets.entries()) {
      const key = `${target.topicId}:${target.partition}`
      const reader = this.readers.get(key)!
      const { generation } = reader
      asked.set(key, { reader, generation, fromOffset: target.fetchOffset, isFirst: index === 0 })
    }
    return asked
  }

  private async send(
    leaderId: number,
    request: FetchRequest,
    asked: ReadonlyMap<string, Asked>,
  ): Promise<LeasedFetchResponse | null> {
    try {
      const connection = await this.cluster.connectionTo(leaderId, 'fetch')
      const { runtime, observer } = this.options
      const sentMs = runtime.now()
      const response = await connection.fetch(request)
      const sizeBytes = response.partitions.reduce((sum, { records }) => sum + records.length, 0)
      observer?.fetched?.({ durationMs: Math.max(0, runtime.now() - sentMs), sizeBytes })
      if (response.errorCode !== 0) throw this.brokerError(response.errorCode, leaderId)
      this.counters.fetchCount++
      return response
    } catch (error) {
      this.noteBrokerFailure(error, asked)
      return null
    }
  }

  private brokerError(errorCode: number, leaderId: number): KafkaError {
    return new KafkaError(
      'KAFKA_PROTOCOL',
      `broker ${leaderId} answered ${protocolErrorName(errorCode)} to Fetch`,
      { retryable: isRetryableProtocolError(errorCode) },
    )
  }

  /** A broker that is gone may come back, or its partitions get other leaders: both show in the metadata. */
  private noteBrokerFailure(error: unknown, asked: ReadonlyMap<string, Asked>): void {
    this.cluster.signal.throwIfAborted()
    if (!mayPass(error)) throw error
    for (const { reader } of asked.values()) this.noteFailure(reader, error)
    this.countFailure(error)
  }

  /** Once for each request, however many partitions it was for. */
  private countFailure(error: unknown): void {
    this.counters.failureCount++
    this.options.observer?.retried?.(error)
  }

  private noteFailure(reader: PartitionReader, error: unknown): void {
    reader.fail(error)
    if (reader.failures >= this.options.retry.attemptsMax) throw error
  }

  /** @returns why the partition is asked for again, where that is a failure */
  private async acceptError(asked: Asked, errorCode: number): Promise<KafkaError | null> {
    const { reader, fromOffset } = asked
    const { topic, partition } = reader.target
    const errorName = protocolErrorName(errorCode)
    if (errorName === 'OFFSET_OUT_OF_RANGE') {
      reader.isResolving = true
      try {
        await this.leaveRange(asked)
      } finally {
        reader.isResolving = false
      }
      return null
    }
    if (errorName === 'CORRUPT_MESSAGE') {
      throw corruptBatch(
        { topic, partition, baseOffset: fromOffset },
        'the broker cannot read it (CORRUPT_MESSAGE)',
      )
    }
    const right = { operation: 'Read', resource: 'topic', name: topic } as const
    const error = protocolError(errorCode, `\`${reader.name}\` at offset ${fromOffset}`, right)
    if (!error.isRetryable()) throw error
    this.noteFailure(reader, error)
    return error
  }

  private enqueue(asked: Asked, fetched: FetchedPartition, memory: Leases): void {
    const { reader, fromOffset } = asked
    const { target } = reader
    const selected = selectConsumableBatches({
      topic: target.topic,
      partition: target.partition,
      fromOffset,
      records: fetched.records,
      abortedTransactions: fetched.abortedTransactions,
      highWatermark: fetched.highWatermark,
      isReadCommitted: this.isReadCommitted,
    })
    reader.succeed()
    const endOffset = this.isReadCommitted ? fetched.lastStableOffset : fetched.highWatermark
    reader.endOffset = endOffset
    this.counters.fetchedBytes += fetched.records.length
    if (selected.nextOffset === fromOffset) {
      // A broker sends the first partition's batch whole, whatever its size; another's may be cut until it is first.
      if (selected.isCut && asked.isFirst) {
        const place = { topic: target.topic, partition: target.partition, baseOffset: fromOffset }
        throw corruptBatch(place, 'the broker sent only a part of it')
      }
      if (selected.isCut) reader.servedAt = 0
      return
    }
    const heldBytes = selected.batches.length === 0 ? CHUNK_MIN_BYTES : fetched.records.length
    reader.position = selected.nextOffset
    reader.servedAt = ++this.sequence
    const chunk: SourceChunk = {
      topicPartition: target,
      fromOffset,
      nextOffset: selected.nextOffset,
      batches: selected.batches,
      sizeBytes: selected.sizeBytes,
      abortedRecordCount: selected.abortedRecordCount,
      endOffset,
      release: memory.lease(),
    }
    this.push(reader, chunk, heldBytes)
  }

  private push(reader: PartitionReader, chunk: SourceChunk, heldBytes: number): void {
    reader.queuedBytes += heldBytes
    this.queuedBytes += heldBytes
    this.queue.push({ reader, chunk, heldBytes })
    this.wake()
  }

  private async leaveRange({ reader, generation, fromOffset }: Asked): Promise<void> {
    const { target } = reader
    const outcome = await resolveOutOfRange(this.cluster, target, fromOffset, this.config.onOffsetOutOfRange)
    if (reader.generation !== generation) return
    if (outcome.status === 'inside') {
      this.noteFailure(reader, outcome.error)
      this.countFailure(outcome.error)
      return
    }
    const { resumedOffset, endOffset } = outcome
    const chunk = passLostOffsets(
      { topicPartition: target, wantedOffset: fromOffset, resumedOffset },
      endOffset,
    )
    this.losses.push({ topicPartition: target, wantedOffset: fromOffset, resumedOffset })
    reader.position = resumedOffset
    if (chunk !== null) this.push(reader, chunk, CHUNK_MIN_BYTES)
  }

  /** Looks leaders up until every wanted partition has one, or the patience of one ends. */
  private async recover(): Promise<Again> {
    for (;;) {
      const lost = [...this.readers.values()].filter(
        reader => reader.isWanted && this.leaderIdOf(reader) === null,
      )
      if (lost.length === 0 || this.failure !== null) return 'again'
      const failures = Math.max(...lost.map(reader => reader.failures))
      if (failures > 0) await this.cluster.backoff(failures)
      try {
        await this.cluster.refresh()
      } catch (error) {
        this.cluster.signal.throwIfAborted()
        if (!mayPass(error)) throw error
        for (const reader of lost) this.noteFailure(reader, error)
        this.countFailure(error)
        continue
      }
      let leaderless: KafkaError | null = null
      for (const reader of lost) {
        this.checkIdentity(reader)
        reader.needsLeader = false
        if (this.leaderIdOf(reader) !== null) continue
        leaderless = noLeader(reader.target.topic, reader.target.partition)
        this.noteFailure(reader, leaderless)
      }
      if (leaderless !== null) this.countFailure(leaderless)
      this.pump()
    }
  }

  private checkIdentity(reader: PartitionReader): void {
    const { topic, topicId } = reader.target
    const found = this.cluster.topic(topic)
    if (found === undefined || found.topicId === topicId) return
    throw new KafkaError(
      'KAFKA_TOPIC_RECREATED',
      `topic \`${topic}\` was deleted and created again: it had the id ${topicId}, now it has ${found.topicId}`,
      { context: { topic, formerTopicId: topicId, topicId: found.topicId } },
    )
  }
}

function keyOf(target: TopicPartition): string {
  return `${target.topicId}:${target.partition}`
}
