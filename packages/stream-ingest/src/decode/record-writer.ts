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
import { JsonDecoder, type JsonDecoderLimits } from './json-decoder.ts'
import { planPayload } from './json-plan.ts'
import { JSON_DEPTH_MAX } from './json-scanner.ts'
import { createMetadataWriter } from './metadata-writer.ts'
import type { RecordOrigin, RecordView } from './record-view.ts'
import { RunDecoder } from './run-decoder.ts'
import { namesNotOfPayload, payloadPath } from './schema-inference.ts'

export interface RecordWriterOptions extends JsonDecoderLimits {
  /** Say of a record that has fields which no column takes that it has; by default such fields are left out. */
  readonly notesUnknown?: boolean
}

export class RecordWriter {
  private readonly batch: BatchBuilder
  private readonly decoder: JsonDecoder
  private readonly runs: RunDecoder
  /** Columns that are not decoded from the payload; derived ones last, for they may read the others. */
  private readonly writers: readonly ColumnWriter[]
  /** Values of the payload that no column holds but a derived one needs, for the rows under way. */
  private readonly hidden: readonly ColumnBuilder[]
  private readonly notesUnknown: boolean
  /** A derived column reads a field of the payload that no column takes, so that every record has such a field. */
  private readonly hasUnknownInput: boolean
  /** As many records as the next run may have: fewer after one that did not fit. */
  private runLengthMax = Number.POSITIVE_INFINITY

  /** @param batch its columns are those of the layout; nobody else may append to it */
  constructor(layout: TableLayout, batch: BatchBuilder, options: RecordWriterOptions = {}) {
    assert(batch.columns.length === layout.columns.length, 'the batch has the columns of the layout')
    this.batch = batch
    const depthMax = options.depthMax ?? JSON_DEPTH_MAX
    const plan = planColumns(layout, batch, depthMax)
    this.notesUnknown = options.notesUnknown === true
    const leftOut = namesNotOfPayload(layout)
    this.hasUnknownInput = this.notesUnknown && readsUnknownInput(layout, leftOut)
    const payload = planPayload(plan.fields, plan.builders, this.notesUnknown ? leftOut : null)
    this.decoder = new JsonDecoder(payload, depthMax)
    this.runs = new RunDecoder(payload, this.decoder, depthMax)
    this.writers = plan.writers
    this.hidden = plan.hidden
  }

  /**
   * Appends records `[from, to)` as the batch's next rows, as many as are plain: the next one is for {@link append}, whatever it
   * may be.
   *
   * @returns the first record that was not appended
   */
  appendRun(view: RecordView, from: number, to: number, origin: RecordOrigin): number {
    if (this.hasUnknownInput) return from
    const stagedEnd = this.runs.stagedUntil(view, from, Math.min(to, from + this.runLengthMax))
    let end = stagedEnd
    while (end > from) {
      const fitEnd = this.appendStaged(view, from, end, origin)
      if (fitEnd === end) break
      this.batch.rollBackRow()
      end = fitEnd
    }
    // What is appended in vain stays in proportion to what is not.
    this.runLengthMax = end < stagedEnd ? Math.max(1, end - from) : this.runLengthMax * 2
    this.batch.endRows(end - from)
    return end
  }

  /**
   * Appends record `index` as the batch's next row. A null value makes a row of key and metadata where the columns of
   * the payload may be null.
   *
   * Where the record does not fit, or all is well but for an unknown field, the batch is as it was.
   */
  append(view: RecordView, index: number, origin: RecordOrigin): RecordOutcome {
    return this.appendRecord(view, index, origin, this.notesUnknown)
  }

  /** {@link append}, without the fields that no column takes. */
  appendKnown(view: RecordView, index: number, origin: RecordOrigin): BadRecordReason | null {
    return this.appendRecord(view, index, origin, false) as BadRecordReason | null
  }

  /** Returns the first record that does not fit; unless all do, the rows have to be rolled back. */
  private appendStaged(view: RecordView, from: number, to: number, origin: RecordOrigin): number {
    const { writers } = this
    this.clearHidden()
    let end = this.runs.appendRun(view, from, to)
    for (let i = 0; i < writers.length && end === to; i++) {
      end = writers[i]!.appendRun(view, from, to, origin)
    }
    return end
  }

  private appendRecord(
    view: RecordView,
    index: number,
    origin: RecordOrigin,
    notesUnknown: boolean,
  ): RecordOutcome {
    const { batch, decoder, writers } = this
    this.clearHidden()
    const start = view.valueStart[index]!
    let bad = start < 0 ? decoder.decodeNull() : decoder.decode(view.bytes, start, view.valueEnd[index]!)
    for (let i = 0; i < writers.length && bad === null; i++) {
      bad = writers[i]!.append(view, index, origin)
    }
    if (bad !== null) {
      batch.rollBackRow()
      return bad
    }
    if (notesUnknown && start >= 0 && (decoder.metUnknownField || this.hasUnknownInput)) {
      batch.rollBackRow()
      return UNKNOWN_FIELD
    }
    batch.endRow()
    return null
  }

  private clearHidden(): void {
    for (let i = 0; i < this.hidden.length; i++) this.hidden[i]!.truncate(0)
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
  readonly hidden: ColumnBuilder[]
}

function planColumns(layout: TableLayout, batch: BatchBuilder, depthMax: number): ColumnsPlan {
  const plan: ColumnsPlan = { fields: [], builders: [], writers: [], hidden: [] }
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
        last.push(new FallbackWriter(column.field.name, builder, new UnitOfInstant(source.as)))
        break
      case 'derive': {
        const unit = new UnitOfInstant(source.as)
        if (source.from.kind === 'kafka_timestamp') {
          last.push(new KafkaDerivedWriter(column.field.name, builder, unit))
        } else {
          const input = derivedInput(plan, layout, batch, source.from.field, source.from.column, column)
          last.push(new DerivedWriter(builder, unit, input))
        }
        break
      }
      case 'kafka': {
        plan.writers.push(createMetadataWriter(source.field, column.field.name, builder))
        break
      }
    }
    if (column.isPartition) addPartitionCheck(column, builder, last)
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
