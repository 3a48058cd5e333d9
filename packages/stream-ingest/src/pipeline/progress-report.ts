/**
 * Tells now and then where a pipeline stands, for panels and gauges.
 *
 * @module
 */
import type { Runtime } from '@stream-ingest/delta'
import type { MessageSource } from '../kafka/message-source.ts'
import { hasListeners, publish } from '../observe/event.ts'
import type { Buffered } from './epoch.ts'
import type { TableProgress } from './table-progress.ts'

/** Between two reports: often enough for a person, and nothing beside the work. */
export const PROGRESS_EVERY_MS = 500

/** What fills. */
interface FillingEpoch {
  readonly messageCount: number
  readonly buffered: Buffered
}

export class ProgressReport {
  private readonly pipeline: string
  private readonly source: Pick<MessageSource, 'assignment' | 'heardEndOffset'>
  private readonly tableProgress: TableProgress
  private readonly runtime: Runtime
  private takenCount = 0
  private toldMs = Number.NEGATIVE_INFINITY

  constructor(
    pipeline: string,
    source: Pick<MessageSource, 'assignment' | 'heardEndOffset'>,
    tableProgress: TableProgress,
    runtime: Runtime,
  ) {
    this.pipeline = pipeline
    this.source = source
    this.tableProgress = tableProgress
    this.runtime = runtime
  }

  /** These were decoded, and are not in the epoch that fills any more. */
  countTaken(messageCount: number): void {
    this.takenCount += messageCount
  }

  /**
   * Publishes, unless it did so within {@link PROGRESS_EVERY_MS}, or nobody listens.
   *
   * @param writing what is under way to the table
   */
  tell(filling: FillingEpoch, writing: Buffered | undefined): void {
    if (!hasListeners('pipeline:progress')) return
    const nowMs = this.runtime.monotonicMs()
    if (nowMs - this.toldMs < PROGRESS_EVERY_MS) return
    this.toldMs = nowMs
    const { messageCount, sizeBytes, sinceMs } = filling.buffered
    publish('pipeline:progress', {
      pipeline: this.pipeline,
      messageCount: this.takenCount + filling.messageCount,
      bufferedMessageCount: messageCount + (writing?.messageCount ?? 0),
      bufferedSizeBytes: sizeBytes + (writing?.sizeBytes ?? 0),
      bufferedSinceMs: writing?.sinceMs ?? sinceMs,
      partitions: this.source.assignment.map(tp => ({
        topic: tp.topic,
        partition: tp.partition,
        nextOffset: this.tableProgress.nextOffset(tp),
        endOffset: this.source.heardEndOffset(tp),
      })),
    })
  }
}
