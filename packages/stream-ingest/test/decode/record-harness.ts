import assert from 'node:assert/strict'
import { field, type StructType, struct } from '@stream-ingest/delta'
import { BatchBuilder, batchRow } from '@stream-ingest/delta/column'
import type { DecodeField } from '../../src/config/decode-field.ts'
import type { DerivedColumn, KafkaMetadataField } from '../../src/config/ingest-config.ts'
import { resolveTableLayout, type TableLayout } from '../../src/config/table-layout.ts'
import { type BadRecordReason, type RecordOutcome, UNKNOWN_FIELD } from '../../src/decode/decoder.ts'
import { RecordWriter } from '../../src/decode/record-writer.ts'
import { readRecords } from '../../src/kafka/record-batch.ts'
import { type EncodableRecord, encodeRecordBatch } from '../../src/kafka/record-batch-encoder.ts'
import { RecordSlab } from '../../src/kafka/record-slab.ts'

export interface LayoutParts {
  readonly fields?: readonly DecodeField[]
  readonly partitionColumns?: readonly string[]
  readonly derive?: readonly DerivedColumn[]
  readonly metadata?: readonly KafkaMetadataField[]
}

/** The layout that a configuration of these parts gives; metadata columns are called `_topic` and so on. */
export function layoutOf(parts: LayoutParts): TableLayout {
  const fields = parts.fields ?? []
  const schema: StructType = struct(fields.map(f => field(f.name, f.type, f.nullable)))
  return resolveTableLayout({
    schema,
    fields,
    partitionColumns: parts.partitionColumns ?? [],
    derive: parts.derive ?? [],
    metadataColumns: new Map((parts.metadata ?? []).map(name => [name, `_${name}`])),
  })
}

/** Real record batches of `events[3]` through a record writer. */
export class RecordHarness {
  readonly layout: TableLayout
  readonly batch: BatchBuilder
  private readonly writer: RecordWriter
  private readonly slab = new RecordSlab()

  constructor(parts: LayoutParts) {
    this.layout = layoutOf(parts)
    this.batch = new BatchBuilder(this.layout.schema)
    this.writer = new RecordWriter(this.layout, this.batch)
  }

  /** One outcome for each record; null where its row was appended. */
  append(records: readonly EncodableRecord[], baseOffset = 0n): (BadRecordReason | null)[] {
    readRecords(encodeRecordBatch(records, { baseOffset }), this.slab, 'events', 3)
    const origin = { topic: 'events', partition: 3 }
    return records.map((_, i) => {
      const outcome: RecordOutcome = this.writer.append(this.slab, i, origin)
      assert(outcome !== UNKNOWN_FIELD, 'nobody asked for unknown fields')
      return outcome
    })
  }

  rows(): Record<string, unknown>[] {
    const columns = this.batch.finish()
    return Array.from({ length: columns.rowCount }, (_, i) => batchRow(columns, i))
  }
}
