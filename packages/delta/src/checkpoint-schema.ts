/**
 * The columns of a checkpoint: one row per action, exactly one struct of it present.
 *
 * PROTOCOL.md › Checkpoint Schema. Every node is optional for readers' sake; names are the wire's.
 *
 * @module
 */
import { type ColumnMappingMode, physicalName } from './column-mapping.ts'
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
import { statisticsKey } from './statistics-codec.ts'

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

/** The columns that hold an action each; those of `add` without its statistics and the typed partition values. */
export const ACTION_TYPES = {
  txn: struct([field('appId', STRING), field('version', LONG), field('lastUpdated', LONG)]),
  add: struct([
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
  ]),
  remove: struct([
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
  metaData: struct([
    field('id', STRING),
    field('name', STRING),
    field('description', STRING),
    field('format', struct([field('provider', STRING), field('options', STRING_MAP)])),
    field('schemaString', STRING),
    field('partitionColumns', array(STRING)),
    field('configuration', STRING_MAP),
    field('createdTime', LONG),
  ]),
  protocol: struct([
    field('minReaderVersion', INTEGER),
    field('minWriterVersion', INTEGER),
    field('readerFeatures', array(STRING)),
    field('writerFeatures', array(STRING)),
  ]),
  domainMetadata: struct([
    field('domain', STRING),
    field('configuration', STRING),
    field('removed', BOOLEAN),
  ]),
  checkpointMetadata: struct([field('version', LONG), field('tags', STRING_MAP)]),
  sidecar: struct([
    field('path', STRING),
    field('sizeInBytes', LONG),
    field('modificationTime', LONG),
    field('tags', STRING_MAP),
  ]),
} as const satisfies Record<string, StructType>

export type ActionColumn = keyof typeof ACTION_TYPES

export interface CheckpointSchemaOptions {
  readonly tableSchema: StructType
  /** Logical names. */
  readonly partitionColumns: readonly string[]
  readonly columnMapping: ColumnMappingMode
  /** `delta.checkpoint.writeStatsAsJson` */
  readonly statsAsJson: boolean
  /** `delta.checkpoint.writeStatsAsStruct` */
  readonly statsAsStruct: boolean
  /** Keys of the leaf columns that get typed statistics; null for all. */
  readonly statsColumns: ReadonlySet<string> | null
}

/** The columns of files: `add` with its statistics, and `remove`. Names in them are physical ones. */
export function fileActionFields(options: CheckpointSchemaOptions): StructField[] {
  const add: StructField[] = [...ACTION_TYPES.add.fields]
  if (options.statsAsJson) add.push(field('stats', STRING))
  if (options.statsAsStruct) {
    const { fields } = options.tableSchema
    const partitions = fields.filter(f => options.partitionColumns.includes(f.name))
    if (partitions.length > 0) {
      const typed = partitions.map(f => field(physicalName(f, options.columnMapping), f.type))
      add.push(field('partitionValues_parsed', struct(typed)))
    }
    add.push(field('stats_parsed', statsType(options)))
  }
  return [field('add', struct(add)), field('remove', ACTION_TYPES.remove)]
}

/** The columns of everything else, for a classic checkpoint or one of version 2. */
export function stateActionFields(format: 'v1' | 'v2'): StructField[] {
  const { txn, metaData, protocol, domainMetadata, checkpointMetadata, sidecar } = ACTION_TYPES
  const fields = [
    field('txn', txn),
    field('metaData', metaData),
    field('protocol', protocol),
    field('domainMetadata', domainMetadata),
  ]
  if (format === 'v2') fields.push(field('checkpointMetadata', checkpointMetadata), field('sidecar', sidecar))
  return fields
}

/** An empty Parquet group is illegal, so a struct without an eligible leaf is left out altogether. */
function statsType(options: CheckpointSchemaOptions): StructType {
  const data = struct(options.tableSchema.fields.filter(f => !options.partitionColumns.includes(f.name)))
  const bounds = mapLeaves(data, [], options, type => (hasBounds(type) ? type : null))
  const nullCounts = mapLeaves(data, [], options, () => LONG)
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

function mapLeaves(
  type: StructType,
  parents: readonly string[],
  options: CheckpointSchemaOptions,
  leaf: (type: DataType) => DataType | null,
): StructType | null {
  const fields: StructField[] = []
  for (const f of type.fields) {
    const path = [...parents, f.name]
    const isWanted = options.statsColumns?.has(statisticsKey(path)) ?? true
    const mapped =
      f.type.kind === 'struct' ? mapLeaves(f.type, path, options, leaf) : isWanted ? leaf(f.type) : null
    if (mapped !== null) fields.push(field(physicalName(f, options.columnMapping), mapped))
  }
  return fields.length === 0 ? null : struct(fields)
}
