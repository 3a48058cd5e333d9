/**
 * Kafka records to rows of the table: one whole row for each, or none and the reason.
 *
 * @module
 */
import assert from 'node:assert/strict'
import {
  type BatchBuilder,
  type BinaryBuilder,
  type ColumnBuilder,
  createColumnBuilder,
} from '@stream-ingest/delta/column'
import type { DecodeField } from '../config/decode-field.ts'
import type { TableColumn, TableLayout } from '../config/table-layout.ts'
import {
  type ColumnWriter,
  DerivedWriter,
  FallbackWriter,
  KafkaDerivedWriter,
  PartitionTextCheck,
  sourcePath,
  TextColumnWriter,
} from './column-writer.ts'
import { type BadRecordReason, type RecordOutcome, UNKNOWN_FIELD } from './decoder.ts'
import { UnitOfInstant } from './derived-value.ts'
import type { JsonDecoderLimits } from './json-decoder.ts'
import { JSON_DEPTH_MAX } from './json-scanner.ts'
import { createMetadataWriter, RunWriter } from './metadata-writer.ts'
import type { RecordOrigin, RecordView } from './record-view.ts'
import { RunDecoder } from './run-decoder.ts'
import { namesNotOfPayload, payloadPath } from './schema-inference.ts'

export interface RecordWriterOptions extends JsonDecoderLimits {
  /** Say of a record that has fields which no column takes that it has; by default such fields are left out. */
  readonly notesUnknown?: boolean
}

export class RecordWriter {
  private readonly batch: BatchBuilder
  private readonly decoder: RunDecoder
  /** Columns that are not decoded from the payload; derived ones last, for they may read the others. */
  private readonly writers: readonly ColumnWriter[]
  /** Columns whose values are known without looking at a record: written for many rows at once. */
  private readonly runWriters: readonly RunWriter[]
  /** Records `[runStart, runEnd)` of the view are rows that those columns lack. */
  private runStart = 0
  private runEnd = 0
  /** Values of the payload that no column holds but a derived one needs. One row at most. */
  private readonly hidden: readonly ColumnBuilder[]
  private readonly notesUnknown: boolean
  /** A derived column reads a field of the payload that no column takes, so that every record has such a field. */
  private readonly hasUnknownInput: boolean

  /** @param batch its columns are those of the layout; nobody else may append to it */
  constructor(layout: TableLayout, batch: BatchBuilder, options: RecordWriterOptions = {}) {
    assert(batch.columns.length === layout.columns.length, 'the batch has the columns of the layout')
    this.batch = batch
    const depthMax = options.depthMax ?? JSON_DEPTH_MAX
    const plan = planColumns(layout, batch, depthMax)
    this.notesUnknown = options.notesUnknown === true
    const leftOut = namesNotOfPayload(layout)
    this.hasUnknownInput = this.notesUnknown && readsUnknownInput(layout, leftOut)
    this.decoder = new RunDecoder(plan.fields, plan.builders, {
      depthMax,
      immediate: plan.immediate,
      ...(this.notesUnknown ? { leftOut } : {}),
    })
    this.writers = plan.writers
    this.runWriters = plan.runWriters
    this.hidden = plan.hidden
  }

  /**
   * Appends record `index` as the batch's next row. A null value makes a row of key and metadata where the columns of
   * the payload may be null.
   *
   * Where the record does not fit, or all is well but for an unknown field, the batch is as it was. Before another batch of
   * records is begun, or anybody reads the columns, {@link endRun} must be called.
   */
  append(view: RecordView, index: number, origin: RecordOrigin): RecordOutcome {
    return this.appendRecord(view, index, origin, this.notesUnknown)
  }

  /** {@link append}, without the fields that no column takes. */
  appendKnown(view: RecordView, index: number, origin: RecordOrigin): BadRecordReason | null {
    return this.appendRecord(view, index, origin, false) as BadRecordReason | null
  }

  /** Completes the rows that were appended from this view. */
  endRun(view: RecordView, origin: RecordOrigin): void {
    this.decoder.flush()
    const { runWriters, runStart, runEnd } = this
    this.runStart = runEnd
    if (runStart === runEnd) return
    for (let i = 0; i < runWriters.length; i++) runWriters[i]!.appendRun(view, runStart, runEnd, origin)
  }

  private appendRecord(
    view: RecordView,
    index: number,
    origin: RecordOrigin,
    notesUnknown: boolean,
  ): RecordOutcome {
    const { batch, hidden, writers } = this
    for (let i = 0; i < hidden.length; i++) hidden[i]!.truncate(0)
    let bad = this.decoder.decode(view, index)
    for (let i = 0; i < writers.length && bad === null; i++) {
      bad = writers[i]!.append(view, index, origin)
    }
    if (bad !== null) {
      this.rollBack(view, origin)
      return bad
    }
    if (
      notesUnknown &&
      view.valueStart[index]! >= 0 &&
      (this.decoder.metUnknownField || this.hasUnknownInput)
    ) {
      this.rollBack(view, origin)
      return UNKNOWN_FIELD
    }
    if (index !== this.runEnd) {
      this.endRun(view, origin)
      this.runStart = index
    }
    this.runEnd = index + 1
    this.decoder.accept()
    batch.endRow()
    return null
  }

  private rollBack(view: RecordView, origin: RecordOrigin): void {
    this.endRun(view, origin)
    this.batch.rollBackRow()
  }
}

function readsUnknownInput({ columns }: TableLayout, leftOut: ReadonlySet<string>): boolean {
  const taken = new Set(columns.map(({ source }) => payloadPath(source)?.[0]))
  return columns.some(({ source }) => {
    if (source.kind !== 'derive' || source.from.kind !== 'field') return false
    const from = source.from.field.source
    const key = from.kind === 'payload' ? from.path[0] : undefined
    return key !== undefined && !taken.has(key) && !leftOut.has(key.toLowerCase())
  })
}

interface ColumnsPlan {
  readonly fields: DecodeField[]
  readonly builders: ColumnBuilder[]
  readonly writers: ColumnWriter[]
  readonly runWriters: RunWriter[]
  readonly hidden: ColumnBuilder[]
  /** Builders whose last value is looked at row by row. */
  readonly immediate: Set<ColumnBuilder>
}

function planColumns(layout: TableLayout, batch: BatchBuilder, depthMax: number): ColumnsPlan {
  const plan: ColumnsPlan = {
    fields: [],
    builders: [],
    writers: [],
    runWriters: [],
    hidden: [],
    immediate: new Set(),
  }
  const last: ColumnWriter[] = []
  for (const [index, column] of layout.columns.entries()) {
    const builder = batch.columns[index]!
    const { source } = column
    switch (source.kind) {
      case 'decode':
        if (source.field.source.kind === 'payload') addPayload(plan, source.field, builder)
        else plan.writers.push(new TextColumnWriter(source.field, builder, depthMax))
        break
      case 'decode_or_derive':
        addPayload(plan, { ...source.field, nullable: true }, builder)
        plan.immediate.add(builder)
        last.push(new FallbackWriter(column.field.name, builder, new UnitOfInstant(source.as)))
        break
      case 'derive': {
        const unit = new UnitOfInstant(source.as)
        if (source.from.kind === 'kafka_timestamp') {
          last.push(new KafkaDerivedWriter(column.field.name, builder, unit))
        } else {
          const input = derivedInput(plan, layout, batch, source.from.field, source.from.column, column)
          plan.immediate.add(input)
          last.push(new DerivedWriter(builder, unit, input))
        }
        break
      }
      case 'kafka': {
        const writer = createMetadataWriter(source.field, column.field.name, builder)
        // The router reads the columns of the partition row by row.
        if (writer instanceof RunWriter && !column.isPartition) plan.runWriters.push(writer)
        else plan.writers.push(writer)
        break
      }
    }
    if (column.isPartition) {
      plan.immediate.add(builder)
      addPartitionCheck(column, builder, last)
    }
  }
  plan.writers.push(...last)
  return plan
}

function addPayload(plan: ColumnsPlan, field: DecodeField, builder: ColumnBuilder): void {
  plan.fields.push(field)
  plan.builders.push(builder)
}

/** The builder that a derived column reads: the column with the same value, or a hidden one. */
function derivedInput(
  plan: ColumnsPlan,
  layout: TableLayout,
  batch: BatchBuilder,
  field: DecodeField,
  column: string | null,
  derived: TableColumn,
): ColumnBuilder {
  const same = layout.columns.findIndex(c => c.field.name === column)
  if (same >= 0) return batch.columns[same]!
  const hidden = createColumnBuilder(field.type)
  plan.hidden.push(hidden)
  addPayload(plan, { ...field, name: derived.field.name }, hidden)
  return hidden
}

function addPartitionCheck(
  { field, source }: TableColumn,
  builder: ColumnBuilder,
  writers: ColumnWriter[],
): void {
  const { name } = builder.type.kind === 'primitive' ? builder.type : { name: '' }
  if (name !== 'binary' && (name !== 'string' || field.nullable)) return
  const path = source.kind === 'decode' ? sourcePath(source.field.source) : 'kafka.key'
  writers.push(new PartitionTextCheck(path, field.name, field.nullable, builder as BinaryBuilder))
}
