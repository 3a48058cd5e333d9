/**
 * What is in the bucket, looked at without the process that wrote it.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { DeltaTable, type ObjectInfo, S3ObjectStore } from '@stream-ingest/delta'
import { readTable, type TableReading } from '../../../../scripts/stack/readers.ts'
import { parseAppId } from '../../src/pipeline/start-position.ts'
import { CONSUMER_GROUP, PREFIX, parts } from './real-parts.ts'

export function tableUri(table: string): string {
  return `s3://${parts.bucket}/${PREFIX}/${table}`
}

/** The store of a table's folder, for the time of one look. */
export async function inTable<T>(table: string, look: (store: S3ObjectStore) => Promise<T>): Promise<T> {
  const store = new S3ObjectStore({
    bucket: parts.bucket,
    prefix: `${PREFIX}/${table}`,
    region: 'us-east-1',
    endpoint: parts.s3.endpoint,
    forcePathStyle: true,
    credentials: { accessKeyId: parts.s3.accessKey, secretAccessKey: parts.s3.secretKey },
  })
  try {
    return await look(store)
  } finally {
    await store.close()
  }
}

/** Every object of the table's folder. */
export async function listTable(table: string): Promise<ObjectInfo[]> {
  return inTable(table, async store => {
    const objects: ObjectInfo[] = []
    for await (const object of store.list('')) objects.push(object)
    return objects
  })
}

export interface TableProgress {
  readonly version: number
  readonly appIds: readonly string[]
  /** By topic id, then by topic partition. */
  readonly nextOffsets: ReadonlyMap<string, ReadonlyMap<number, bigint>>
}

/** The offsets that the table holds; null where there is no table. */
export async function tableProgress(table: string): Promise<TableProgress | null> {
  const opened = await inTable(table, store => DeltaTable.open(store))
  if (opened === null) return null
  const { version, txns } = opened.state
  const nextOffsets = new Map<string, Map<number, bigint>>()
  for (const [appId, txn] of txns) {
    const parsed = parseAppId(CONSUMER_GROUP, appId)
    assert(parsed !== null, `${appId} is of this pipeline`)
    const ofTopic = nextOffsets.get(parsed.topicId) ?? new Map<number, bigint>()
    nextOffsets.set(parsed.topicId, ofTopic.set(parsed.partition, txn.version))
  }
  return { version, appIds: [...txns.keys()], nextOffsets }
}

/** The offsets of a table that holds those of one topic, in the order of its partitions. */
export async function nextOffsetsOf(table: string): Promise<bigint[]> {
  const progress = await tableProgress(table)
  assert(progress !== null, `${table} exists`)
  assert.equal(progress.nextOffsets.size, 1, 'of one topic')
  const [offsets] = progress.nextOffsets.values()
  return [...offsets!].sort(([left], [right]) => left - right).map(([, offset]) => offset)
}

/** What delta-rs and DuckDB see, reading from the S3 server. */
export async function readBoth(
  table: string,
  options: { readonly appIds?: readonly string[]; readonly checkStatistics?: boolean } = {},
): Promise<readonly TableReading[]> {
  const readings = await readTable({ python: parts.python, uri: tableUri(table), s3: parts.s3, ...options })
  assert.deepEqual(
    readings.map(reading => reading.engine),
    ['delta-rs', 'duckdb'],
  )
  return readings
}
