import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { describe, test } from 'node:test'
import { checkTable } from '@stream-ingest/delta'
import { ingest } from './ingest-process.ts'
import { inTable, readBoth } from './lake-table.ts'
import { openScene, skip } from './real-parts.ts'

const openTestScene = openScene()

describe('a table that grows with its messages', { skip }, () => {
  test('is the same table to delta-rs and DuckDB, over two runs and several commits', async () => {
    const { producer, configFile } = await openTestScene()
    const topic = `merge-schema-${randomUUID()}`
    const table = 'merge_schema'
    await producer.createTopic(topic, 1)
    const payload = (i: number): string =>
      JSON.stringify({
        user_id: i,
        event_type: 'click',
        timestamp: 1_767_225_600_000,
        ...(i >= 10 ? { score: i + 0.5, device: { os: 'ios', ...(i >= 20 ? { version: i } : {}) } } : {}),
        ...(i >= 30
          ? {
              items: [
                { sku: `s${i}`, price: 2.5 },
                { sku: 'x', tags: ['a', 'b'] },
              ],
            }
          : {}),
        ...(i >= 40 ? { huge: 'HUGE', flag: true } : {}),
      }).replace('"HUGE"', String(2n ** 70n))
    const write = (from: number, to: number): Promise<unknown> => {
      const records = Array.from({ length: to - from }, (_, i) => ({
        value: payload(from + i),
        timestampMs: 1_767_225_600_000,
      }))
      return producer.append(topic, 0, records)
    }
    const changes = { topic, table, delta: { merge_schema: true }, processing: { batch_size: 7 } }
    await write(0, 35)
    const first = await ingest(configFile(changes))
    await write(35, 50)
    const second = await ingest(configFile(changes))
    assert.equal(first.metrics.rows + second.metrics.rows, 50)
    const report = await inTable(table, store => checkTable(store, { deep: true }))
    assert.deepEqual(report.findings, [])
    for (const { engine, rowCount, columns } of await readBoth(table)) {
      assert.equal(rowCount, 50, engine)
      const counts = [
        ['score', 40],
        ['device.os', 40],
        ['device.version', 30],
        ['items.element.sku', 40],
        ['huge', 10],
        ['flag', 10],
      ] as const
      for (const [name, count] of counts) assert.equal(columns[name]?.count, count, `${engine}: ${name}`)
      assert.equal(columns.user_id?.sum, String((49 * 50) / 2), engine)
      assert.equal(columns.huge?.sum, String(2n ** 70n * 10n), engine)
    }
  })
})
