/**
 * How many bad records a run may skip or quarantine before it stops.
 *
 * @module
 */
import type { PipelineConfig } from '../config/ingest-config.ts'
import { SerializationError } from '../error.ts'
import { badRecordError, rejectRecord } from './bad-record.ts'
import type { BadRecord, EpochCounts } from './epoch.ts'

/** Fewer messages say nothing about their share of bad ones. */
export const BAD_RATIO_MESSAGES_MIN = 1_000
/** Past twice this many the counts are halved, so that a long run of sound messages does not hide a flood of bad ones. */
export const BAD_RATIO_WINDOW = 100_000

type Tally = Pick<EpochCounts, 'messages' | 'badRecords'>

export class BadRecordLimits {
  private readonly config: PipelineConfig
  /** Bad records of the run before the epoch that fills. */
  private badRecords: number
  /** The same of the recent past, with the messages that they are a share of. */
  private readonly recent = { messages: 0, badRecords: 0 }

  /** @param badRecords of the run so far */
  constructor(config: PipelineConfig, badRecords = 0) {
    this.config = config
    this.badRecords = badRecords
  }

  /** An epoch was cut. */
  add({ messages, badRecords }: Tally): void {
    const { recent } = this
    this.badRecords += badRecords
    recent.messages += messages
    recent.badRecords += badRecords
    while (recent.messages >= 2 * BAD_RATIO_WINDOW) {
      recent.messages /= 2
      recent.badRecords /= 2
    }
  }

  /** It was dropped: its messages are read again. */
  takeBack({ messages, badRecords }: Tally): void {
    const { recent } = this
    this.badRecords -= badRecords
    recent.messages = Math.max(0, recent.messages - messages)
    recent.badRecords = Math.max(0, recent.badRecords - badRecords)
  }

  /**
   * May the run go on with these bad records, whichever of them came last?
   *
   * @param epoch what was decoded since the last cut, the bad records included
   */
  allow(epoch: Tally): boolean {
    return this.config.processing.onBadRecord !== 'stop' && this.limitProblem(epoch) === null
  }

  /**
   * Tells whoever listens of a bad record, and what is to be done with it: by `processing.on_bad_record`, or to stop where it
   * is one too many.
   *
   * @param epoch what was decoded since the last cut, the bad record included
   * @returns to stop: the error that ends the run, everything before the record being in the table
   */
  judge(bad: BadRecord, epoch: Tally, tableUri: string): 'skip' | 'quarantine' | SerializationError {
    const { config } = this
    const tooMany = config.processing.onBadRecord === 'stop' ? null : this.exceededBy(bad, epoch, tableUri)
    const action = rejectRecord(config, bad, tooMany !== null)
    return action === 'stop' ? (tooMany ?? badRecordError(config, bad, tableUri)) : action
  }

  private exceededBy(bad: BadRecord, epoch: Tally, tableUri: string): SerializationError | null {
    const { topic, partition } = bad.topicPartition
    const place = `${topic}[${partition}]@${bad.offset}`
    const badRecords = this.badRecords + epoch.badRecords
    const problem = this.limitProblem(epoch)
    if (problem === null) return null
    return new SerializationError(
      'RECORD_LIMIT',
      `${place} ${bad.reason.path}: ${bad.reason.message}; ${problem}`,
      {
        hint: `nothing from ${place} on is in the table and a restart resumes there: correct \`delta.schema\` or the producer, or raise \`processing.max_bad_records\` or \`processing.max_bad_ratio\``,
        context: {
          pipeline: this.config.name,
          topic,
          partition,
          offset: bad.offset,
          badRecords,
          table: tableUri,
        },
      },
    )
  }

  private limitProblem(epoch: Tally): string | null {
    const { maxBadRecords, maxBadRatio } = this.config.processing
    const badRecords = this.badRecords + epoch.badRecords
    return maxBadRecords !== undefined && badRecords > maxBadRecords
      ? `this is bad record ${badRecords} of the run, and \`processing.max_bad_records\` is ${maxBadRecords}`
      : this.ratioProblem(epoch, BAD_RATIO_MESSAGES_MIN, maxBadRatio)
  }

  /** At the end of a run that was to read so much and no more: however few messages they were. */
  exceededAtEnd(tableUri: string): SerializationError | null {
    const { maxBadRatio } = this.config.processing
    const problem = this.ratioProblem({ messages: 0, badRecords: 0 }, 1, maxBadRatio)
    if (problem === null) return null
    const { delta, processing } = this.config
    const outcome = processing.dryRun
      ? 'nothing was written'
      : delta.writeMode === 'overwrite'
        ? 'the table is as it was'
        : 'what was read is committed, the bad records as `processing.on_bad_record` says'
    return new SerializationError('RECORD_LIMIT', problem, {
      hint: `${outcome}: correct \`delta.schema\` or the producer, or raise \`processing.max_bad_ratio\``,
      context: { pipeline: this.config.name, badRecords: this.badRecords, table: tableUri },
    })
  }

  private ratioProblem(epoch: Tally, messagesMin: number, maxBadRatio: number | undefined): string | null {
    if (maxBadRatio === undefined) return null
    const messages = this.recent.messages + epoch.messages
    const badRecords = this.recent.badRecords + epoch.badRecords
    if (messages < messagesMin || badRecords <= maxBadRatio * messages) return null
    return `of the last ${Math.round(messages)} records ${Math.round(badRecords)} are bad, and \`processing.max_bad_ratio\` is ${maxBadRatio}`
  }
}
