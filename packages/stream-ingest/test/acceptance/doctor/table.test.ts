/** `doctor` and tables that cannot be written, or that fare badly, with real Kafka; one of them on the real S3 server. */
import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { openStore, S3ObjectStore } from '@stream-ingest/delta'
import type { ConfigParts } from '../../cli/command-harness.ts'
import {
  type BrokenEnvironment,
  ingested,
  parts,
  type Scene,
  s3Section,
  testEnvironments,
} from './broken-environment.ts'

const commitName = (version: number): string => `_delta_log/${String(version).padStart(20, '0')}.json`

/** Appends a commit to the log, as another engine would. */
async function commit({ workplace }: Scene, version: number, actions: readonly object[]): Promise<void> {
  const store = openStore(workplace.tablePath)
  const text = actions.map(action => `${JSON.stringify(action)}\n`).join('')
  const outcome = await store.putIfAbsent(commitName(version), Buffer.from(text))
  assert.equal(outcome.status, 'created')
}

/** What version 0 says of the table, with changes. */
async function metadata({ workplace }: Scene, change: (metadata: Metadata) => Metadata): Promise<object> {
  const text = await readFile(join(workplace.tablePath, commitName(0)), 'utf8')
  for (const line of text.split('\n')) {
    if (line.startsWith('{"metaData"')) return { metaData: change(JSON.parse(line).metaData as Metadata) }
  }
  return assert.fail('version 0 has metadata')
}

interface Metadata {
  readonly schemaString: string
  readonly configuration: Readonly<Record<string, string>>
}

const add = (index: number): object => ({
  add: {
    path: `small-${index}.parquet`,
    partitionValues: {},
    size: 1000,
    modificationTime: 0,
    dataChange: true,
  },
})
const remove = (index: number): object => ({
  remove: {
    path: `small-${index}.parquet`,
    deletionTimestamp: Date.now(),
    dataChange: true,
    size: 1_000_000,
  },
})

const KAFKA_IS_SOUND = [/^kafka advertised listeners$/, /^kafka read the newest messages$/]

const ENVIRONMENTS: readonly BrokenEnvironment[] = [
  {
    name: 'a table that is missing and may not be created',
    breakIt: () => ({ delta: { create_table: false } }),
    status: 'fail',
    group: 'table',
    code: 'DELTA_TABLE_NOT_FOUND',
    message: /there is no Delta table at file:.*, and `delta\.create_table` is false/,
    help: /create the table, correct `delta\.table_name`/,
    exitCode: 66,
    stillPasses: KAFKA_IS_SOUND,
    run: { code: 'DELTA_TABLE_NOT_FOUND', retryable: false, exitCode: 66 },
  },
  {
    name: 'a table that is there and must not be',
    breakIt: async scene => {
      await ingested(scene)
      return { delta: { write_mode: 'error_if_exists' } }
    },
    status: 'fail',
    group: 'table',
    code: 'DELTA_TABLE_EXISTS',
    message: /there is a Delta table at/,
    help: /choose another `delta\.table_name`/,
    exitCode: 73,
  },
  {
    name: 'a table with a feature that is not known',
    breakIt: async scene => {
      await ingested(scene)
      const protocol = { minReaderVersion: 1, minWriterVersion: 7, writerFeatures: ['timeTravelOfCheese'] }
      await commit(scene, 2, [{ protocol }])
      return {}
    },
    status: 'fail',
    group: 'table',
    code: 'DELTA_PROTOCOL_UNSUPPORTED',
    title: /^features$/,
    message: /the table needs the writer feature `timeTravelOfCheese`/,
    help: /use an engine that implements the named feature, or drop the feature/,
    exitCode: 65,
    stillPasses: [/^table columns$/, /^kafka offsets$/],
    run: { code: 'DELTA_PROTOCOL_UNSUPPORTED', retryable: false, exitCode: 65 },
  },
  {
    name: 'a column of another type',
    breakIt: async scene => {
      await ingested(scene)
      return { delta: { schema: [{ name: 'id', data_type: 'utf8' }] } }
    },
    status: 'fail',
    group: 'table',
    code: 'TABLE_SCHEMA_MISMATCH',
    title: /^columns$/,
    message: /column `id` is `bigint|long` in the table and `string` in the configuration/,
    help: /make `delta\.schema` fit the table/,
    exitCode: 78,
    stillPasses: [/^table features$/, /^kafka offsets$/],
    run: { code: 'TABLE_SCHEMA_MISMATCH', retryable: false, exitCode: 78 },
  },
  {
    name: 'other partition columns',
    breakIt: async scene => {
      await ingested(scene)
      return { delta: { partition_columns: ['name'] } }
    },
    status: 'fail',
    group: 'table',
    code: 'TABLE_SCHEMA_MISMATCH',
    message: /the table is partitioned by nothing, the configuration says `name`/,
    help: /make `delta\.schema` fit the table/,
    exitCode: 78,
  },
  {
    name: 'a table that forgets offsets',
    breakIt: async scene => {
      await ingested(scene)
      const property = { 'delta.setTransactionRetentionDuration': 'interval 1 day' }
      await commit(scene, 2, [
        await metadata(scene, old => ({ ...old, configuration: { ...old.configuration, ...property } })),
      ])
      return {}
    },
    status: 'fail',
    group: 'table',
    code: 'TABLE_OFFSETS_EXPIRE',
    title: /^offsets are kept$/,
    message: /forgets offsets after `interval 1 day`/,
    help: /unset the table property `delta\.setTransactionRetentionDuration`/,
    exitCode: 65,
    stillPasses: [/^table columns$/],
    run: { code: 'TABLE_OFFSETS_EXPIRE', retryable: false, exitCode: 65 },
  },
  {
    name: 'a log that is damaged',
    breakIt: async scene => {
      await ingested(scene)
      await writeFile(join(scene.workplace.tablePath, commitName(1)), '{"add":')
      return {}
    },
    status: 'fail',
    group: 'table',
    code: 'DELTA_LOG_CORRUPT',
    title: /^log$/,
    message: /00000000000000000001\.json/,
    help: /restore the named log file/,
    exitCode: 65,
    stillPasses: KAFKA_IS_SOUND,
  },
  {
    name: 'no columns at all',
    breakIt: () => ({ delta: { schema: undefined } }),
    status: 'fail',
    group: 'table',
    code: 'CONFIG_INVALID',
    message: /declares no `delta\.schema`, and the table `events` does not exist/,
    help: /declare `delta\.schema`/,
    exitCode: 78,
  },
  {
    name: 'a table of small files',
    breakIt: async scene => {
      await ingested(scene)
      await commit(
        scene,
        2,
        Array.from({ length: 60 }, (_, index) => add(index)),
      )
      return {}
    },
    status: 'warn',
    group: 'table',
    code: 'TABLE_SMALL_FILES',
    message: /^61 of 61 files are under 8\.0 MiB$/,
    help: /`stream-ingest optimize file:.* --dry-run`/,
    exitCode: 0,
  },
  {
    name: 'a table that was never cleaned up',
    breakIt: async scene => {
      await ingested(scene)
      await commit(
        scene,
        2,
        Array.from({ length: 100 }, (_, index) => remove(index)),
      )
      return {}
    },
    status: 'warn',
    group: 'table',
    code: 'TABLE_VACUUM_DUE',
    message: /^100 files of 95\.4 MiB are no part of the table any more/,
    help: /`stream-ingest vacuum file:.* --dry-run`/,
    exitCode: 0,
  },
  {
    name: 'a table without checkpoints',
    breakIt: async scene => {
      await ingested(scene)
      for (let version = 2; version <= 12; version++) {
        await commit(scene, version, [{ commitInfo: { operation: 'WRITE' } }])
      }
      return { delta: { checkpoint_interval: 2 } }
    },
    status: 'warn',
    group: 'table',
    code: 'TABLE_CHECKPOINT_BEHIND',
    message: /^13 commits since the newest checkpoint \(none\); one is due every 2$/,
    help: /run `stream-ingest checkpoint file:/,
    exitCode: 0,
  },
  {
    name: 'another pipeline that reads the same topic into the same table',
    breakIt: async scene => {
      await ingested(scene)
      return { kafka: { consumer_group: 'another-group' } }
    },
    status: 'warn',
    group: 'kafka',
    code: 'TABLE_TOPIC_TWICE',
    title: /^other pipelines$/,
    message: /pipeline `lake` has written offsets of `doctor-.*` to this table/,
    help: /stop one of the two, or give it a table of its own/,
    exitCode: 0,
  },
  {
    name: 'Spark among the writers of a table on S3',
    breakIt: async scene => {
      const s3 = s3Section() as { prefix: string }
      const changes: ConfigParts = { s3 }
      await ingested(scene, changes)
      const store = new S3ObjectStore({
        bucket: parts.bucket,
        prefix: `${s3.prefix}/events`,
        region: 'us-east-1',
        endpoint: parts.s3,
        forcePathStyle: true,
        credentials: { accessKeyId: parts.accessKey, secretAccessKey: parts.secretKey },
      })
      const info = { operation: 'WRITE', engineInfo: 'Apache-Spark/4.0.0 Delta-Lake/4.0.0' }
      await store.put(commitName(2), Buffer.from(`${JSON.stringify({ commitInfo: info })}\n`))
      await store.close()
      return changes
    },
    status: 'warn',
    group: 'table',
    code: 'TABLE_OTHER_WRITERS',
    message: /^`Apache-Spark\/4\.0\.0 Delta-Lake\/4\.0\.0` wrote version 2 \(WRITE\)/,
    help: /have a bucket policy demand `s3:if-none-match`/,
    exitCode: 0,
  },
  {
    name: 'a configuration with a mistake',
    breakIt: () => ({ kafka: { topik: 'events' } as object }),
    status: 'fail',
    group: 'config',
    code: 'CONFIG_UNKNOWN_KEY',
    title: /^pipeline\.yaml:\d+:\d+$/,
    message: /unknown key `topik`/,
    help: /did you mean `topic`/,
    exitCode: 78,
  },
]

testEnvironments('doctor and a table that is not as it should be', ENVIRONMENTS)
