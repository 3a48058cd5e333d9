import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { describe, test } from 'node:test'
import type { KafkaProducer } from '../../../../scripts/kafka-producer.ts'
import type { ColumnReading, TableReading } from '../../../../scripts/stack/readers.ts'
import { COMPRESSION_CODECS, type CompressionCodec } from '../../src/kafka/compression.ts'
import {
  type GeneratedMessage,
  generateMessages,
  type MessageSummary,
  MessageSummaryBuilder,
} from '../../src/testing/generate-messages.ts'
import { ingest } from './ingest-process.ts'
import { nextOffsetsOf, readBoth, tableProgress } from './lake-table.ts'
import { openScene, skip } from './real-parts.ts'

const PARTITIONS = 4
/** A million in all. A million for each codec takes half a minute for each on an idle machine of two cores. */
const MESSAGES = Number(process.env.ACCEPTANCE_MESSAGES ?? 200_000)
/** Whatever their number, the messages span several days: several table partitions. */
const SPAN_MS = 250_000_000
const MS_PER_DAY = 86_400_000
const BATCH_SIZE = 1000

const openTestScene = openScene()

describe('the example, from real Kafka to the real S3 server', { skip }, () => {
  for (const codec of COMPRESSION_CODECS) {
    test(`${MESSAGES} messages in ${codec} batches over ${PARTITIONS} partitions are all in the table, for delta-rs and DuckDB (ACCEPTANCE_MESSAGES: how many)`, async t => {
      const { producer, configFile } = await openTestScene()
      const topic = `user-events-${codec}-${randomUUID()}`
      const table = `user_events_${codec}`
      const { summary, counts } = await fill(producer, topic, codec)
      const run = await ingest(configFile({ topic, table }))
      assert.equal(run.metrics.rows, MESSAGES)
      assert.equal(run.batchesProcessed, Math.ceil(MESSAGES / BATCH_SIZE))
      assert.deepEqual(await nextOffsetsOf(table), counts.map(BigInt))
      const readStartedMs = performance.now()
      const progress = await tableProgress(table)
      const readings = await readBoth(table, { appIds: progress!.appIds, checkStatistics: true })
      for (const reading of readings) {
        assertRows(reading, summary, topic, counts)
        const versions = progress!.appIds.map(appId => reading.txns[appId])
        assert.deepEqual(versions, endOffsetsInOrderOf(progress!.appIds, counts))
      }
      const duckdb = readings[1]
      assert.deepEqual(duckdb?.statisticsProblems, [])
      assert.ok(
        duckdb?.statisticsFileCount !== undefined && duckdb.statisticsFileCount >= MESSAGES / BATCH_SIZE,
      )
      // Bounds of all seven columns that are not the partition's, in every file.
      assert.equal(duckdb?.statisticsBoundCount, duckdb.statisticsFileCount * 7 * 2)
      const readMs = Math.round(performance.now() - readStartedMs)
      t.diagnostic(`ingested in ${run.processingTimeMs} ms, read and checked in ${readMs} ms`)
    })
  }
})

async function fill(
  producer: KafkaProducer,
  topic: string,
  codec: CompressionCodec,
): Promise<{ summary: MessageSummary; counts: readonly number[] }> {
  const builder = new MessageSummaryBuilder()
  await producer.createTopic(topic, PARTITIONS)
  const counts = await producer.fill(topic, PARTITIONS, summarized(builder), { codec })
  return { summary: builder.summary(), counts }
}

function* summarized(builder: MessageSummaryBuilder): Generator<GeneratedMessage> {
  const intervalMs = Math.floor(SPAN_MS / MESSAGES)
  for (const message of generateMessages({ seed: 1, count: MESSAGES, intervalMs })) {
    builder.add(message)
    yield message
  }
}

function endOffsetsInOrderOf(appIds: readonly string[], counts: readonly number[]): number[] {
  return appIds.map(appId => counts[Number(appId.slice(appId.lastIndexOf(':') + 1))]!)
}

function assertRows(
  reading: TableReading,
  summary: MessageSummary,
  topic: string,
  counts: readonly number[],
): void {
  assert.equal(reading.rowCount, summary.rowCount)
  const { user_id, event_type, timestamp } = summary.columns
  const { columns } = reading
  for (const name of Object.keys(columns)) {
    assert.equal(columns[name]?.count, summary.rowCount, name)
    assert.equal(columns[name]?.nulls, 0, name)
  }
  assertFigures(columns.user_id, String(user_id.min), String(user_id.max), String(user_id.sum))
  assertFigures(columns.event_type, String(event_type.min), String(event_type.max))
  const micros = (ms: unknown): string => String(BigInt(ms as number | bigint) * 1000n)
  const instants = [micros(timestamp.min), micros(timestamp.max), micros(timestamp.sum)] as const
  assertFigures(columns.timestamp, ...instants)
  // The record's time is the event's own.
  assertFigures(columns._kafka_timestamp, ...instants)
  const day = (ms: unknown): string => String(Math.floor(Number(ms) / MS_PER_DAY))
  assertFigures(columns.date, day(timestamp.min), day(timestamp.max))
  assert.notEqual(columns.date?.min, columns.date?.max, 'several table partitions')
  assertFigures(columns._kafka_topic, topic, topic)
  const partitionSum = counts.reduce((total, count, partition) => total + count * partition, 0)
  assertFigures(columns._kafka_partition, '0', String(PARTITIONS - 1), String(partitionSum))
  const offsetSum = counts.reduce((total, count) => total + (count * (count - 1)) / 2, 0)
  assertFigures(columns._kafka_offset, '0', String(Math.max(...counts) - 1), String(offsetSum))
}

function assertFigures(actual: ColumnReading | undefined, min: string, max: string, sum?: string): void {
  assert.deepEqual(
    { min: actual?.min, max: actual?.max, sum: sum === undefined ? undefined : actual?.sum },
    { min, max, sum },
  )
}
