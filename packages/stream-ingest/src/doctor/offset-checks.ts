/**
 * The offsets in the table against the topics: does reading go on without a loss?
 *
 * @module
 */
import type { PipelineConfig } from '../config/ingest-config.ts'
import type { KafkaSource } from '../kafka/kafka-source.ts'
import type { TopicPartition } from '../kafka/message-source.ts'
import { outOfRange } from '../kafka/offset-range.ts'
import { formatCount, formatHours } from '../observe/format.ts'
import { planStart, type StartPlan } from '../pipeline/start-position.ts'
import type { CheckContext, TableFindings } from './check-context.ts'
import type { Checkup, Found, Problem } from './checkup.ts'
import type { Reading } from './reading-checks.ts'

/** Unread messages older than this share of the retention are in danger. */
const RETENTION_SHARE_MAX = 0.5

/** `<pipeline>:<topic id>:<partition>`: of any pipeline. */
const APP_ID = /^(.*):([^:]+):\d+$/s

export async function checkOffsets(
  checkup: Checkup,
  { source, ends }: Reading,
  { pipeline, runtime }: CheckContext,
  retentions: ReadonlyMap<string, number | null | undefined>,
  { state }: TableFindings,
): Promise<void> {
  const { kafka, pipelineId, delta } = pipeline
  if (delta.writeMode === 'overwrite') {
    checkup.skip('offsets', '`delta.write_mode: overwrite` starts where `kafka.auto_offset_reset` says')
    return
  }
  await checkup.run('offsets', async (): Promise<Found<null>> => {
    const txns = new Map(Array.from(state?.txns ?? [], ([appId, txn]) => [appId, txn.version]))
    const plan = await planStart(kafka, pipelineId, source, source.assignment, txns)
    const outside = offsetsOutside(plan, ends)
    const [first] = outside
    if (first !== undefined) {
      const error = outOfRange(first.tp, first.wanted, ends.get(first.tp)!)
      const more = outside.length > 1 ? ` (and ${outside.length - 1} more partitions)` : ''
      if (kafka.onOffsetOutOfRange === 'fail') throw error
      const message = `${error.message}${more}`
      const help = `\`kafka.on_offset_out_of_range: ${kafka.onOffsetOutOfRange}\` goes on and counts the loss; to be asked first, set it to \`fail\``
      return { value: null, warning: { code: 'KAFKA_OFFSET_OUT_OF_RANGE', message, help } }
    }
    const warning =
      recreated(plan, pipeline) ?? (await oldUnread(plan, source, ends, retentions, runtime.now()))
    return { value: null, ...(warning === null ? {} : { warning }), message: describe(plan, ends, kafka) }
  })
}

/** Offsets of the same topics under another pipeline's name: its rows and ours are the same messages. */
export async function checkOtherPipelines(
  checkup: Checkup,
  { source }: Reading,
  { pipeline }: CheckContext,
  { state }: TableFindings,
): Promise<void> {
  const topics = new Map(
    source.assignment.flatMap(tp => [[tp.topicId, tp.topic] as const, [tp.topic, tp.topic]]),
  )
  for (const appId of state?.txns.keys() ?? []) {
    const [, other, topicId] = APP_ID.exec(appId) ?? []
    const topic = topics.get(topicId ?? '')
    if (topic === undefined || other === pipeline.pipelineId) continue
    await checkup.run('other pipelines', async (): Promise<Found<null>> => {
      const message = `pipeline \`${other}\` has written offsets of \`${topic}\` to this table, as this one (\`${pipeline.pipelineId}\`) is to`
      return { value: null, warning: { code: 'TABLE_TOPIC_TWICE', message } }
    })
    return
  }
}

function offsetsOutside(
  { offsets }: StartPlan,
  ends: Reading['ends'],
): readonly { readonly tp: TopicPartition; readonly wanted: bigint }[] {
  return [...offsets].flatMap(([tp, { nextOffset, fromTable }]) => {
    const { startOffset, endOffset } = ends.get(tp)!
    return fromTable && (nextOffset < startOffset || nextOffset > endOffset)
      ? [{ tp, wanted: nextOffset }]
      : []
  })
}

/** Offsets of topics with other ids, and none of a topic that is read: it was deleted and made again. */
function recreated({ offsets, unknownTopicIds }: StartPlan, { kafka }: PipelineConfig): Problem | null {
  if (unknownTopicIds.length === 0) return null
  const known = new Set([...offsets].flatMap(([tp, { fromTable }]) => (fromTable ? [tp.topic] : [])))
  const fresh = kafka.topics.filter(topic => !known.has(topic))
  if (fresh.length === 0) return null
  const names = fresh.map(topic => `\`${topic}\``).join(', ')
  const start = typeof kafka.autoOffsetReset === 'string' ? kafka.autoOffsetReset : 'a timestamp'
  return {
    code: 'KAFKA_TOPIC_RECREATED',
    message: `the table holds offsets of ${unknownTopicIds.length} topics that are gone, and none of ${names}: a topic that was deleted and created again has another id`,
    help: `nothing, where that was meant: \`run\` reads ${names} from \`kafka.auto_offset_reset\` (${start}), in addition to the rows that are there`,
  }
}

/** Asks which offset is as old as half of the retention: what is unread below it is in danger. */
async function oldUnread(
  { offsets }: StartPlan,
  source: KafkaSource,
  ends: Reading['ends'],
  retentions: ReadonlyMap<string, number | null | undefined>,
  nowMs: number,
): Promise<Problem | null> {
  for (const [topic, retentionMs] of retentions) {
    if (typeof retentionMs !== 'number') continue
    const ageMs = Math.floor(retentionMs * RETENTION_SHARE_MAX)
    const unread = [...offsets].filter(
      ([tp, { nextOffset, fromTable }]) =>
        tp.topic === topic && fromTable && nextOffset < ends.get(tp)!.endOffset,
    )
    if (unread.length === 0) continue
    const young = await source.resolveStart(
      unread.map(([tp]) => tp),
      { timestampMs: nowMs - ageMs },
    )
    const late = unread.find(([tp, { nextOffset }]) => nextOffset < young.get(tp)!)
    if (late === undefined) continue
    const [{ partition }, { nextOffset }] = late
    return {
      code: 'KAFKA_RETENTION_NEAR',
      message: `the next message of ${topic}[${partition}] for the table, ${nextOffset}, is older than ${formatHours(ageMs)}; the topic keeps ${formatHours(retentionMs)}`,
    }
  }
  return null
}

function describe({ offsets }: StartPlan, ends: Reading['ends'], kafka: PipelineConfig['kafka']): string {
  let lag = 0n
  let fresh = 0
  for (const [tp, { nextOffset, fromTable }] of offsets) {
    const { endOffset } = ends.get(tp)!
    if (!fromTable) fresh++
    if (endOffset > nextOffset) lag += endOffset - nextOffset
  }
  const start = typeof kafka.autoOffsetReset === 'string' ? kafka.autoOffsetReset : 'the configured time'
  const begins = fresh === 0 ? '' : `, ${fresh} of ${offsets.size} partitions begin at ${start}`
  return `${formatCount(lag)} to read${begins}`
}
