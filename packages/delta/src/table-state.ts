/**
 * What a writer must know of a table at one version, without its list of files.
 *
 * @module
 */
import type { DomainMetadata, Metadata, Protocol, Txn } from './action.ts'
import type { StructType } from './schema.ts'

/** Sums over the live files, as `.crc` carries them; unknown where no checksum or full replay gave them. */
export interface FileTotals {
  readonly numFiles: number
  readonly sizeBytes: number
}

/** The table at `version`. Immutable: a commit makes the next one. */
export interface TableState {
  readonly version: number
  readonly protocol: Protocol
  readonly metadata: Metadata
  /** `metadata.schemaString`, parsed. */
  readonly schema: StructType
  /** Latest `txn` of each appId, expired ones left out. */
  readonly txns: ReadonlyMap<string, Txn>
  /** Without removed domains. */
  readonly domainMetadata: ReadonlyMap<string, DomainMetadata>
  /** Of this version's commit; null where the table has no in-commit timestamps. */
  readonly inCommitTimestampMs: number | null
  /** Version of the newest complete checkpoint known; null where there is none. */
  readonly checkpointVersion: number | null
  readonly fileTotals: FileTotals | null
}
