/**
 * The rows of an epoch and the columns that they are in, which grow with the fields that messages bring where
 * `delta.merge_schema` allows it.
 *
 * A field that no column takes, or a number too large for its column, makes a wider layout; the builders go on under it
 * with the rows that they have, the new columns being null there. A record that does not fit in the end leaves no column
 * behind.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { mergeSchemas, type SchemaChange } from '@stream-ingest/delta'
import { BatchBuilder, type ColumnBatch, evolveBatchBuilder } from '@stream-ingest/delta/column'
import type { TableLayout } from '../config/table-layout.ts'
import { type BadRecordReason, UNKNOWN_FIELD } from '../decode/decoder.ts'
import { shapeOfPayload } from '../decode/json-shape.ts'
import type { RecordOrigin, RecordView } from '../decode/record-view.ts'
import { RecordWriter } from '../decode/record-writer.ts'
import { inferLayout, type MergeRules, type WidenedField } from '../decode/schema-inference.ts'

/** What the table allows just now. */
export type AskMergeRules = () => MergeRules

/** Rows that are taken out. */
export interface TakenRows {
  readonly batch: ColumnBatch
  /** What their schema has beyond that of the rows before. */
  readonly schemaChanges: readonly SchemaChange[]
}

export class MergingRows {
  /** Null where messages do not change the schema. */
  private readonly askRules: AskMergeRules | null
  private currentLayout: TableLayout
  private builder: BatchBuilder
  private writer: RecordWriter
  /** What is in the table, or about to be by an earlier cut: types that stay. */
  private settled: TableLayout

  constructor(layout: TableLayout, askRules: AskMergeRules | null) {
    this.askRules = askRules
    this.currentLayout = layout
    this.settled = layout
    this.builder = new BatchBuilder(layout.schema)
    this.writer = this.createWriter(layout, this.builder)
  }

  get layout(): TableLayout {
    return this.currentLayout
  }

  /** Others read from it. Columns that partition the table stay the same objects. */
  get batch(): BatchBuilder {
    return this.builder
  }

  get sizeBytes(): number {
    return this.builder.sizeBytes
  }

  /** Appends records `[from, to)` as rows, as many as are plain; returns the first that was not appended. */
  appendRun(view: RecordView, from: number, to: number, origin: RecordOrigin): number {
    return this.writer.appendRun(view, from, to, origin)
  }

  /** Appends the record as a row, under a wider layout where it needs one; or says why it does not fit. */
  append(view: RecordView, index: number, origin: RecordOrigin): BadRecordReason | null {
    const outcome = this.writer.append(view, index, origin)
    if (outcome === null) return null
    if (outcome !== UNKNOWN_FIELD && outcome.code !== 'RECORD_INVALID') return outcome
    const { currentLayout, settled, askRules } = this
    const start = view.valueStart[index]!
    if (askRules === null || start < 0) {
      assert(outcome !== UNKNOWN_FIELD, 'nobody asked for unknown fields')
      return outcome
    }
    const payload = shapeOfPayload(view.bytes, start, view.valueEnd[index]!)
    const inference =
      payload === null ? UNCHANGED : inferLayout(currentLayout, payload, settled.schema, askRules())
    if (outcome === UNKNOWN_FIELD) {
      if (inference.status === 'refused') return inference.reason
      if (inference.status === 'unchanged') return this.writer.appendKnown(view, index, origin)
    } else if (inference.status !== 'evolved' || inference.widened.length === 0) {
      return outcome
    }
    return this.appendEvolved(view, index, origin, inference.layout, inference.widened)
  }

  /** Takes all rows; what goes on goes on under the layout that there is now. */
  finish(): TakenRows {
    const { settled, currentLayout } = this
    this.settled = currentLayout
    if (settled === currentLayout) return { batch: this.builder.finish(), schemaChanges: [] }
    const merge = mergeSchemas(settled.schema, currentLayout.schema, { typeWidening: true })
    assert(merge.status === 'evolved', 'a layout only grows')
    return { batch: this.builder.finish(), schemaChanges: merge.changes }
  }

  /** Takes the buffers of rows that were taken out, and that nobody reads any more. */
  recycle(batch: ColumnBatch): void {
    this.builder.recycle(batch)
  }

  private appendEvolved(
    view: RecordView,
    index: number,
    origin: RecordOrigin,
    layout: TableLayout,
    widened: readonly WidenedField[],
  ): BadRecordReason | null {
    const builder = evolveBatchBuilder(this.builder, layout.schema)
    if (builder === null) return inexact(widened)
    const writer = this.createWriter(layout, builder)
    const bad = writer.appendKnown(view, index, origin)
    if (bad !== null) return bad
    this.currentLayout = layout
    this.builder = builder
    this.writer = writer
    return null
  }

  private createWriter(layout: TableLayout, builder: BatchBuilder): RecordWriter {
    return new RecordWriter(layout, builder, { notesUnknown: this.askRules !== null })
  }
}

const UNCHANGED = { status: 'unchanged' } as const

function inexact([first]: readonly WidenedField[]): BadRecordReason {
  const { path = '$', fromType = '', toType = '' } = first ?? {}
  return {
    code: 'RECORD_INVALID',
    path,
    column: null,
    message: `expected ${fromType}, found a number that needs ${toType}, which does not hold the integers beyond 2^53 that came before`,
  }
}
