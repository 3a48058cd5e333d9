/**
 * How the data files of a table look: from columns with the names that people see to those that a file holds.
 *
 * PROTOCOL.md › Column Mapping, › Materialize Partition Columns, › Per-file Statistics.
 *
 * @module
 */

import { appendValue } from './column/append-value.ts'
import type { Column, ColumnBatch } from './column/column.ts'
import { createColumnBuilder } from './column/column-builder.ts'
import { columnDefault } from './column-default.ts'
import {
  type ColumnMappingMode,
  columnMappingMode,
  fieldIdsOf,
  physicalBatch,
  physicalName,
  physicalSchema,
} from './column-mapping.ts'
import { type PartitionValue, parsePartitionValue } from './partition-value.ts'
import { writerFeaturesOf } from './protocol.ts'
import { type DataType, type StructField, type StructType, struct } from './schema.ts'
import { schemaLeaves } from './schema-codec.ts'
import { type StatisticsOptions, statisticsKey, statisticsOptionsOf } from './statistics-codec.ts'
import type { TableState } from './table-state.ts'

export type PartitionValues = Readonly<Record<string, string | null>>

export interface DataFileFormat {
  readonly mode: ColumnMappingMode
  readonly schema: StructType
  readonly partitionFields: readonly StructField[]
  /** Partition columns are in the files too, after the others. */
  readonly materializesPartitions: boolean
  /** Columns by their physical paths. */
  readonly statistics: StatisticsOptions
  /** By physical path; empty without column mapping. */
  readonly fieldIds: ReadonlyMap<string, number>
}

export function dataFileFormatOf(state: TableState): DataFileFormat {
  const { metadata, protocol, schema } = state
  const mode = columnMappingMode(metadata)
  const physical = physicalSchema(schema, mode)
  return {
    mode,
    schema,
    partitionFields: metadata.partitionColumns.map(name => schema.fields.find(f => f.name === name)!),
    materializesPartitions: writerFeaturesOf(protocol).has('materializePartitionColumns'),
    statistics: physicalStatistics(statisticsOptionsOf(state), schema, physical),
    fieldIds: mode === 'none' ? new Map() : fieldIdsOf(physical),
  }
}

/** Selected by the names that people see, collected under those of the files. */
function physicalStatistics(
  options: StatisticsOptions,
  schema: StructType,
  physical: StructType,
): StatisticsOptions {
  if (options.columns === null) return options
  const names = [...schemaLeaves(physical)]
  const columns = [...schemaLeaves(schema)].flatMap(({ path }, i) =>
    options.columns!.has(statisticsKey(path)) ? [statisticsKey(names[i]!.path)] : [],
  )
  return { ...options, columns: new Set(columns) }
}

/**
 * The batch with the columns that it lacks and the table has a default for, other than null.
 *
 * @param batch data columns by the names that people see
 */
export function withDefaults({ schema, partitionFields }: DataFileFormat, batch: ColumnBatch): ColumnBatch {
  const fields: StructField[] = []
  const columns: Column[] = []
  for (const field of schema.fields) {
    const found = columnDefault(field)
    if (found.kind !== 'literal' || found.value === null) continue
    const isThere = batch.schema.fields.some(f => f.name === field.name) || partitionFields.includes(field)
    if (isThere) continue
    fields.push(field)
    columns.push(constantColumn(field.type, found.value, batch.rowCount))
  }
  if (fields.length === 0) return batch
  return {
    schema: struct([...batch.schema.fields, ...fields]),
    rowCount: batch.rowCount,
    columns: [...batch.columns, ...columns],
  }
}

function constantColumn(type: DataType, value: PartitionValue | null, rowCount: number): Column {
  const builder = createColumnBuilder(type)
  for (let row = 0; row < rowCount; row++) appendValue(builder, value)
  return builder.finish()
}

/**
 * The data columns as a file holds them: physical names, ids beside them. Buffers are shared.
 *
 * @param batch data columns by the names that people see, each one of the table's
 */
export function physicalColumns(format: DataFileFormat, batch: ColumnBatch): ColumnBatch {
  return physicalBatch(batch, format.schema, format.mode)
}

/**
 * Adds the partition columns, constant in a file, where the table keeps them in its files. They have no statistics.
 *
 * @param partitionValues by the names that people see
 */
export function withPartitionColumns(
  format: DataFileFormat,
  physical: ColumnBatch,
  partitionValues: PartitionValues,
): ColumnBatch {
  if (!format.materializesPartitions || format.partitionFields.length === 0) return physical
  const columns = format.partitionFields.map(field => {
    const value = parsePartitionValue(field.type, partitionValues[field.name] ?? null)
    return constantColumn(field.type, value, physical.rowCount)
  })
  const fields = format.partitionFields.map(f => ({ ...f, name: physicalName(f, format.mode) }))
  return {
    schema: struct([...physical.schema.fields, ...fields]),
    rowCount: physical.rowCount,
    columns: [...physical.columns, ...columns],
  }
}

/** `add.partitionValues`: under the physical names, an empty text as null. */
export function physicalPartitionValues(
  { partitionFields, mode }: DataFileFormat,
  partitionValues: PartitionValues,
): PartitionValues {
  return Object.fromEntries(
    partitionFields.map(field => [physicalName(field, mode), partitionValues[field.name] ?? null]),
  )
}
