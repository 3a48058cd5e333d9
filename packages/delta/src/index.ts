/**
 * Delta Lake for Node: log, snapshots, transactions, checkpoints, Parquet, object stores.
 *
 * @module
 */
export type * from './action.ts'
export { formatAction, formatCommit, parseAction, parseCommit } from './action-codec.ts'
export {
  civilFromDays,
  daysFromCivil,
  formatDate,
  formatInstant,
  formatLocalTimestamp,
  parseDate,
  parseTimestamp,
} from './calendar.ts'
export {
  type CheckpointOutcome,
  checkpointDue,
  type WriteCheckpointOptions,
  writeCheckpoint,
} from './checkpoint.ts'
export { type ColumnDefault, columnDefault } from './column-default.ts'
export { readCommit } from './commit-reader.ts'
export { resolveVersionAt } from './commit-timestamp.ts'
export type { ConflictReason } from './conflict.ts'
export {
  type DataFileOptions,
  type EncodedDataFile,
  encodeDataFile,
  encodeFileOfFormat,
  uploadDataFile,
} from './data-file.ts'
export { type DataFileFormat, dataFileFormatOf } from './data-file-format.ts'
export { formatDecimal, parseDecimal } from './decimal-text.ts'
export {
  type AppendRequest,
  DeltaTable,
  type DeltaTableOptions,
  OVERWRITE_REMOVES_MAX,
  type TableChange,
  type UpkeepOutcome,
} from './delta-table.ts'
export { DELTA_ERRORS, type DeltaErrorCode, type DeltaErrorOptions, DeltaLakeError } from './error.ts'
export type { OpenForeignStore } from './file-source.ts'
export { formatJson, JsonNumber, parseJson, parseJsonLossless } from './json.ts'
export { type LoadTableStateOptions, loadTableState } from './load-table-state.ts'
export { cleanUpLog, LOG_DELETES_MAX, type LogCleanupOutcome } from './log-cleanup.ts'
export { LOG_PREFIX } from './log-path.ts'
export {
  type CheckOptions,
  type CheckProgress,
  type CheckReport,
  type CheckRule,
  checkTable,
  type Finding,
} from './operation/check.ts'
export { type CreateTableResult, type CreateTableSpec, createTable } from './operation/create.ts'
export {
  type OptimizeOptions,
  type OptimizeProgress,
  type OptimizeResult,
  optimizeTable,
} from './operation/optimize.ts'
export {
  SCAN_READER_FEATURES,
  type ScanOptions,
  scanFile,
  scanSchema,
  scanTable,
  type TableRow,
} from './operation/scan.ts'
export { type RowUpdate, UPDATE_FILE_MAX_BYTES, type UpdateOptions, updateRows } from './operation/update.ts'
export {
  VACUUM_FILES_NAMED_MAX,
  VACUUM_RETENTION_MIN_MS,
  type VacuumOptions,
  type VacuumProgress,
  type VacuumResult,
  vacuumTable,
} from './operation/vacuum.ts'
export { createParquetEncoder } from './parquet/file-encoder.ts'
export * from './parquet/parquet-encoder.ts'
export { type OpenParquetOptions, openParquet, type ParquetFile } from './parquet/parquet-reader.ts'
export {
  formatPartitionValue,
  normalizePartitionValue,
  type PartitionValue,
  parsePartitionValue,
} from './partition-value.ts'
export { assertReadable, assertWritable, SNAPSHOT_READER_FEATURES } from './protocol.ts'
export { type Runtime, systemRuntime, withinTime } from './runtime.ts'
export * from './schema.ts'
export {
  formatDataType,
  formatSchemaString,
  isPartitionType,
  nameProblem,
  parseSchemaString,
  type SchemaLeaf,
  schemaLeaves,
  validateTableSchema,
} from './schema-codec.ts'
export {
  evolvedState,
  evolveTable,
  type MergeOptions,
  mergeSchemas,
  type SchemaChange,
  type SchemaIncompatible,
  type SchemaMerge,
  type TableEvolution,
} from './schema-evolution.ts'
export { projectSchema } from './schema-projection.ts'
export { type LoadSnapshotOptions, loadSnapshot, Snapshot } from './snapshot.ts'
export {
  collectStatistics,
  formatStatistics,
  parseStatistics,
  type Statistics,
  statisticsOptionsOf,
} from './statistics.ts'
export {
  CONDITIONAL_PUT_MARKER_KEY,
  type EnsureOptions,
  ensureConditionalPut,
  type ProveOptions,
  proveConditionalPut,
} from './store/atomicity-probe.ts'
export { createBucket, createDirectory } from './store/create-root.ts'
export { LocalObjectStore, type LocalStoreOptions } from './store/local.ts'
export { MemoryObjectStore, type MemoryStoreOptions } from './store/memory.ts'
export { compareKeys } from './store/object-key.ts'
export * from './store/object-store.ts'
export { type OpenStoreOptions, openStore } from './store/open-store.ts'
export { S3ObjectStore, type S3StoreOptions } from './store/s3.ts'
export type { S3ConnectionOptions, S3Credentials, S3Retry } from './store/s3-connection.ts'
export * from './store/store-fault.ts'
export { tableExists } from './table-exists.ts'
export { type TablePropertyName, tableProperty } from './table-property.ts'
export type { FileTotals, TableState } from './table-state.ts'
export { removeOf } from './tombstone.ts'
export { assertRemovable, type CommitEvents, type CommitOutcome, type CommitRequest } from './transaction.ts'
export { widerType } from './type-widening.ts'
