/**
 * Payloads into rows whose columns grow with them.
 *
 * @module
 */
import { formatDataType, type StructType } from '@stream-ingest/delta'
import { batchRow } from '@stream-ingest/delta/column'
import { resolveTableLayout, type TableLayout } from '../../src/config/table-layout.ts'
import type { BadRecordReason } from '../../src/decode/decoder.ts'
import type { MergeRules } from '../../src/decode/schema-inference.ts'
import { readRecords } from '../../src/kafka/record-batch.ts'
import { encodeRecordBatch } from '../../src/kafka/record-batch-encoder.ts'
import { RecordSlab } from '../../src/kafka/record-slab.ts'
import { MergingRows } from '../../src/pipeline/merging-rows.ts'
import { type LayoutParts, layoutOf } from './record-harness.ts'

export const PLAIN_RULES: MergeRules = { typeWidening: false, columnMapping: false, unfilled: new Set() }

export class MergeHarness {
  readonly rows: MergingRows
  private readonly slab = new RecordSlab()

  constructor(parts: LayoutParts | TableLayout = {}, rules: MergeRules = PLAIN_RULES) {
    const layout = 'columns' in parts ? parts : startOf(parts)
    this.rows = new MergingRows(layout, () => rules)
  }

  append(payload: string | null): BadRecordReason | null {
    const value = payload === null ? null : Buffer.from(payload)
    readRecords(encodeRecordBatch([{ value, timestampMs: 0 }], { baseOffset: 0n }), this.slab, 'events', 3)
    const origin = { topic: 'events', partition: 3 }
    return this.rows.append(this.slab, 0, origin)
  }

  get schema(): StructType {
    return this.rows.layout.schema
  }

  /** `name: type` of each column but the offset. */
  get columns(): string {
    return this.schema.fields
      .filter(({ name }) => name !== '_offset')
      .map(({ name, type }) => `${name}: ${formatDataType(type)}`)
      .join(', ')
  }

  /** Takes the rows, as a commit would. */
  take(): Record<string, unknown>[] {
    const { batch } = this.rows.finish()
    return Array.from({ length: batch.rowCount }, (_, i) => {
      const { _offset, ...row } = batchRow(batch, i)
      return row
    })
  }
}

function startOf(parts: LayoutParts): TableLayout {
  const metadata = ['offset'] as const
  if ((parts.fields ?? []).length > 0) return layoutOf({ ...parts, metadata })
  return resolveTableLayout({
    schema: { kind: 'struct', fields: [] },
    fields: [],
    partitionColumns: parts.partitionColumns ?? [],
    derive: parts.derive ?? [],
    metadataColumns: new Map([['offset', '_offset']]),
  })
}
