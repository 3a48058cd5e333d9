/**
 * Table creation: version 0, once, however many try.
 *
 * PROTOCOL.md › Change Metadata, › Protocol Evolution. The loser of a race never writes its own metadata: it takes the
 * table that won and the caller compares schemas.
 *
 * @module
 */
import type { Action, Metadata, Protocol } from '../action.ts'
import { formatCommit } from '../action-codec.ts'
import { assignColumnMapping, columnMappingMode, MAX_COLUMN_ID } from '../column-mapping.ts'
import { readCommit } from '../commit-reader.ts'
import { DeltaLakeError } from '../error.ts'
import { advanceTableState, initialTableState, loadTableState } from '../load-table-state.ts'
import { formatCommitPath, LOG_PREFIX } from '../log-path.ts'
import { assertWritable, SNAPSHOT_READER_FEATURES } from '../protocol.ts'
import type { Runtime } from '../runtime.ts'
import type { StructType } from '../schema.ts'
import { formatSchemaString, someType, validateTableSchema } from '../schema-codec.ts'
import type { ObjectStore } from '../store/object-store.ts'
import { tableProperty } from '../table-property.ts'
import type { TableState } from '../table-state.ts'
import { ENGINE_INFO } from '../transaction.ts'

export interface CreateTableSpec {
  readonly schema: StructType
  /** Top-level primitive columns of `schema`; at least one column must remain beside them. */
  readonly partitionColumns: readonly string[]
  readonly properties: Readonly<Record<string, string>>
  readonly name?: string
  readonly description?: string
}

export interface CreateTableResult {
  /** `exists`: another writer was first, or the table was there before; `state` is what it is. */
  readonly status: 'created' | 'exists'
  readonly state: TableState
}

const CREATE_ATTEMPTS_MAX = 50
const CREATE_RETRY_DELAY_MS = 500

/** Properties with values that need features in the protocol. */
const PROPERTY_FEATURES: readonly (readonly [
  property: string,
  value: string,
  features: readonly string[],
])[] = [
  ['delta.checkpointPolicy', 'v2', ['v2Checkpoint']],
  ['delta.columnMapping.mode', 'id', ['columnMapping']],
  ['delta.columnMapping.mode', 'name', ['columnMapping']],
  ['delta.enableChangeDataFeed', 'true', ['changeDataFeed']],
  ['delta.enableDeletionVectors', 'true', ['deletionVectors']],
  ['delta.enableInCommitTimestamps', 'true', ['inCommitTimestamp']],
  ['delta.enableRowTracking', 'true', ['rowTracking', 'domainMetadata']],
  ['delta.enableTypeWidening', 'true', ['typeWidening']],
]
/** Properties that would change what files must look like in ways that creation does not set up. */
const PROPERTIES_REFUSED = [
  'delta.enableIcebergCompatV1',
  'delta.enableIcebergCompatV2',
  'delta.enableIcebergCompatV3',
]

/**
 * Creates the table where there is none.
 *
 * @throws DeltaLakeError `DELTA_SCHEMA_INVALID` for a schema or properties that no table can have, `DELTA_LOG_CORRUPT`
 *   for a log folder that holds something but no table, and what the store throws
 */
export async function createTable(
  store: ObjectStore,
  spec: CreateTableSpec,
  runtime: Runtime,
): Promise<CreateTableResult> {
  validateTableSchema(spec.schema, spec.partitionColumns)
  validateChangeColumns(spec)
  const existing = await loadTableState(store, { nowMs: runtime.now() })
  if (existing !== null) return { status: 'exists', state: existing }
  const txnId = runtime.uuid()
  const actions = buildFirstCommit(spec, txnId, runtime)
  for (let attempt = 1; attempt <= CREATE_ATTEMPTS_MAX; attempt++) {
    // Crash here: version 0 is there, whole, or it is not; the next start finds the table or creates it.
    const put = await store.putIfAbsent(formatCommitPath(0), formatCommit(actions))
    if (put.status === 'created') return { status: 'created', state: stateOf(actions) }
    if (put.status === 'exists') {
      const winner = await readCommit(store, 0)
      if (winner?.some(a => 'commitInfo' in a && a.commitInfo.txnId === txnId)) {
        return { status: 'created', state: stateOf(actions) }
      }
      const state = await loadTableState(store, { nowMs: runtime.now() })
      if (state !== null) return { status: 'exists', state }
    }
    await runtime.delay(runtime.random() * CREATE_RETRY_DELAY_MS)
  }
  throw new DeltaLakeError(
    'DELTA_COMMIT_UNKNOWN',
    `no definite answer to the creation of ${store.uri}/${LOG_PREFIX}`,
  )
}

function stateOf(actions: readonly Action[]): TableState {
  return advanceTableState(initialTableState(), 0, actions)
}

function buildFirstCommit(spec: CreateTableSpec, txnId: string, runtime: Runtime): Action[] {
  const nowMs = runtime.now()
  const protocol = protocolFor(spec)
  const { schema, configuration } = withColumnMapping(spec, runtime)
  const metadata: Metadata = {
    id: runtime.uuid(),
    ...(spec.name === undefined ? {} : { name: spec.name }),
    ...(spec.description === undefined ? {} : { description: spec.description }),
    format: { provider: 'parquet', options: {} },
    schemaString: formatSchemaString(schema),
    partitionColumns: [...spec.partitionColumns],
    createdTime: nowMs,
    configuration: {
      ...Object.fromEntries(
        Object.entries(spec.properties).filter(([key]) => !key.startsWith('delta.feature.')),
      ),
      ...configuration,
      ...rowTrackingColumns(spec, runtime),
    },
  }
  assertWritable(protocol, metadata, schema)
  return [
    {
      commitInfo: {
        ...(spec.properties['delta.enableInCommitTimestamps'] === 'true' ? { inCommitTimestamp: nowMs } : {}),
        timestamp: nowMs,
        operation: 'CREATE TABLE',
        operationParameters: {
          isManaged: 'false',
          description: spec.description ?? null,
          partitionBy: JSON.stringify(spec.partitionColumns),
          properties: JSON.stringify(spec.properties),
        },
        isolationLevel: 'Serializable',
        isBlindAppend: true,
        operationMetrics: {},
        engineInfo: ENGINE_INFO,
        txnId,
      },
    },
    { protocol },
    { metaData: metadata },
  ]
}

/** The lowest protocol that allows what the schema and the properties ask for. */
function protocolFor(spec: CreateTableSpec): Protocol {
  const features = new Set<string>()
  for (const [key, value] of Object.entries(spec.properties)) {
    if (PROPERTIES_REFUSED.includes(key) && value !== 'false' && value !== 'none') {
      throw new DeltaLakeError(
        'DELTA_PROTOCOL_UNSUPPORTED',
        `a table with the property \`${key}\` cannot be created`,
        {
          hint: 'create the table with another engine, or remove the property',
        },
      )
    }
    for (const [property, needing, needed] of PROPERTY_FEATURES) {
      if (key === property && value.toLowerCase() === needing) for (const name of needed) features.add(name)
    }
    if (key.startsWith('delta.feature.')) features.add(key.slice('delta.feature.'.length))
  }
  if (usesTimestampNtz(spec.schema)) features.add('timestampNtz')
  const readerFeatures = [...features].filter(feature => SNAPSHOT_READER_FEATURES.has(feature))
  if (features.size === 0) return { minReaderVersion: 1, minWriterVersion: 2 }
  // Version 2 implies these two; a table with a feature list has to name them to keep them.
  const writerFeatures = ['appendOnly', 'invariants', ...features]
  return readerFeatures.length === 0
    ? { minReaderVersion: 1, minWriterVersion: 7, writerFeatures }
    : { minReaderVersion: 3, minWriterVersion: 7, readerFeatures, writerFeatures }
}

/** Physical names of a new table are as random as its files' names, so that a column can be dropped and made again. */
function withColumnMapping(
  { schema, properties }: CreateTableSpec,
  runtime: Runtime,
): { schema: StructType; configuration: Record<string, string> } {
  if (columnMappingMode({ configuration: properties }) === 'none') return { schema, configuration: {} }
  const assigned = assignColumnMapping(schema, 0, () => `col-${runtime.uuid()}`)
  return { schema: assigned.schema, configuration: { [MAX_COLUMN_ID]: String(assigned.maxColumnId) } }
}

/** Where a compaction keeps the ids of the rows that it moves. */
function rowTrackingColumns({ properties }: CreateTableSpec, runtime: Runtime): Record<string, string> {
  if (!tableProperty(properties, 'delta.enableRowTracking')) return {}
  return {
    'delta.rowTracking.materializedRowIdColumnName': `_row-id-col-${runtime.uuid()}`,
    'delta.rowTracking.materializedRowCommitVersionColumnName': `_row-commit-version-col-${runtime.uuid()}`,
    ...properties,
  }
}

/** Columns that a reader of changes adds to those of the table. */
const CHANGE_COLUMNS: ReadonlySet<string> = new Set(['_change_type', '_commit_version', '_commit_timestamp'])

function validateChangeColumns({ schema, properties }: CreateTableSpec): void {
  if (!tableProperty(properties, 'delta.enableChangeDataFeed')) return
  const taken = schema.fields.find(f => CHANGE_COLUMNS.has(f.name.toLowerCase()))
  if (taken === undefined) return
  throw new DeltaLakeError(
    'DELTA_SCHEMA_INVALID',
    `the column \`${taken.name}\` has a name that the change data feed needs`,
    { hint: 'rename the column, or do not set `delta.enableChangeDataFeed`' },
  )
}

function usesTimestampNtz(schema: StructType): boolean {
  return someType(schema, type => type.kind === 'primitive' && type.name === 'timestamp_ntz')
}
