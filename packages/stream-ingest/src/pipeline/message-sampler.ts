/**
 * Reads a bounded part of topic partitions: the last messages, or those from some offset on.
 *
 * @module
 */
import type { Runtime } from '@stream-ingest/delta'
import type { MessageSource, SourceChunk, TopicPartition } from '../kafka/message-source.ts'

/** `[fromOffset, untilOffset)` of one topic partition; not empty. */
export interface OffsetSpan {
  readonly topicPartition: TopicPartition
  readonly fromOffset: bigint
  readonly untilOffset: bigint
}

/** What is kept of a message. */
export interface SampledMessage {
  readonly topic: string
  readonly partition: number
  readonly offset: bigint
}

/** The messages of a chunk below its `nextOffset`, the first `countMax` of them. */
export type DecodeChunk<Message> = (chunk: SourceChunk, countMax: number) => readonly Message[]

/** Compressed bytes that are read at most. */
export const SAMPLE_BYTES_MAX = 64 * 1024 * 1024
/** A cluster that sends nothing for this long has nothing more. */
const SILENCE_MAX_MS = 10_000
/**
 * Offsets are not messages: markers of transactions, aborted ones, and what compaction took are offsets too. Where the last
 * N offsets hold fewer than N messages, more is read, each time this much more than the time before …
 */
const SPAN_GROWTH = 8n
/** … and no more often than this. */
const ROUNDS_MAX = 6

export class MessageSampler<Message extends SampledMessage> {
  private readonly source: MessageSource
  private readonly runtime: Runtime
  private readonly decode: DecodeChunk<Message>
  private readonly messagesMax: number
  private readonly found = new Map<TopicPartition, Message[]>()
  private messageCount = 0
  private sizeBytes = 0
  /** The bound over all messages cut something off. */
  private isCut = false

  /**
   * @param source open; nobody else reads from it
   * @param messagesMax in all
   */
  constructor(source: MessageSource, runtime: Runtime, decode: DecodeChunk<Message>, messagesMax: number) {
    this.source = source
    this.runtime = runtime
    this.decode = decode
    this.messagesMax = messagesMax
  }

  /** The last `count` messages of each span. @returns false where a bound ended it before */
  async readLast(spans: readonly OffsetSpan[], count: number): Promise<boolean> {
    let open = spans.map(span => ({ ...span, earliest: span.fromOffset }))
    let width = BigInt(Math.min(Math.max(count, 0), this.messagesMax))
    for (let round = 1; width > 0n && open.length > 0; round++, width *= SPAN_GROWTH) {
      if (round > ROUNDS_MAX) return false
      const wanted = open.map(span => {
        const { untilOffset, earliest } = span
        const fromOffset = untilOffset - width > earliest ? untilOffset - width : earliest
        return { ...span, fromOffset }
      })
      if (!(await this.read(wanted))) return false
      for (const { topicPartition } of wanted) this.keepLast(topicPartition, count)
      open = wanted.flatMap(({ topicPartition, fromOffset, earliest }) => {
        const isEnough = (this.found.get(topicPartition)?.length ?? 0) >= count || fromOffset <= earliest
        // What lies before what was read.
        return isEnough ? [] : [{ topicPartition, fromOffset: earliest, untilOffset: fromOffset, earliest }]
      })
    }
    return true
  }

  /** The first `limit` messages of each span. @returns false where a bound ended it before */
  async readFrom(spans: readonly OffsetSpan[], limit: number): Promise<boolean> {
    return limit <= 0 || this.read(spans, limit)
  }

  /** By topic, partition and offset. */
  inOrder(): Message[] {
    return [...this.found.values()].flat().sort((a, b) => {
      if (a.topic !== b.topic) return a.topic < b.topic ? -1 : 1
      if (a.partition !== b.partition) return a.partition - b.partition
      return a.offset < b.offset ? -1 : 1
    })
  }

  private keepLast(tp: TopicPartition, count: number): void {
    const messages = this.found.get(tp)
    if (messages === undefined) return
    messages.sort((a, b) => (a.offset < b.offset ? -1 : 1))
    this.messageCount -= messages.splice(0, Math.max(0, messages.length - count)).length
  }

  private async read(spans: readonly OffsetSpan[], limit = Number.POSITIVE_INFINITY): Promise<boolean> {
    const { source, runtime } = this
    const open = new Map(spans.map(span => [span.topicPartition, span]))
    for (const { topicPartition, fromOffset } of spans) source.seek(topicPartition, fromOffset)
    let lastHeardMs = runtime.monotonicMs()
    while (open.size > 0) {
      if (this.sizeBytes >= SAMPLE_BYTES_MAX || this.messageCount >= this.messagesMax) return false
      const maxBytes = SAMPLE_BYTES_MAX - this.sizeBytes
      const chunks = await source.read({ maxBytes, maxWaitMs: SILENCE_MAX_MS })
      for (const chunk of chunks) {
        const span = open.get(chunk.topicPartition)
        // Of one that is through, the source may have read ahead.
        if (span === undefined) continue
        lastHeardMs = runtime.monotonicMs()
        if (this.take(span, chunk, limit)) open.delete(chunk.topicPartition)
      }
      if (open.size > 0 && runtime.monotonicMs() - lastHeardMs >= SILENCE_MAX_MS) return false
    }
    return !this.isCut
  }

  /** @returns whether the span is through */
  private take(span: OffsetSpan, chunk: SourceChunk, limit: number): boolean {
    const { topicPartition, untilOffset } = span
    this.sizeBytes += chunk.sizeBytes
    const isThrough = chunk.nextOffset >= untilOffset
    const found = this.found.get(topicPartition) ?? []
    this.found.set(topicPartition, found)
    const left = this.messagesMax - this.messageCount
    const room = Math.max(0, Math.min(limit - found.length, left))
    const decoded = this.decode(isThrough ? { ...chunk, nextOffset: untilOffset } : chunk, room)
    for (const message of decoded) found.push(message)
    this.messageCount += decoded.length
    // As many as there is room for: what comes behind them is not known.
    this.isCut ||= decoded.length >= left && found.length < limit
    return isThrough || found.length >= limit
  }
}
