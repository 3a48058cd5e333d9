/**
 * Delta Lake for Node: log, snapshots, transactions, checkpoints, Parquet, object stores.
 *
 * @module
 */
export type * from './action.ts'
export { civilFromDays, daysFromCivil } from './calendar.ts'
export { DELTA_ERRORS, type DeltaErrorCode, type DeltaErrorOptions, DeltaLakeError } from './error.ts'
export { createParquetEncoder } from './parquet/file-encoder.ts'
export * from './parquet/parquet-encoder.ts'
export { formatPartitionValue, isPartitionType, type PartitionValue } from './partition-value.ts'
export * from './schema.ts'
export {
  CONDITIONAL_PUT_MARKER_KEY,
  type EnsureOptions,
  ensureConditionalPut,
  type ProveOptions,
  proveConditionalPut,
} from './store/atomicity-probe.ts'
export { LocalObjectStore, type LocalStoreOptions } from './store/local.ts'
export { MemoryObjectStore, type MemoryStoreOptions } from './store/memory.ts'
export { compareKeys } from './store/object-key.ts'
export * from './store/object-store.ts'
export { type OpenStoreOptions, openStore } from './store/open-store.ts'
export { S3ObjectStore, type S3StoreOptions } from './store/s3.ts'
export type { S3ConnectionOptions, S3Credentials } from './store/s3-connection.ts'
export * from './store/store-fault.ts'
export type { FileTotals, TableState } from './table-state.ts'
