/**
 * The actions of the Delta log: one JSON object with exactly one of these keys per line of a commit.
 *
 * PROTOCOL.md › Actions. Field names are the wire's. Longs that are counts, sizes, versions or times are `number`
 * (checked to be safe integers when read); longs whose whole range is used (`txn.version`, row ids) are `bigint`.
 *
 * @module
 */

export interface Protocol {
  readonly minReaderVersion: number
  readonly minWriterVersion: number
  /** Present exactly where `minReaderVersion` is 3. */
  readonly readerFeatures?: readonly string[]
  /** Present exactly where `minWriterVersion` is 7. */
  readonly writerFeatures?: readonly string[]
}

export interface Metadata {
  /** Constant for the life of the table. */
  readonly id: string
  readonly name?: string
  readonly description?: string
  readonly format: { readonly provider: string; readonly options: Readonly<Record<string, string>> }
  readonly schemaString: string
  /** Logical names, also under column mapping. */
  readonly partitionColumns: readonly string[]
  readonly createdTime?: number
  readonly configuration: Readonly<Record<string, string>>
}

export interface DeletionVectorDescriptor {
  readonly storageType: 'u' | 'i' | 'p'
  readonly pathOrInlineDv: string
  readonly offset?: number
  readonly sizeInBytes: number
  readonly cardinality: number
}

/** A file that is part of the table. `path` is as it stands in the log: percent-encoded, relative or absolute. */
export interface Add {
  readonly path: string
  readonly partitionValues: Readonly<Record<string, string | null>>
  readonly size: number
  readonly modificationTime: number
  readonly dataChange: boolean
  /** JSON text, kept as it came. */
  readonly stats?: string
  readonly tags?: Readonly<Record<string, string | null>>
  readonly deletionVector?: DeletionVectorDescriptor
  readonly baseRowId?: bigint
  readonly defaultRowCommitVersion?: number
  readonly clusteringProvider?: string
}

/** A file that is no longer part of the table: the tombstone. `path` is byte for byte the one of its `add`. */
export interface Remove {
  readonly path: string
  readonly deletionTimestamp?: number
  readonly dataChange: boolean
  readonly extendedFileMetadata?: boolean
  readonly partitionValues?: Readonly<Record<string, string | null>>
  readonly size?: number
  readonly stats?: string
  readonly tags?: Readonly<Record<string, string | null>>
  readonly deletionVector?: DeletionVectorDescriptor
  readonly baseRowId?: bigint
  readonly defaultRowCommitVersion?: number
}

/** An application's own progress, committed with its data: for us the next Kafka offset of one topic partition. */
export interface Txn {
  readonly appId: string
  readonly version: bigint
  readonly lastUpdated?: number
}

export interface DomainMetadata {
  readonly domain: string
  readonly configuration: string
  readonly removed: boolean
}

/** Free-form; these are the fields that readers know. `operationMetrics` are strings on the wire. */
export interface CommitInfo {
  readonly timestamp?: number
  readonly inCommitTimestamp?: number
  readonly operation?: string
  readonly operationParameters?: Readonly<Record<string, unknown>>
  readonly readVersion?: number
  readonly isolationLevel?: string
  readonly isBlindAppend?: boolean
  readonly operationMetrics?: Readonly<Record<string, string>>
  readonly engineInfo?: string
  readonly txnId?: string
  readonly tags?: Readonly<Record<string, string>>
  readonly userMetadata?: string
  readonly [other: string]: unknown
}

export interface Cdc {
  readonly path: string
  readonly partitionValues: Readonly<Record<string, string | null>>
  readonly size: number
  readonly dataChange: false
  readonly tags?: Readonly<Record<string, string | null>>
}

/** V2 checkpoints only. */
export interface CheckpointMetadata {
  readonly version: number
  readonly tags?: Readonly<Record<string, string>>
}

/** V2 checkpoints only. */
export interface Sidecar {
  readonly path: string
  readonly sizeInBytes: number
  readonly modificationTime: number
  readonly tags?: Readonly<Record<string, string>>
}

export type Action =
  | { readonly commitInfo: CommitInfo }
  | { readonly protocol: Protocol }
  | { readonly metaData: Metadata }
  | { readonly txn: Txn }
  | { readonly domainMetadata: DomainMetadata }
  | { readonly add: Add }
  | { readonly remove: Remove }
  | { readonly cdc: Cdc }
  | { readonly checkpointMetadata: CheckpointMetadata }
  | { readonly sidecar: Sidecar }
