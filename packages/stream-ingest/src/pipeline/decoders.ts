/**
 * Which thread decodes: others, where there are any, and this one for epochs that they cannot decide alone.
 *
 * @module
 */
import type { TableLayout } from '../config/table-layout.ts'
import type { TableWriter } from '../delta/table-writer.ts'
import { type Decoding, type DecodingContext, InlineDecoding } from './decoding.ts'
import type { EpochCut } from './epoch.ts'
import { askMergeRules } from './schema-growth.ts'
import { ThreadDecoding } from './thread-decoding.ts'
import type { DecodeThread } from './thread-pool.ts'

/** Where threads give up one epoch after the other, so many are decoded here before they try again. */
export const INLINE_EPOCHS_MAX = 64

export class Decoders {
  private readonly inline: InlineDecoding
  private readonly threads: ThreadDecoding | null
  #current: Decoding
  /** Epochs still to be decoded here before threads go on, and how many it will be the next time. */
  private inlineLeft = 0
  private inlineAgain = 1

  /**
   * @param writer null where nothing is written: then all is decoded here
   * @param threads may be none
   */
  constructor(
    context: DecodingContext,
    layout: TableLayout,
    writer: TableWriter | null,
    threads: readonly DecodeThread[],
  ) {
    const rules = askMergeRules(context.config, writer?.table ?? null)
    this.inline = new InlineDecoding(context, layout, rules)
    this.threads =
      threads.length === 0 || writer === null || context.config.processing.dryRun
        ? null
        : new ThreadDecoding(context, threads, layout, rules, writer.fileLayout)
    this.#current = this.threads ?? this.inline
  }

  get current(): Decoding {
    return this.#current
  }

  /** What the threads have decoded since the last cut is for this thread to decode: it is to be read again. */
  goInline(): void {
    this.inlineLeft = this.inlineAgain
    this.inlineAgain = Math.min(INLINE_EPOCHS_MAX, this.inlineAgain * 2)
    this.threads?.restart(this.inline.layout)
    this.#current = this.inline
  }

  /** After a cut: back to the threads, unless they had to give up often lately. */
  leaveInline(): void {
    const { inline, threads } = this
    if (threads === null) return
    if (this.#current === threads) {
      this.inlineAgain = 1
      return
    }
    if (--this.inlineLeft > 0) return
    const rest = inline.takeRest()
    this.restart(inline.layout)
    threads.push(rest)
    this.#current = threads
  }

  /** The cut is in the table: nobody reads its rows any more. */
  recycle(cut: EpochCut): void {
    if (cut.remote === undefined) this.inline.recycle(cut)
    else this.threads?.recycle(cut)
  }

  /** Forgets all that was decoded and is queued, and goes on under this layout. */
  restart(layout: TableLayout): void {
    this.inline.restart(layout)
    this.threads?.restart(layout)
  }

  close(): void {
    this.threads?.close()
  }
}
