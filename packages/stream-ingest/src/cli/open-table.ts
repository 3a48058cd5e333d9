/**
 * Which table a command means: a path, a `file://` or `s3://` URI, or a configuration file with a pipeline in it.
 *
 * @module
 */
import {
  DeltaLakeError,
  loadSnapshot,
  type ObjectStore,
  type OpenForeignStore,
  type OpenStoreOptions,
  openStore,
  type Snapshot,
} from '@stream-ingest/delta'
import { ConfigError } from '../error.ts'
import { openQuarantineStore, openTableStore, quarantineTableName } from '../pipeline/table-store.ts'
import type { CommandIo } from './command-io.ts'
import { loadConfig, pipelineOf } from './load-config.ts'

export interface TableOptions {
  /** With a configuration of several pipelines: which one. */
  readonly pipeline?: string
  /** Of an S3-compatible server. Default: `AWS_ENDPOINT_URL_S3`, `AWS_ENDPOINT_URL`. */
  readonly endpoint?: string
  /** Default: `AWS_REGION`, `AWS_DEFAULT_REGION`, else us-east-1. */
  readonly region?: string
  /** Default: the newest. */
  readonly version?: number
  /** In place of `version`: the newest version of this time (epoch milliseconds) or before. */
  readonly at?: number
}

export interface OpenedStore {
  /** Rooted at the table. */
  readonly store: ObjectStore
  /** Opens what lies outside of the table, by the same credentials. */
  readonly openForeign: OpenForeignStore
  /** Gives up connections. */
  close(): Promise<void>
}

export interface OpenedTable extends OpenedStore {
  readonly snapshot: Snapshot
}

const CONFIG_FILE = /\.(?:ya?ml|json)$/i
const REGION_DEFAULT = 'us-east-1'

/**
 * Opens a table for reading.
 *
 * @param table as it was named on the command line
 * @throws DeltaLakeError `DELTA_TABLE_NOT_FOUND`, `STORE_URI_INVALID`, and what loading a snapshot throws; ConfigError
 */
export async function openTable(table: string, options: TableOptions, io: CommandIo): Promise<OpenedTable> {
  const opened = await openStoreOf(table, options, io)
  const { store } = opened
  try {
    const snapshot = await loadSnapshot(store, {
      nowMs: io.runtime.now(),
      ...wantedVersion(options),
    })
    if (snapshot === null) {
      throw new DeltaLakeError('DELTA_TABLE_NOT_FOUND', `there is no Delta table at \`${store.uri}\``, {
        context: { table: store.uri },
      })
    }
    return { ...opened, snapshot }
  } catch (error) {
    await opened.close()
    throw error
  }
}

/** @throws ConfigError `CONFIG_USAGE` where both are asked for */
function wantedVersion({ version, at }: TableOptions): { version?: number; timestampMs?: number } {
  if (version !== undefined && at !== undefined) {
    throw new ConfigError('CONFIG_USAGE', '`--version` and `--at` cannot both be given', {
      hint: 'name a version or a time',
    })
  }
  return {
    ...(version === undefined ? {} : { version }),
    ...(at === undefined ? {} : { timestampMs: at }),
  }
}

/**
 * Opens the store of a table, whether or not there is one.
 *
 * @param table as it was named on the command line
 * @throws DeltaLakeError `STORE_URI_INVALID`; ConfigError
 */
export async function openStoreOf(table: string, options: TableOptions, io: CommandIo): Promise<OpenedStore> {
  const storeOptions = openStoreOptions(options, io)
  const store = await findStore(table, options, storeOptions, io)
  const foreign: ObjectStore[] = []
  return {
    store,
    openForeign: foreignStores(storeOptions, foreign),
    async close() {
      for (const opened of [store, ...foreign]) await opened.close()
    },
  }
}

/** The stores of a table and of its quarantine. */
export interface OpenedQuarantine {
  readonly table: ObjectStore
  readonly quarantine: ObjectStore
  /** Of the pipeline, where a configuration names it. */
  readonly pipelineId: string | null
  /** Gives up connections. */
  close(): Promise<void>
}

/**
 * Opens the stores of a table and of its quarantine, whether or not they are there.
 *
 * @param table as it was named on the command line, the table or its quarantine; without a name the configuration that
 *   commands take
 * @throws DeltaLakeError `STORE_URI_INVALID`; ConfigError
 */
export async function openQuarantineOf(
  table: string | undefined,
  options: TableOptions,
  io: CommandIo,
): Promise<OpenedQuarantine> {
  const opened = await findQuarantine(table, options, io)
  return {
    ...opened,
    async close() {
      await opened.table.close()
      await opened.quarantine.close()
    },
  }
}

async function findQuarantine(
  table: string | undefined,
  options: TableOptions,
  io: CommandIo,
): Promise<Omit<OpenedQuarantine, 'close'>> {
  if (table === undefined || CONFIG_FILE.test(table)) {
    const pipeline = pipelineOf(await loadConfig(table, io), options.pipeline)
    const { pipelineId } = pipeline
    return { table: openTableStore(pipeline), quarantine: openQuarantineStore(pipeline), pipelineId }
  }
  const storeOptions = openStoreOptions(options, io)
  const place = table.replace(/\/+$/, '').replace(/_quarantine$/, '')
  return {
    table: openStore(place, storeOptions),
    quarantine: openStore(quarantineTableName(place), storeOptions),
    pipelineId: null,
  }
}

/** One store per folder, however many files of it the table names. */
function foreignStores(options: OpenStoreOptions, opened: ObjectStore[]): OpenForeignStore {
  const byFolder = new Map<string, ObjectStore>()
  return folderUri => {
    let store = byFolder.get(folderUri)
    if (store === undefined) {
      // Engines on Hadoop write the same bucket with another scheme.
      store = openStore(folderUri.replace(/^s3[an]:/, 's3:'), options)
      byFolder.set(folderUri, store)
      opened.push(store)
    }
    return store
  }
}

async function findStore(
  table: string,
  options: TableOptions,
  storeOptions: OpenStoreOptions,
  io: CommandIo,
): Promise<ObjectStore> {
  if (!CONFIG_FILE.test(table)) return openStore(table, storeOptions)
  return openTableStore(pipelineOf(await loadConfig(table, io), options.pipeline))
}

function openStoreOptions({ endpoint, region }: TableOptions, { env, cwd }: CommandIo): OpenStoreOptions {
  const address = endpoint ?? env.AWS_ENDPOINT_URL_S3 ?? env.AWS_ENDPOINT_URL
  const { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey } = env
  return {
    workingDirectory: cwd,
    s3: {
      region: region ?? env.AWS_REGION ?? env.AWS_DEFAULT_REGION ?? REGION_DEFAULT,
      // Servers other than AWS seldom have a name for each bucket.
      ...(address === undefined ? {} : { endpoint: address, forcePathStyle: true }),
      // Without them the SDK's chain decides: profile, container, instance.
      ...(accessKeyId === undefined || secretAccessKey === undefined
        ? {}
        : { credentials: { accessKeyId, secretAccessKey, sessionToken: env.AWS_SESSION_TOKEN } }),
    },
  }
}
