import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { before, describe, test } from 'node:test'
import { loadSnapshot, openParquet, type ParquetCodec } from '@stream-ingest/delta'
import { generateMessages, MessageSummaryBuilder } from '../../src/testing/generate-messages.ts'
import { ingest } from './ingest-process.ts'
import { inTable, readBoth } from './lake-table.ts'
import { openScene, skip } from './real-parts.ts'

const openTestScene = openScene()
const MESSAGES = 2_500

/** As `compression_type` names them, and as a Parquet footer does. */
const CODECS: Readonly<Record<ParquetCodec, string>> = {
  snappy: 'SNAPPY',
  zstd: 'ZSTD',
  gzip: 'GZIP',
  lz4_raw: 'LZ4_RAW',
  none: 'UNCOMPRESSED',
}

describe('Parquet codecs', { skip }, () => {
  const topic = `parquet-codecs-${randomUUID()}`
  const summary = new MessageSummaryBuilder()

  before(async () => {
    if (skip !== false) return
    const { producer } = await openTestScene()
    const messages = [...generateMessages({ seed: 2, count: MESSAGES })]
    for (const message of messages) summary.add(message)
    await producer.createTopic(topic, 1)
    await producer.fill(topic, 1, messages)
  })

  for (const [codec, footerName] of Object.entries(CODECS)) {
    test(`files written with \`compression_type: ${codec}\` are ${footerName}, and both readers read them`, async () => {
      await assertWrittenAs(`codec_${codec}`, { compression_type: codec }, footerName)
    })
  }

  test('`enable_compression: false` writes files without compression', async () => {
    const processing = { enable_compression: false, compression_type: undefined }
    await assertWrittenAs('codec_off', processing, CODECS.none)
  })

  async function assertWrittenAs(
    table: string,
    processing: Readonly<Record<string, unknown>>,
    footerName: string,
  ): Promise<void> {
    const { configFile } = await openTestScene()
    await ingest(configFile({ topic, table, processing }))
    assert.deepEqual(await codecsOf(table), [footerName])
    const { user_id, event_type } = summary.summary().columns
    for (const { engine, rowCount, columns } of await readBoth(table)) {
      assert.deepEqual([engine, rowCount], [engine, MESSAGES])
      const { min, max, sum } = columns.user_id!
      assert.deepEqual([min, max, sum], [user_id.min, user_id.max, user_id.sum].map(String))
      assert.deepEqual([columns.event_type?.min, columns.event_type?.max], [event_type.min, event_type.max])
    }
  }
})

/** Every codec that occurs in the table's files. */
async function codecsOf(table: string): Promise<string[]> {
  return inTable(table, async store => {
    const codecs = new Set<string>()
    for (const { path } of await (await loadSnapshot(store))!.allFiles()) {
      const { metadata } = await openParquet(store, path)
      for (const group of metadata.row_groups) {
        for (const column of group.columns) codecs.add(String(column.meta_data?.codec))
      }
    }
    return [...codecs]
  })
}
