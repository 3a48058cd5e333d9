import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { describe, test } from 'node:test'
import { checkTable, optimizeTable, systemRuntime, vacuumTable } from '@stream-ingest/delta'
import { ingest } from './ingest-process.ts'
import { inTable, readBoth } from './lake-table.ts'
import { openScene, skip } from './real-parts.ts'

const DAY_MS = 86_400_000
const openTestScene = openScene()

describe('a table on S3', { skip }, () => {
  test('is replaced by a run, compacted and vacuumed, and stays the same table to delta-rs and DuckDB', async () => {
    const { producer, configFile } = await openTestScene()
    const topic = `table-care-${randomUUID()}`
    const table = 'table_care'
    await producer.createTopic(topic, 2)
    const write = async (from: number, to: number): Promise<void> => {
      for (const partition of [0, 1]) {
        const records = Array.from({ length: to - from }, (_, i) => ({
          value: JSON.stringify({ user_id: from + i, event_type: 'click', timestamp: 1_767_225_600_000 + i }),
          timestampMs: 1_767_225_600_000,
        }))
        await producer.append(topic, partition, records)
      }
    }
    const assertRows = async (count: number): Promise<void> => {
      const report = await inTable(table, store => checkTable(store, { deep: true }))
      assert.deepEqual(report.findings, [])
      const sum = String(2 * ((count * (count - 1)) / 2))
      for (const { engine, rowCount, columns } of await readBoth(table)) {
        assert.deepEqual([rowCount, columns.user_id?.sum], [2 * count, sum], engine)
      }
    }
    const changes = { topic, table, processing: { batch_size: 20 } }
    await write(0, 50)
    await ingest(configFile(changes))
    await assertRows(50)
    await write(50, 80)
    // Everything from the beginning of the topic, whatever the table held.
    const replaced = await ingest(configFile({ ...changes, delta: { write_mode: 'overwrite' } }))
    assert.equal(replaced.metrics.rows, 160)
    await assertRows(80)
    const { filesRemoved, filesAdded } = await inTable(table, store => optimizeTable(store))
    assert(filesRemoved > 1 && filesAdded === 1, `${filesRemoved} files became ${filesAdded}`)
    await assertRows(80)
    // Appending goes on from the offsets of the replacement.
    await write(80, 100)
    const appended = await ingest(configFile(changes))
    assert.equal(appended.metrics.rows, 40)
    const later = { ...systemRuntime, now: () => Date.now() + 30 * DAY_MS }
    const { filesDeleted } = await inTable(table, store => vacuumTable(store, { runtime: later }))
    assert(filesDeleted > 2, `${filesDeleted} files were deleted`)
    await assertRows(100)
  })
})
