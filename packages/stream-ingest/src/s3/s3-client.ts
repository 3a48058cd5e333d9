/**
 * `S3Client`: the place where tables live, a bucket or a directory, and what people ask of it.
 *
 * @module
 */
import {
  createBucket,
  createDirectory,
  formatSchemaString,
  LOG_PREFIX,
  loadTableState,
  type ObjectStore,
  type Runtime,
  type S3ConnectionOptions,
  systemRuntime,
  type TableState,
  tableExists,
  type VacuumOptions,
  vacuumTable,
  withinTime,
} from '@stream-ingest/delta'
import type { ProcessingConfig, S3Config } from '../config/ingest-config.ts'
import { tablePath } from '../config/table-path.ts'
import { DeltaError, S3Error, StreamIngestError } from '../error.ts'
import { openLakeStore, s3StoreOptions } from './lake-store.ts'

/** A bucket may need a moment until requests find it. */
const BUCKET_APPEARS_ATTEMPTS_MAX = 10
const BUCKET_APPEARS_DELAY_MS = 500

/** Objects that {@link S3Client.getBucketMetrics} counts: a thousand requests on S3. */
export const METRICS_OBJECTS_MAX = 1_000_000

/** A store that has not answered by then is not healthy. */
export const HEALTH_TIMEOUT_MS = 10_000

const DAY_MS = 24 * 60 * 60 * 1000
/** `processing.max_retries` where the client is made without it. */
const RETRIES_MAX_DEFAULT = 3

export interface S3ClientOptions {
  readonly runtime?: Runtime
  /** `processing.max_retries`; 3 by default. */
  readonly processing?: Pick<ProcessingConfig, 'maxRetries'>
  /** In place of the configured one, rooted where the tables' folders are. It is taken as it is: nothing creates it. */
  readonly store?: ObjectStore
  /** Around whichever store is used: fault injection. */
  readonly wrapStore?: (store: ObjectStore) => ObjectStore
  /** Told of each request to S3 that is repeated. Must not throw. */
  readonly onRetry?: S3ConnectionOptions['onRetry']
}

export interface S3Health {
  readonly ok: boolean
  /** Where the tables' folders are. */
  readonly uri: string
  readonly durationMs: number
  /** Why not; null where `ok`. */
  readonly error: StreamIngestError | null
}

/** Every method that makes requests throws a {@link StreamIngestError}, an {@link S3Error} where the store refused. */
export class S3Client {
  /** Rooted where the tables' folders are. */
  readonly store: ObjectStore
  private readonly config: S3Config
  private readonly options: S3ClientOptions
  private readonly runtime: Runtime
  private readonly processing: Pick<ProcessingConfig, 'maxRetries'>

  /** Makes no request. */
  constructor(config: S3Config, options: S3ClientOptions = {}) {
    this.config = config
    this.options = options
    this.runtime = options.runtime ?? systemRuntime
    this.processing = options.processing ?? { maxRetries: RETRIES_MAX_DEFAULT }
    const store = options.store ?? openLakeStore(config, this.processing, options.onRetry)
    this.store = options.wrapStore?.(store) ?? store
  }

  /**
   * Verifies that the bucket is there and may be listed. A missing one is created with `s3.create_bucket: true`, a
   * missing directory always.
   *
   * @throws S3Error `STORE_BUCKET_NOT_FOUND`, `STORE_ACCESS_DENIED`, `STORE_CREDENTIALS`, `STORE_REGION`,
   *   `STORE_UNAVAILABLE`
   */
  async ensureBucketExists(): Promise<void> {
    await translated(async () => {
      if (this.config.kind === 'local' && this.options.store === undefined) {
        await createDirectory(this.config.path)
      }
      for (let attempt = 1; !(await this.bucketExists(attempt)); attempt++) {
        await this.createBucket()
        // The next look comes at once the first time: most servers show a new bucket immediately.
        if (attempt > 1) await this.runtime.delay(BUCKET_APPEARS_DELAY_MS)
      }
    })
  }

  /** Names of the tables right below the prefix, in byte order. Two requests for each folder there. */
  async listDeltaTables(): Promise<string[]> {
    return translated(async () => {
      const names: string[] = []
      for (let name = await this.folderAfter(''); name !== null; name = await this.folderAfter(name)) {
        if (await tableExists(this.store.at(name))) names.push(name)
      }
      return names
    })
  }

  /** Whether there is a table of this name: a log with a commit or a checkpoint. */
  async checkDeltaTableExists(tableName: string): Promise<boolean> {
    return translated(() => tableExists(this.tableStore(tableName)))
  }

  /**
   * What the newest version says of the table, as text: `id`, `name`, `description`, `version`, `createdAt`, `format`,
   * `schema` (JSON), `partitionColumns` (JSON), `minReaderVersion`, `minWriterVersion`, `readerFeatures`,
   * `writerFeatures` (JSON), `numFiles` and `sizeBytes` where they are known without reading the list of files,
   * `checkpointVersion`, `uri`, and each table property as `property.<key>`. What the table does not have is left out.
   *
   * @throws DeltaError `DELTA_TABLE_NOT_FOUND` and what else a log can be refused for
   */
  async getTableMetadata(tableName: string): Promise<Record<string, string>> {
    return translated(async () => {
      const store = this.tableStore(tableName)
      const state = await loadTableState(store, { nowMs: this.runtime.now() })
      if (state === null) throw tableNotFound(this.getTableUri(tableName))
      return { uri: this.getTableUri(tableName), ...describeTable(state) }
    })
  }

  /**
   * Deletes files that are no part of the table and have not been for `retentionDays` (VACUUM). Never a live file, and
   * never one younger than a day: a writer may be about to commit it.
   *
   * @param options `allowShortRetention` for less than the table's `delta.deletedFileRetentionDuration`
   * @returns how many went, or in a dry run would go
   * @throws DeltaError `DELTA_RETENTION_TOO_SHORT`, `DELTA_TABLE_NOT_FOUND`, `DELTA_PROTOCOL_UNSUPPORTED`
   */
  async cleanupOldFiles(
    tableName: string,
    retentionDays: number,
    options: Pick<VacuumOptions, 'allowShortRetention' | 'dryRun' | 'signal'> = {},
  ): Promise<number> {
    const vacuum = { ...options, retentionMs: retentionDays * DAY_MS, runtime: this.runtime }
    const result = await translated(() => vacuumTable(this.tableStore(tableName), vacuum))
    return result.filesDeleted
  }

  /**
   * What lies below the prefix, by listing all of it: `uri`, `bucket` and `region` of a bucket, `tableCount`,
   * `objectCount`, `sizeBytes`, `lastModifiedAt` of the newest object. `complete` is `false` where the listing ended at
   * {@link METRICS_OBJECTS_MAX} objects.
   */
  async getBucketMetrics(): Promise<Record<string, string>> {
    return translated(async () => {
      let objectCount = 0
      let sizeBytes = 0
      let lastModifiedMs = 0
      const tables = new Set<string>()
      for await (const object of this.store.list('')) {
        if (objectCount === METRICS_OBJECTS_MAX) return this.describeBucket(false, { objectCount, sizeBytes })
        objectCount++
        sizeBytes += object.sizeBytes
        lastModifiedMs = Math.max(lastModifiedMs, object.lastModifiedMs)
        const slash = object.key.indexOf('/')
        if (object.key.startsWith(LOG_PREFIX, slash + 1)) tables.add(object.key.slice(0, slash))
      }
      return this.describeBucket(true, {
        tableCount: tables.size,
        objectCount,
        sizeBytes,
        ...(objectCount === 0 ? {} : { lastModifiedAt: new Date(lastModifiedMs).toISOString() }),
      })
    })
  }

  /** One request, which reads only, within {@link HEALTH_TIMEOUT_MS}. Never throws for an operational failure. */
  async healthCheck(): Promise<S3Health> {
    const startedMs = this.runtime.monotonicMs()
    let error: StreamIngestError | null = null
    try {
      const overdue = (): S3Error =>
        new S3Error('STORE_UNAVAILABLE', `${this.store.uri} did not answer within ${HEALTH_TIMEOUT_MS} ms`)
      await withinTime(this.runtime, HEALTH_TIMEOUT_MS, signal => this.probe(signal), overdue)
    } catch (thrown) {
      error = StreamIngestError.from(thrown)
    }
    const durationMs = this.runtime.monotonicMs() - startedMs
    return { ok: error === null, uri: this.store.uri, durationMs, error }
  }

  /** `s3://bucket/prefix/table`, or the path in the file system. */
  getTableUri(tableName: string): string {
    return tablePath(this.config, tableName)
  }

  /** The store of one table's folder. */
  tableStore(tableName: string): ObjectStore {
    if (/^\/*$/.test(tableName)) throw new S3Error('STORE_KEY_INVALID', 'the name of the table is empty')
    return this.store.at(tableName)
  }

  /** Gives up connections; nothing that came from this client may be used afterwards. */
  async close(): Promise<void> {
    await this.store.close()
  }

  /** Asks for the first page of a listing: what reading a log needs, so that its refusal names the right permission. */
  private async probe(signal?: AbortSignal): Promise<void> {
    for await (const _ of this.store.list('', signal === undefined ? {} : { signal })) return
  }

  /** False where it is missing and worth another look. */
  private async bucketExists(attempt: number): Promise<boolean> {
    try {
      await this.probe()
      return true
    } catch (error) {
      const { code } = StreamIngestError.from(error)
      if (code !== 'STORE_BUCKET_NOT_FOUND' || !this.createsBucket) throw error
      if (attempt >= BUCKET_APPEARS_ATTEMPTS_MAX) throw error
      return false
    }
  }

  private get createsBucket(): boolean {
    return this.config.kind === 's3' && this.config.createBucket && this.options.store === undefined
  }

  /** Asking again is harmless, so that a race with another process is left to the next look. */
  private async createBucket(): Promise<void> {
    if (this.config.kind !== 's3') return
    try {
      await createBucket(s3StoreOptions(this.config, this.processing))
    } catch (error) {
      if (!StreamIngestError.from(error).isRetryable()) throw error
    }
  }

  /** The first folder behind this one; the empty name is before all. */
  private async folderAfter(name: string): Promise<string | null> {
    // `0` is the character after `/`: all of a folder's keys are before its name with a `0`.
    const startAfter = name === '' ? {} : { startAfter: `${name}0` }
    for await (const { key } of this.store.list('', startAfter)) {
      const slash = key.indexOf('/')
      if (slash > 0) return key.slice(0, slash)
    }
    return null
  }

  private describeBucket(
    complete: boolean,
    facts: Readonly<Record<string, string | number>>,
  ): Record<string, string> {
    const { config } = this
    const place = config.kind === 's3' ? { bucket: config.bucket, region: config.region } : {}
    return textOf({ uri: this.store.uri, ...place, ...facts, complete: String(complete) })
  }
}

function tableNotFound(uri: string): StreamIngestError {
  return new DeltaError('DELTA_TABLE_NOT_FOUND', `there is no Delta table at ${uri}`, { context: { uri } })
}

function describeTable({
  version,
  protocol,
  metadata,
  schema,
  fileTotals,
  checkpointVersion,
}: TableState): Record<string, string> {
  const properties = Object.entries(metadata.configuration).map(([key, value]) => [`property.${key}`, value])
  return textOf({
    id: metadata.id,
    name: metadata.name,
    description: metadata.description,
    version,
    createdAt: metadata.createdTime === undefined ? undefined : new Date(metadata.createdTime).toISOString(),
    format: metadata.format.provider,
    schema: formatSchemaString(schema),
    partitionColumns: JSON.stringify(metadata.partitionColumns),
    minReaderVersion: protocol.minReaderVersion,
    minWriterVersion: protocol.minWriterVersion,
    readerFeatures: protocol.readerFeatures && JSON.stringify(protocol.readerFeatures),
    writerFeatures: protocol.writerFeatures && JSON.stringify(protocol.writerFeatures),
    numFiles: fileTotals?.numFiles,
    sizeBytes: fileTotals?.sizeBytes,
    checkpointVersion: checkpointVersion ?? undefined,
    ...Object.fromEntries(properties),
  })
}

function textOf(facts: Readonly<Record<string, string | number | undefined>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(facts).flatMap(([name, value]) => (value === undefined ? [] : [[name, String(value)]])),
  )
}

async function translated<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw StreamIngestError.from(error)
  }
}
