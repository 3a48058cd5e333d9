/**
 * What the main thread asks of threads that decode and encode, and what they answer. All of it can be cloned. Record
 * batches go through memory that both sides have, so that nothing is left for the garbage collector; encoded files are
 * moved.
 *
 * A lane is one pipeline's work on one thread. A thread answers every request, in their order.
 *
 * @module
 */
import type { EncodedDataFile } from '@stream-ingest/delta'
import type { ProcessingConfig } from '../config/ingest-config.ts'
import type { TableLayout } from '../config/table-layout.ts'
import type { BadRecordReason } from '../decode/decoder.ts'
import type { MergeRules } from '../decode/schema-inference.ts'
import type { DataFileLayout, EncodedSizes, FilePlan } from '../delta/epoch-encoder.ts'
import type { TopicPartition } from '../kafka/message-source.ts'
import type { EpochCounts } from './epoch.ts'

export interface LaneSettings {
  readonly onNullValue: ProcessingConfig['onNullValue']
  /** Bound of one decompressed batch. */
  readonly recordBatchMaxBytes: number
  readonly files: DataFileLayout
  /** Where tasks lie. */
  readonly slots: readonly SharedArrayBuffer[]
}

/** What rows are decoded under. */
export interface LaneLayout {
  readonly layout: TableLayout
  /** What the table allows messages to change; null where that is nothing. */
  readonly rules: MergeRules | null
}

/** Record batches of one topic partition, one behind the other. */
export interface DecodeTask {
  readonly topicPartition: TopicPartition
  /** Records below it are passed over. */
  readonly fromOffset: bigint
  readonly nextOffset: bigint
  /** Stop after so many messages; null without a bound. */
  readonly messagesMax: number | null
  /** Index of the slot with the batches; where they are too large for one, a buffer of their own. */
  readonly bytes: number | ArrayBuffer
  /** Of each batch. */
  readonly sizesBytes: readonly number[]
}

export interface DecodedTask {
  /**
   * Something that is not decided here, such as a message that changes the schema or a damaged batch: all that the lane
   * has decoded since the last cut is to be decoded again by the pipeline itself.
   */
  readonly needsInline: boolean
  /** Where it stopped; the task's own `nextOffset` unless its `messagesMax` came first. */
  readonly nextOffset: bigint
  readonly bad: readonly { readonly offset: bigint; readonly reason: BadRecordReason }[]
  /** Of the lane since its last cut, this task included. */
  readonly messageCount: number
  readonly badRecordCount: number
  readonly sizeBytes: number
  readonly tablePartitionCount: number
  /** Share of the rows that the largest table partition has. */
  readonly largestShare: number
  readonly decodeMs: number
}

/** What a lane has decoded since its last cut; the rows stay there. */
export interface LaneCut {
  readonly counts: EpochCounts
  /** Epoch milliseconds; null where no row has a timestamp. */
  readonly newestRecordMs: number | null
}

export type EncodedStep =
  | { readonly file: EncodedDataFile; readonly sizes: null }
  /** After the last file. */
  | { readonly file: null; readonly sizes: EncodedSizes }

/** By kind: what a request brings, and its answer. */
export interface ThreadRequests {
  open: { readonly asks: LaneSettings & LaneLayout; readonly answers: null }
  decode: { readonly asks: DecodeTask; readonly answers: DecodedTask }
  /** Takes what was decoded, under a number of the caller's; goes on under these rules. */
  cut: {
    readonly asks: { readonly cut: number; readonly rules: LaneLayout['rules'] }
    readonly answers: LaneCut
  }
  /** The next file of a cut; the first one, where there is a plan. */
  encode: {
    readonly asks: { readonly cut: number; readonly plan: FilePlan | null }
    readonly answers: EncodedStep
  }
  /** The rows of a cut are in the table. */
  release: { readonly asks: { readonly cut: number }; readonly answers: null }
  /** Forgets all rows, those of cuts too, and goes on under this layout. */
  restart: { readonly asks: LaneLayout; readonly answers: null }
  close: { readonly asks: null; readonly answers: null }
}

export type RequestKind = keyof ThreadRequests

export type ThreadRequest = {
  readonly [K in RequestKind]: {
    readonly kind: K
    readonly lane: number
    readonly asks: ThreadRequests[K]['asks']
  }
}[RequestKind]

export type ThreadAnswer = { readonly value: unknown } | { readonly error: unknown }
