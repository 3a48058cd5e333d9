/**
 * The columns of a checkpoint: one row per action, exactly one struct of it present.
 *
 * PROTOCOL.md › Checkpoint Schema. Every node is optional for readers' sake; names are the wire's.
 *
 * @module
 */
import {
  array,
  type DataType,
  field,
  map,
  primitive,
  type StructField,
  type StructType,
  struct,
} from './schema.ts'

const STRING = primitive('string')
const LONG = primitive('long')
const INTEGER = primitive('integer')
const BOOLEAN = primitive('boolean')
const STRING_MAP = map(STRING, STRING)

const DELETION_VECTOR = struct([
  field('storageType', STRING),
  field('pathOrInlineDv', STRING),
  field('offset', INTEGER),
  field('sizeInBytes', INTEGER),
  field('cardinality', LONG),
])

export interface CheckpointSchemaOptions {
  readonly tableSchema: StructType
  readonly partitionColumns: readonly string[]
  /** `delta.checkpoint.writeStatsAsJson` */
  readonly statsAsJson: boolean
  /** `delta.checkpoint.writeStatsAsStruct` */
  readonly statsAsStruct: boolean
}

/** The schema of a classic V1 checkpoint of a table. */
export function checkpointSchema(options: CheckpointSchemaOptions): StructType {
  const add: StructField[] = [
    field('path', STRING),
    field('partitionValues', STRING_MAP),
    field('size', LONG),
    field('modificationTime', LONG),
    field('dataChange', BOOLEAN),
    field('tags', STRING_MAP),
    field('deletionVector', DELETION_VECTOR),
    field('baseRowId', LONG),
    field('defaultRowCommitVersion', LONG),
    field('clusteringProvider', STRING),
  ]
  if (options.statsAsJson) add.push(field('stats', STRING))
  if (options.statsAsStruct) {
    const partitions = options.tableSchema.fields.filter(f => options.partitionColumns.includes(f.name))
    if (partitions.length > 0) {
      add.push(field('partitionValues_parsed', struct(partitions.map(f => field(f.name, f.type)))))
    }
    add.push(field('stats_parsed', statsSchema(options)))
  }
  return struct([
    field('txn', struct([field('appId', STRING), field('version', LONG), field('lastUpdated', LONG)])),
    field('add', struct(add)),
    field(
      'remove',
      struct([
        field('path', STRING),
        field('deletionTimestamp', LONG),
        field('dataChange', BOOLEAN),
        field('extendedFileMetadata', BOOLEAN),
        field('partitionValues', STRING_MAP),
        field('size', LONG),
        field('deletionVector', DELETION_VECTOR),
        field('baseRowId', LONG),
        field('defaultRowCommitVersion', LONG),
      ]),
    ),
    field(
      'metaData',
      struct([
        field('id', STRING),
        field('name', STRING),
        field('description', STRING),
        field('format', struct([field('provider', STRING), field('options', STRING_MAP)])),
        field('schemaString', STRING),
        field('partitionColumns', array(STRING)),
        field('configuration', STRING_MAP),
        field('createdTime', LONG),
      ]),
    ),
    field(
      'protocol',
      struct([
        field('minReaderVersion', INTEGER),
        field('minWriterVersion', INTEGER),
        field('readerFeatures', array(STRING)),
        field('writerFeatures', array(STRING)),
      ]),
    ),
    field(
      'domainMetadata',
      struct([field('domain', STRING), field('configuration', STRING), field('removed', BOOLEAN)]),
    ),
  ])
}

/** An empty Parquet group is illegal, so a struct without an eligible leaf is left out altogether. */
function statsSchema(options: CheckpointSchemaOptions): StructType {
  const data = struct(options.tableSchema.fields.filter(f => !options.partitionColumns.includes(f.name)))
  const bounds = mapLeaves(data, type => (hasBounds(type) ? type : null))
  const nullCounts = mapLeaves(data, () => LONG)
  const fields: StructField[] = [field('numRecords', LONG)]
  if (bounds !== null) fields.push(field('minValues', bounds), field('maxValues', bounds))
  if (nullCounts !== null) fields.push(field('nullCount', nullCounts))
  fields.push(field('tightBounds', BOOLEAN))
  return struct(fields)
}

/** The types for which statistics carry a minimum and a maximum. */
function hasBounds(type: DataType): boolean {
  if (type.kind === 'decimal') return true
  if (type.kind !== 'primitive') return false
  return !['boolean', 'binary', 'void', 'variant'].includes(type.name)
}

function mapLeaves(type: StructType, leaf: (type: DataType) => DataType | null): StructType | null {
  const fields: StructField[] = []
  for (const f of type.fields) {
    const mapped = f.type.kind === 'struct' ? mapLeaves(f.type, leaf) : leaf(f.type)
    if (mapped !== null) fields.push(field(f.name, mapped))
  }
  return fields.length === 0 ? null : struct(fields)
}
