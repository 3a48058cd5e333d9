/**
 * A `MessageSource` over a Kafka cluster: every partition of the topics, or the ones that are listed; no group
 * membership.
 *
 * @module
 */
import assert from 'node:assert/strict'
import type { KafkaConfig } from '../config/ingest-config.ts'
import { ConfigError, KafkaError } from '../error.ts'
import { EARLIEST_TIMESTAMP, KafkaCluster, type KafkaObserver, LATEST_TIMESTAMP } from './cluster.ts'
import { type FetchCounters, Fetcher } from './fetcher.ts'
import { commitGroupOffsets, fetchGroupOffsets } from './group-offsets.ts'
import type {
  MessageSource,
  OffsetLoss,
  ReadBudget,
  SourceChunk,
  StartPosition,
  TopicPartition,
} from './message-source.ts'
import {
  DEFAULT_RETRY,
  type KafkaRuntime,
  OPEN_ATTEMPTS_MAX,
  OPEN_ELAPSED_MAX_MS,
  type RetryPolicy,
} from './retry.ts'
import type { Fetch } from './sasl.ts'

export interface KafkaSourceOptions {
  readonly runtime: KafkaRuntime
  /** {@link DEFAULT_RETRY} by default. */
  readonly retry?: RetryPolicy
  /** Most bytes to hold ahead of `read`, as they came over the wire; `kafka.fetch_max_bytes` by default. */
  readonly readAheadMaxBytes?: number
  /** For OAuth token endpoints; the global `fetch` by default. */
  readonly fetchUrl?: Fetch
  readonly observer?: KafkaObserver
}

/** What a Kafka source offers beyond the seam. */
export interface KafkaSource extends MessageSource {
  readonly counters: Readonly<FetchCounters>
  /** Names of the cluster's topics that this principal may see. */
  listTopics(): Promise<string[]>
  /** Where the configured group stands; partitions it never committed are missing. */
  fetchGroupOffsets(): Promise<Map<TopicPartition, bigint>>
}

/**
 * Connects nothing yet: `open` does.
 *
 * `read` returns an empty list when its signal aborts. It throws where reading cannot go on; after a retryable error
 * (`KAFKA_UNREACHABLE`) it may be called again and takes up where it was.
 * @throws ConfigError `CONFIG_UNSUPPORTED` for `assignment: group`, `CONFIG_INVALID` for incomplete security settings
 */
export function createKafkaSource(config: KafkaConfig, options: KafkaSourceOptions): KafkaSource {
  if (config.assignment === 'group') {
    throw new ConfigError('CONFIG_UNSUPPORTED', '`kafka.assignment: group` comes in a later release', {
      hint: 'use `all`, or a list of partitions per process',
    })
  }
  return new StaticKafkaSource(config, options)
}

class StaticKafkaSource implements KafkaSource {
  private readonly config: KafkaConfig
  private readonly options: KafkaSourceOptions
  private readonly cluster: KafkaCluster
  private readonly fetcher: Fetcher
  private partitions: readonly TopicPartition[] = []
  private isOpen = false
  private isReading = false

  constructor(config: KafkaConfig, options: KafkaSourceOptions) {
    const { runtime, retry = DEFAULT_RETRY, fetchUrl = fetch } = options
    const observer = options.observer === undefined ? {} : { observer: options.observer }
    this.config = config
    this.options = options
    this.cluster = new KafkaCluster(config, { runtime, retry, fetchUrl, ...observer })
    const readAheadMaxBytes = options.readAheadMaxBytes ?? config.fetchMaxBytes
    this.fetcher = new Fetcher(this.cluster, config, { runtime, retry, readAheadMaxBytes, ...observer })
  }

  get assignment(): readonly TopicPartition[] {
    return this.partitions
  }

  get counters(): Readonly<FetchCounters> {
    return this.fetcher.counters
  }

  async open(): Promise<void> {
    await this.cluster.retrying(() => this.cluster.refresh(), OPEN_ATTEMPTS_MAX, OPEN_ELAPSED_MAX_MS)
    this.adopt()
    this.isOpen = true
  }

  async refreshAssignment(): Promise<readonly TopicPartition[]> {
    await this.cluster.retrying(() => this.cluster.refresh())
    return this.adopt()
  }

  async resolveStart(
    partitions: readonly TopicPartition[],
    start: StartPosition,
  ): Promise<Map<TopicPartition, bigint>> {
    if (start === 'earliest') return this.cluster.listOffsets(partitions, EARLIEST_TIMESTAMP, false)
    const isReadCommitted = this.config.isolationLevel === 'read_committed'
    const latest = () => this.cluster.listOffsets(partitions, LATEST_TIMESTAMP, isReadCommitted)
    if (start === 'latest') return latest()
    const found = await this.cluster.listOffsets(partitions, BigInt(start.timestampMs), isReadCommitted)
    if (![...found.values()].some(offset => offset < 0n)) return found
    // No record is that young: what comes next is.
    const ends = await latest()
    for (const [target, offset] of found) if (offset < 0n) found.set(target, ends.get(target)!)
    return found
  }

  seek(partition: TopicPartition, nextOffset: bigint): void {
    const reader = this.fetcher.find(partition)
    assert(reader !== undefined, `${partition.topic}-${partition.partition} is not assigned`)
    assert(nextOffset >= 0n, 'offsets are not negative')
    this.fetcher.seek(reader, nextOffset)
  }

  async read(budget: ReadBudget): Promise<readonly SourceChunk[]> {
    assert(this.isOpen, 'open() comes first')
    assert(!this.isReading, 'one read at a time')
    if (budget.maxBytes <= 0) return []
    this.isReading = true
    try {
      return await this.readWithin(budget)
    } finally {
      this.isReading = false
    }
  }

  heardEndOffset(partition: TopicPartition): bigint | null {
    return this.fetcher.find(partition)?.endOffset ?? null
  }

  async endOffsets(): Promise<Map<TopicPartition, { startOffset: bigint; endOffset: bigint }>> {
    const isReadCommitted = this.config.isolationLevel === 'read_committed'
    const [starts, ends] = await Promise.all([
      this.cluster.listOffsets(this.partitions, EARLIEST_TIMESTAMP, false),
      this.cluster.listOffsets(this.partitions, LATEST_TIMESTAMP, isReadCommitted),
    ])
    return new Map(
      this.partitions.map(target => [
        target,
        { startOffset: starts.get(target)!, endOffset: ends.get(target)! },
      ]),
    )
  }

  async commitGroupOffsets(offsets: ReadonlyMap<TopicPartition, bigint>): Promise<void> {
    await commitGroupOffsets(this.cluster, this.config.consumerGroup, offsets)
  }

  async fetchGroupOffsets(): Promise<Map<TopicPartition, bigint>> {
    return fetchGroupOffsets(this.cluster, this.config.consumerGroup, this.partitions)
  }

  async listTopics(): Promise<string[]> {
    return this.cluster.listTopics()
  }

  takeLosses(): readonly OffsetLoss[] {
    return this.fetcher.takeLosses()
  }

  async close(): Promise<void> {
    await this.cluster.close()
    await this.fetcher.settle()
  }

  private async readWithin(budget: ReadBudget): Promise<readonly SourceChunk[]> {
    const { runtime } = this.options
    const deadline = runtime.now() + budget.maxWaitMs
    for (;;) {
      if (budget.signal?.aborted) return []
      const chunks = this.fetcher.take(budget.maxBytes)
      if (chunks.length === 0) {
        const failure = this.fetcher.takeFailure()
        if (failure !== null) throw failure
        this.cluster.signal.throwIfAborted()
      }
      const arrival = this.fetcher.arrival()
      // Before decoding begins: the next Fetch is under way meanwhile.
      this.fetcher.pump()
      const remainingMs = deadline - runtime.now()
      if (chunks.length > 0 || remainingMs <= 0) return chunks
      await this.waitFor(arrival, remainingMs, budget.signal)
    }
  }

  /** Resolves at the arrival, after the time, or when aborted or closed; no timer is left. */
  private async waitFor(
    arrival: Promise<void>,
    waitMs: number,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const stop = new AbortController()
    const signals = [stop.signal, this.cluster.signal, ...(signal === undefined ? [] : [signal])]
    const timeout = this.options.runtime.delay(waitMs, AbortSignal.any(signals)).catch(() => {})
    this.fetcher.isAwaited = true
    await Promise.race([arrival, timeout])
    this.fetcher.isAwaited = false
    stop.abort()
    await timeout
  }

  /** Takes over what the metadata says; returns the partitions that are new. */
  private adopt(): readonly TopicPartition[] {
    const known = new Map(this.partitions.map(target => [`${target.topic}:${target.partition}`, target]))
    const added: TopicPartition[] = []
    const all: TopicPartition[] = []
    for (const topic of [...this.config.topics].sort()) {
      const metadata = this.cluster.topic(topic)
      if (metadata === undefined)
        throw new KafkaError('KAFKA_TOPIC_NOT_FOUND', `topic \`${topic}\` does not exist`)
      for (const partition of this.select(
        topic,
        metadata.partitions.map(({ partition }) => partition),
      )) {
        const existing = known.get(`${topic}:${partition}`)
        if (existing !== undefined) {
          // A topic that was created again is found out when it is fetched: the position belongs to the former one.
          all.push(existing)
          continue
        }
        const target = { topic, topicId: metadata.topicId, partition }
        all.push(target)
        added.push(target)
        this.fetcher.add(target)
      }
    }
    this.partitions = all
    return added
  }

  private select(topic: string, existing: readonly number[]): readonly number[] {
    const { assignment } = this.config
    if (typeof assignment === 'string') return existing
    const missing = assignment.partitions.filter(partition => !existing.includes(partition))
    if (missing.length > 0) {
      throw new KafkaError(
        'KAFKA_TOPIC_NOT_FOUND',
        `\`kafka.assignment\` lists partition ${missing.join(', ')} of topic \`${topic}\`, which has ${existing.length}`,
        { hint: 'correct `kafka.assignment`', context: { topic, partitionCount: existing.length } },
      )
    }
    return [...assignment.partitions].sort((left, right) => left - right)
  }
}
