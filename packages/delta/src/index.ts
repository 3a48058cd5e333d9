/**
 * Delta Lake for Node: log, snapshots, transactions, checkpoints, Parquet, object stores.
 *
 * @module
 */
export type * from './action.ts'
export { DELTA_ERRORS, type DeltaErrorCode, type DeltaErrorOptions, DeltaLakeError } from './error.ts'
export * from './parquet/parquet-encoder.ts'
export * from './schema.ts'
export * from './store/object-store.ts'
export type { FileTotals, TableState } from './table-state.ts'
