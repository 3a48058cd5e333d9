import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { describe, test } from 'node:test'
import type { Admin } from '@platformatic/kafka'
import { ingest } from './ingest-process.ts'
import { listTable, nextOffsetsOf, tableProgress } from './lake-table.ts'
import { assertMarks, markedAtMs, markedRecords, range } from './marked-event.ts'
import { CONSUMER_GROUP, openScene, type Scene, skip } from './real-parts.ts'

const openTestScene = openScene()

describe('where a run starts, and what it leaves', { skip, concurrency: true }, () => {
  test('a restart goes on at the offsets of the table, and the group shows them to tools of Kafka', async () => {
    const { scene, topic } = await twoPartitions()
    const { admin, producer } = scene
    const table = 'continued'
    const config = scene.configFile({ topic, table })
    await ingest(config)
    assert.deepEqual(await groupOffsetsOf(admin, topic), [3n, 4n])
    await producer.append(topic, 0, markedRecords(10, 12))
    const again = await ingest(config)
    assert.equal(again.metrics.rows, 2)
    assert.deepEqual(
      again.pipelines[0]?.partitions.map(p => [p.fromOffset, p.nextOffset, p.endOffset]),
      [
        [3, 5, 5],
        [4, 4, 4],
      ],
    )
    assert.deepEqual(await nextOffsetsOf(table), [5n, 4n])
    assert.deepEqual(await groupOffsetsOf(admin, topic), [5n, 4n])
    const idle = await ingest(config)
    assert.equal(idle.batchesProcessed, 0)
    assert.equal((await tableProgress(table))?.version, 2)
    await assertMarks(table, [...range(0, 7), 10, 11])
  })

  test('`latest` records its start in the table at once: what comes after it is ingested by a later run', async () => {
    const { scene, topic } = await twoPartitions()
    const { producer } = scene
    const table = 'from_latest'
    const config = scene.configFile({ topic, table, kafka: { auto_offset_reset: 'latest' } })
    const first = await ingest(config)
    assert.deepEqual([first.metrics.rows, first.batchesProcessed], [0, 1])
    assert.deepEqual(await nextOffsetsOf(table), [3n, 4n])
    await producer.append(topic, 1, markedRecords(10, 13))
    await ingest(config)
    assert.deepEqual(await nextOffsetsOf(table), [3n, 7n])
    await assertMarks(table, range(10, 13))
  })

  test('a timestamp starts at the first message of that time, and its start is recorded too', async () => {
    const { scene, topic } = await twoPartitions()
    const table = 'from_timestamp'
    const timestamp = new Date(markedAtMs(2)).toISOString()
    const config = scene.configFile({ topic, table, kafka: { auto_offset_reset: { timestamp } } })
    const run = await ingest(config)
    assert.deepEqual(
      run.pipelines[0]?.partitions.map(p => p.fromOffset),
      [2, 0],
    )
    const commits = run.log.filter(line => line.event === 'commit')
    assert.deepEqual(
      commits.map(line => [line.reason, line.rowCount]),
      [
        ['start', 0],
        ['end', 5],
      ],
    )
    await assertMarks(table, range(2, 7))
  })

  test('a topic that was created again starts by policy, with a warning that names the former one', async () => {
    const { scene, topic } = await twoPartitions()
    const { producer } = scene
    const table = 'recreated'
    const config = scene.configFile({ topic, table })
    await ingest(config)
    const [formerId] = (await tableProgress(table))!.nextOffsets.keys()
    await producer.deleteTopic(topic)
    await producer.createTopic(topic, 1)
    await producer.append(topic, 0, markedRecords(20, 21))
    const run = await ingest(config)
    const warning = run.log.find(line => line.event === 'unknown-offsets')
    assert.deepEqual([warning?.level, warning?.topicIds], ['warn', [formerId]])
    assert.deepEqual(
      run.pipelines[0]?.partitions.map(p => [p.fromOffset, p.nextOffset]),
      [[0, 1]],
    )
    const { nextOffsets } = (await tableProgress(table))!
    assert.equal(nextOffsets.size, 2)
    assert.deepEqual(
      nextOffsets.get(formerId!),
      new Map([
        [0, 3n],
        [1, 4n],
      ]),
    )
    await assertMarks(table, [...range(0, 7), 20])
  })

  test('`--dry-run` counts what it would write, and writes nothing: neither where a table is nor where none is', async () => {
    const { scene, topic } = await twoPartitions()
    const { admin, producer } = scene
    const nowhere = await ingest(scene.configFile({ topic, table: 'dry_new' }), [
      '--until-latest',
      '--dry-run',
    ])
    assert.equal(nowhere.metrics.rows, 7)
    assert.equal(nowhere.pipelines[0]?.version, null)
    assert.deepEqual(await listTable('dry_new'), [])
    assert.deepEqual(await groupOffsetsOf(admin, topic), [null, null])

    const config = scene.configFile({ topic, table: 'dry_existing' })
    await ingest(config)
    await producer.append(topic, 0, markedRecords(10, 12))
    const before = await listTable('dry_existing')
    const dry = await ingest(config, ['--until-latest', '--dry-run'])
    assert.equal(dry.metrics.rows, 2)
    assert.deepEqual(await listTable('dry_existing'), before)
    assert.deepEqual(await groupOffsetsOf(admin, topic), [3n, 4n])
  })
})

/** Marks 0 to 2 in the first partition, 3 to 6 in the second. */
async function twoPartitions(): Promise<{ scene: Scene; topic: string }> {
  const scene = await openTestScene()
  const topic = `start-${randomUUID()}`
  await scene.producer.createTopic(topic, 2)
  await scene.producer.append(topic, 0, markedRecords(0, 3))
  await scene.producer.append(topic, 1, markedRecords(3, 7))
  return { scene, topic }
}

/** What Kafka's own tools show of the group; null where it has no offset. */
async function groupOffsetsOf(admin: Admin, topic: string): Promise<(bigint | null)[]> {
  const groups = [{ groupId: CONSUMER_GROUP, topics: [{ name: topic, partitionIndexes: [0, 1] }] }]
  const [group] = await admin.listConsumerGroupOffsets({ groups })
  const partitions = group?.topics.find(({ name }) => name === topic)?.partitions ?? []
  return [0, 1].map(partition => {
    const offset =
      partitions.find(({ partitionIndex }) => partitionIndex === partition)?.committedOffset ?? -1n
    return offset < 0n ? null : offset
  })
}
