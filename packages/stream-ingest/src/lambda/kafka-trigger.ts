/**
 * Batches of a Kafka trigger into the tables, exactly once.
 *
 * A trigger delivers the messages of a partition in their order and at least once: it repeats a batch until it is told
 * that it succeeded, or from the offset on that is reported as failed. What the table holds already is passed over, so
 * that a batch may come any number of times, to several functions at once. An offset that never came (compaction, a filter
 * of the trigger, a message that went to its failure destination) leaves a gap, and is no loss.
 *
 * Lambda Developer Guide › Kafka error handling, › Reporting batch item failures.
 *
 * @module
 */
import type { ObjectStore, Runtime } from '@stream-ingest/delta'
import type { IngestConfig } from '../config/config.ts'
import type { PipelineConfig } from '../config/ingest-config.ts'
import { LambdaError, StreamIngestError } from '../error.ts'
import type { KafkaMessage } from '../kafka/message-batch.ts'
import { DeltaWriter } from '../pipeline/delta-writer.ts'
import type { KafkaEvent, KafkaEventPartition } from './kafka-event.ts'

/** The partial batch response: from where on each partition is to be delivered again. */
export interface KafkaEventResponse {
  readonly batchItemFailures: readonly {
    readonly itemIdentifier: { readonly partition: string; readonly offset: number }
  }[]
}

export interface KafkaTriggerOptions {
  readonly runtime: Runtime
  /** In place of S3 or the local directory; rooted where the tables' folders are. */
  readonly createStore?: (config: PipelineConfig) => ObjectStore
}

/** Keeps one writer for each pipeline: its table and its connections outlive an invocation. */
export class KafkaTrigger {
  readonly #config: IngestConfig
  readonly #options: KafkaTriggerOptions
  readonly #writers = new Map<PipelineConfig, DeltaWriter>()

  constructor(config: IngestConfig, options: KafkaTriggerOptions) {
    this.#config = config
    this.#options = options
  }

  /**
   * Writes what the tables do not hold yet. A bad record under `on_bad_record: stop` ends its own partition only, after
   * what came before it was committed.
   *
   * @returns the lowest offset of each partition that some table does not hold
   * @throws LambdaError `LAMBDA_EVENT` for a topic that is not configured; anything but a bad record that a pipeline can
   *   fail for: the whole batch is then delivered again
   */
  async write(event: KafkaEvent): Promise<KafkaEventResponse> {
    const pipelines = this.#pipelinesOf(event)
    const failures = new Map<string, bigint>()
    for (const [config, partitions] of pipelines) {
      await this.#writePipeline(config, partitions)
      for (const { identifier, offset } of await this.#missing(config, partitions)) {
        const before = failures.get(identifier)
        if (before === undefined || offset < before) failures.set(identifier, offset)
      }
    }
    const batchItemFailures = Array.from(failures, ([partition, offset]) => ({
      itemIdentifier: { partition, offset: Number(offset) },
    }))
    return { batchItemFailures }
  }

  async close(): Promise<void> {
    await Promise.all([...this.#writers.values()].map(writer => writer.close()))
    this.#writers.clear()
  }

  #pipelinesOf({ partitions }: KafkaEvent): Map<PipelineConfig, KafkaEventPartition[]> {
    const found = new Map<PipelineConfig, KafkaEventPartition[]>()
    for (const partition of partitions) {
      const readers = this.#config.pipelines.filter(({ kafka }) => kafka.topics.includes(partition.topic))
      if (readers.length === 0) {
        throw new LambdaError('LAMBDA_EVENT', `no pipeline reads the topic \`${partition.topic}\``, {
          hint: 'add it to `kafka.topics`, or take it from the trigger',
          context: { topic: partition.topic },
        })
      }
      for (const config of readers) found.set(config, [...(found.get(config) ?? []), partition])
    }
    return found
  }

  async #writePipeline(config: PipelineConfig, partitions: readonly KafkaEventPartition[]): Promise<void> {
    const writer = this.#writerOf(config)
    await writer.refresh()
    // Each turn ends, or takes a partition away.
    for (let rest = partitions; rest.length > 0; ) {
      try {
        await writer.writeBatch(messagesOf(rest))
        return
      } catch (error) {
        const bad = partitionOfBadRecord(error, rest)
        if (bad === null) throw error
        rest = rest.filter(partition => partition !== bad)
      }
    }
  }

  /** In a dry run nothing is stored, and nothing is to be delivered again for that. */
  async #missing(
    config: PipelineConfig,
    partitions: readonly KafkaEventPartition[],
  ): Promise<{ identifier: string; offset: bigint }[]> {
    if (config.processing.dryRun) return []
    const writer = this.#writerOf(config)
    const missing: { identifier: string; offset: bigint }[] = []
    for (const { identifier, topic, partition, messages } of partitions) {
      const nextOffset = (await writer.nextOffset(topic, partition)) ?? -1n
      const offsets = messages.map(({ offset }) => offset).filter(offset => offset >= nextOffset)
      const lowest = offsets.reduce<bigint | null>((low, o) => (low === null || o < low ? o : low), null)
      if (lowest !== null) missing.push({ identifier, offset: lowest })
    }
    return missing
  }

  #writerOf(config: PipelineConfig): DeltaWriter {
    let writer = this.#writers.get(config)
    if (writer === undefined) {
      const { runtime, createStore } = this.#options
      const store = createStore?.(config)
      writer = new DeltaWriter(config, { runtime, ...(store === undefined ? {} : { store }) })
      this.#writers.set(config, writer)
    }
    return writer
  }
}

function* messagesOf(partitions: readonly KafkaEventPartition[]): Generator<KafkaMessage> {
  for (const { messages } of partitions) yield* messages
}

/** The partition that a bad record ended; null where it is not a record that is at fault. */
function partitionOfBadRecord(
  error: unknown,
  partitions: readonly KafkaEventPartition[],
): KafkaEventPartition | null {
  if (!(error instanceof StreamIngestError) || !error.shouldSkipMessage()) return null
  const { topic, partition } = error.context
  return partitions.find(p => p.topic === topic && p.partition === partition) ?? null
}
