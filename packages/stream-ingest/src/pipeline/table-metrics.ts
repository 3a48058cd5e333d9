/**
 * What a table holds, in numbers.
 *
 * @module
 */
import { loadSnapshot, type ObjectStore, parseStatistics } from '@stream-ingest/delta'

export interface TableMetrics {
  readonly version: number
  readonly numFiles: number
  readonly sizeBytes: number
  /** Null where a file does not say how many rows it has. */
  readonly numRows: number | null
  readonly checkpointVersion: number | null
  readonly partitionColumns: readonly string[]
  /** Next offset by app id (`<pipeline>:<topic id>:<partition>`), those of other pipelines included. */
  readonly nextOffsets: ReadonlyMap<string, bigint>
}

/**
 * Reads the newest version with its list of files, which is never in memory as a whole.
 *
 * @returns null where there is no table
 */
export async function readTableMetrics(store: ObjectStore, nowMs: number): Promise<TableMetrics | null> {
  const snapshot = await loadSnapshot(store, { nowMs })
  if (snapshot === null) return null
  let numFiles = 0
  let sizeBytes = 0
  let numRows: number | null = 0
  for await (const { size, stats, deletionVector } of snapshot.files()) {
    numFiles++
    sizeBytes += size
    const inFile = stats === undefined ? undefined : parseStatistics(stats)?.numRecords
    numRows =
      numRows === null || inFile === undefined ? null : numRows + inFile - (deletionVector?.cardinality ?? 0)
  }
  const { version, checkpointVersion, metadata, txns } = snapshot.state
  return {
    version,
    numFiles,
    sizeBytes,
    numRows,
    checkpointVersion,
    partitionColumns: metadata.partitionColumns,
    nextOffsets: new Map(Array.from(txns, ([appId, txn]) => [appId, txn.version])),
  }
}
