/**
 * May the topics be read, and do their newest messages fit the table?
 *
 * @module
 */
import { KafkaError, SerializationError } from '../error.ts'
import type { KafkaSource } from '../kafka/kafka-source.ts'
import type { SourceChunk, TopicPartition } from '../kafka/message-source.ts'
import { formatCount, formatNumberOf } from '../observe/format.ts'
import { type BadRecord, Epoch } from '../pipeline/epoch.ts'
import { RecordQueue, recordBatchMaxBytes } from '../pipeline/record-queue.ts'
import { askMergeRules } from '../pipeline/schema-growth.ts'
import type { CheckContext, TableFindings } from './check-context.ts'
import type { Checkup, Found } from './checkup.ts'

/** Of each topic partition the newest offsets that are read. */
const SAMPLE_OFFSETS = 20n
/** Partitions of which a sample is read, over all topics. */
const SAMPLE_PARTITIONS_MAX = 16
/** What one read brings at most. */
const SAMPLE_BYTES = 8 * 1024 * 1024
/** Reads until every partition has answered; the check's time is the other bound. */
const READS_MAX = 100
const READ_WAIT_MS = 200
/** Bad records that are described. */
const NAMED_MAX = 2
/** Opening, both ends, and a Fetch. */
const STEPS_MAX = 4

export interface Reading {
  /** Open; to be closed by whoever asked for it. */
  readonly source: KafkaSource
  readonly ends: ReadonlyMap<TopicPartition, { readonly startOffset: bigint; readonly endOffset: bigint }>
  /** Of the newest messages. */
  readonly chunks: readonly SourceChunk[]
}

/**
 * Opens a source and fetches the newest messages.
 *
 * @returns null where it failed; the source is closed then
 */
export async function checkReading(
  checkup: Checkup,
  openSource: () => KafkaSource,
  { timeoutMs }: CheckContext,
): Promise<Reading | null> {
  const found = await checkup.run(
    'read the newest messages',
    async signal => {
      const source = openSource()
      // Requests that are under way end with their connections.
      const end = (): void => void source.close()
      signal.addEventListener('abort', end)
      try {
        await source.open()
        const ends = await source.endOffsets()
        const chunks = await readSample(source, ends, signal)
        const count = [...ends.values()].reduce((sum, end) => sum + (end.endOffset - end.startOffset), 0n)
        const message = `${formatCount(count)} offsets in ${formatNumberOf(ends.size, 'partition')}`
        return { value: { source, ends, chunks }, message }
      } catch (error) {
        await source.close()
        throw error
      } finally {
        signal.removeEventListener('abort', end)
      }
    },
    { timeoutMs: STEPS_MAX * timeoutMs },
  )
  return found?.value ?? null
}

async function readSample(
  source: KafkaSource,
  ends: Reading['ends'],
  signal: AbortSignal,
): Promise<SourceChunk[]> {
  const waiting = new Map<TopicPartition, bigint>()
  for (const tp of sampled(source.assignment)) {
    const { startOffset, endOffset } = ends.get(tp)!
    const from = endOffset - SAMPLE_OFFSETS
    source.seek(tp, from > startOffset ? from : startOffset)
    if (endOffset > startOffset) waiting.set(tp, endOffset)
  }
  const chunks: SourceChunk[] = []
  for (let reads = 0; reads < READS_MAX && !signal.aborted; reads++) {
    // An empty topic is fetched too: that shows the right to.
    if (waiting.size === 0 && source.counters.fetchCount > 0) return chunks
    for (const chunk of await source.read({ maxBytes: SAMPLE_BYTES, maxWaitMs: READ_WAIT_MS, signal })) {
      chunks.push(chunk)
      const end = waiting.get(chunk.topicPartition)
      if (end !== undefined && chunk.nextOffset >= end) waiting.delete(chunk.topicPartition)
    }
  }
  signal.throwIfAborted()
  const [tp] = waiting.keys()
  const place = tp === undefined ? 'the topics' : `${tp.topic}[${tp.partition}]`
  throw new KafkaError('KAFKA_UNREACHABLE', `no answer to a Fetch of ${place} in ${READS_MAX} reads`)
}

/** Some of each topic, the first partition of each before the second of any. */
function sampled(assignment: readonly TopicPartition[]): readonly TopicPartition[] {
  return [...assignment].sort((a, b) => a.partition - b.partition).slice(0, SAMPLE_PARTITIONS_MAX)
}

/** Decodes what was read as `run` would. */
export async function checkMessages(
  checkup: Checkup,
  { chunks }: Reading,
  { pipeline }: CheckContext,
  { state, layout }: TableFindings,
): Promise<void> {
  const { processing } = pipeline
  if (layout === null) {
    checkup.skip('messages', 'the columns are not known')
    return
  }
  await checkup.run('messages', async (): Promise<Found<null>> => {
    const rules = askMergeRules(pipeline, state === null ? null : { state })
    const epoch = new Epoch(layout, processing.onNullValue, Number.POSITIVE_INFINITY, rules)
    const queue = new RecordQueue(recordBatchMaxBytes(processing))
    queue.push(chunks)
    const bad = [...epoch.appendAll(queue, 0)]
    const { messageCount } = epoch
    if (bad.length === 0) {
      const message = messageCount === 0 ? 'none to look at' : `the newest ${messageCount} fit the columns`
      return { value: null, message }
    }
    const problem = `${bad.length} of the newest ${messageCount} messages do not fit: ${describe(bad)}`
    const { code } = bad[0]!.reason
    if (processing.onBadRecord === 'stop') {
      throw new SerializationError(code, problem, {
        hint: 'correct `delta.schema` or the producer, or set `processing.on_bad_record`: `run` stops at the first of them',
      })
    }
    const help = `\`processing.on_bad_record: ${processing.onBadRecord}\` keeps them out of the table: correct \`delta.schema\` or the producer where they should be in it`
    return { value: null, warning: { code, message: problem, help } }
  })
}

function describe(bad: readonly BadRecord[]): string {
  const named = bad.slice(0, NAMED_MAX).map(({ topicPartition, offset, reason }) => {
    const { topic, partition } = topicPartition
    return `${topic}[${partition}]@${offset} ${reason.path}: ${reason.message}`
  })
  return named.join('; ') + (bad.length > NAMED_MAX ? '; …' : '')
}
