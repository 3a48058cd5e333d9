import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { describe, test } from 'node:test'
import { type IngestEnd, IngestProcess, ingest } from './ingest-process.ts'
import { nextOffsetsOf } from './lake-table.ts'
import { assertMarks, markedRecords, range } from './marked-event.ts'
import { PausableProxy } from './pausable-proxy.ts'
import { openScene, parts, type Scene, skip } from './real-parts.ts'

const openTestScene = openScene()
/** One commit of the example's `batch_size` is 1000; here of 10, and 5 are left over. */
const BATCH = { batch_size: 10 }
const MESSAGES = 15

// Each waits more than it works: side by side they take as long as the slowest.
describe('a process that runs until it is stopped', { skip, concurrency: true }, () => {
  for (const [signal, exitCode] of [
    ['SIGTERM', 0],
    ['SIGINT', 130],
  ] as const) {
    test(`${signal} commits what is buffered and ends with ${exitCode}`, async t => {
      const { scene, topic } = await topicOfOneBatch()
      const table = `stopped_${signal.toLowerCase()}`
      const config = scene.configFile({ topic, table, processing: BATCH })
      const running = IngestProcess.start(t, config)
      // The fetch that brought the first commit's messages brought the rest, which is decoded by now.
      await running.line('commit')
      running.signal(signal)
      const end = await running.ended
      assert.deepEqual([end.code, end.signal], [exitCode, null])
      assert.deepEqual(reasonsOf(end), ['rows', 'stop'])
      assert.ok(end.log.some(line => line.event === 'stopped' && line.rowCount === MESSAGES))
      assert.ok(end.log.some(line => line.event === 'stopping'))
      assert.deepEqual(await nextOffsetsOf(table), [BigInt(MESSAGES)])
      await assertMarks(table, range(0, MESSAGES))
    })
  }

  test('a second SIGINT ends at once, and the next run has every message once', async t => {
    const { scene, topic } = await topicOfOneBatch()
    const table = 'stopped_at_once'
    const config = scene.configFile({ topic, table, processing: BATCH })
    const proxy = await PausableProxy.start(parts.s3.endpoint)
    t.after(() => proxy.close())
    const running = IngestProcess.start(t, config, [], proxy.endpoint)
    await running.line('commit')
    // The drain cannot end: what it uploads does not arrive.
    proxy.pause()
    running.signal('SIGINT')
    await running.line('stopping')
    running.signal('SIGINT')
    const end = await running.ended
    assert.deepEqual([end.code, end.signal], [130, null])
    assert.ok(!end.log.some(line => line.event === 'stopped'))
    assert.deepEqual(await nextOffsetsOf(table), [10n])

    await ingest(config)
    await assertMarks(table, range(0, MESSAGES))
  })

  test('`--for` stops after that time, commits what is buffered and ends with 0', async () => {
    const { scene, topic } = await topicOfOneBatch()
    const table = 'stopped_by_time'
    const run = await ingest(scene.configFile({ topic, table, processing: BATCH }), ['--for', '3s'])
    assert.deepEqual(reasonsOf(run), ['rows', 'deadline'])
    assert.ok(run.processingTimeMs >= 3000)
    await assertMarks(table, range(0, MESSAGES))
  })

  test('buffered messages are committed at their age, also when no new ones come', async t => {
    const { scene, topic } = await topicOfOneBatch()
    const table = 'committed_by_age'
    const running = IngestProcess.start(
      t,
      scene.configFile({ topic, table, processing: { ...BATCH, batch_timeout_ms: 500 } }),
    )
    await running.line('commit', line => line.reason === 'age')
    assert.deepEqual(await nextOffsetsOf(table), [BigInt(MESSAGES)])
    running.signal('SIGTERM')
    assert.equal((await running.ended).code, 0)
  })

  test('a terminal that is closed ends it as SIGTERM does: what is buffered is committed first', async t => {
    const { scene, topic } = await topicOfOneBatch()
    const table = 'hung_up'
    const running = IngestProcess.start(t, scene.configFile({ topic, table, processing: BATCH }))
    await running.line('commit', line => line.reason === 'rows')
    running.signal('SIGHUP')
    assert.equal((await running.ended).code, 0)
    await assertMarks(table, range(0, MESSAGES))
  })

  test('partitions that are added while it runs are noticed and ingested from their start', async t => {
    const { scene, topic } = await topicOfOneBatch()
    const { producer } = scene
    const table = 'grown'
    // Under `latest`: a partition that came later holds nothing from before, so it starts at its beginning all the same.
    const config = scene.configFile({
      topic,
      table,
      kafka: { auto_offset_reset: 'latest' },
      processing: { ...BATCH, batch_timeout_ms: 500 },
    })
    const running = IngestProcess.start(t, config)
    await running.line('commit', line => line.reason === 'start')
    await producer.addPartitions(topic, 3)
    await producer.append(topic, 1, markedRecords(20, 22))
    await producer.append(topic, 2, markedRecords(22, 25))
    await producer.append(topic, 0, markedRecords(25, 26))
    const { added } = await running.line('assignment')
    assert.deepEqual(added, [
      { topic, partition: 1 },
      { topic, partition: 2 },
    ])
    await running.line('commit', line => '2' in (line.nextOffsets as object))
    running.signal('SIGTERM')
    assert.equal((await running.ended).code, 0)
    assert.deepEqual(await nextOffsetsOf(table), [16n, 2n, 3n])
    await assertMarks(table, range(20, 26))
  })

  test('a topic that is deleted and created again under it ends the process; the next run starts the new one by policy', async t => {
    const { scene, topic } = await topicOfOneBatch()
    const { producer } = scene
    const table = 'recreated_underneath'
    const config = scene.configFile({ topic, table, processing: { ...BATCH, batch_timeout_ms: 500 } })
    const running = IngestProcess.start(t, config)
    await running.line('commit', line => line.reason === 'age')
    await producer.deleteTopic(topic)
    await producer.createTopic(topic, 1)
    await producer.append(topic, 0, markedRecords(30, 32))
    const end = await running.ended
    const failure = end.log.find(line => line.event === 'failed')?.error as { code: string }
    // Looked up between the two, the topic is not there at all.
    const known = [
      ['KAFKA_TOPIC_RECREATED', 65],
      ['KAFKA_TOPIC_NOT_FOUND', 66],
    ]
    assert.ok(known.some(([code, exitCode]) => code === failure.code && exitCode === end.code))
    await ingest(config)
    await assertMarks(table, [...range(0, MESSAGES), 30, 31])
  })
})

/** All messages in one record batch, so that one fetch brings them. */
async function topicOfOneBatch(): Promise<{ scene: Scene; topic: string }> {
  const scene = await openTestScene()
  const topic = `running-${randomUUID()}`
  await scene.producer.createTopic(topic, 1)
  await scene.producer.append(topic, 0, markedRecords(0, MESSAGES))
  return { scene, topic }
}

/** Why each commit was made. */
function reasonsOf({ log }: Pick<IngestEnd, 'log'>): unknown[] {
  return log.filter(line => line.event === 'commit').map(line => line.reason)
}
