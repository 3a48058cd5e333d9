import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { EmbeddedBroker } from '../../src/testing/index.ts'
import { assertFailure, documentOf, run, sound, Workplace } from './command-harness.ts'

const NEWEST_MS = Date.UTC(2026, 0, 10)

/** Two partitions of ten messages; of the second one, four are gone. */
async function openScene(t: TestContext): Promise<{ broker: EmbeddedBroker; workplace: Workplace }> {
  const broker = await EmbeddedBroker.start({ topics: [{ name: 'events', partitions: 2 }] })
  t.after(() => broker.close())
  for (const partition of [0, 1]) {
    const records = sound(0, 10).map((record, i) => ({ ...record, timestampMs: NEWEST_MS - (9 - i) * 1000 }))
    broker.produce('events', partition, records)
  }
  broker.deleteRecordsBefore('events', 1, 4n)
  return { broker, workplace: await Workplace.open(t, broker.bootstrapServers) }
}

describe('inspect topic', () => {
  test('shows who leads each partition and what Kafka has of it', async t => {
    const { broker, workplace } = await openScene(t)
    const config = await workplace.configure()
    const { stdout } = await run(['inspect', 'topic', config], { cwd: workplace.folder })
    const id = broker.topicId('events')
    assert(stdout.startsWith(`events  id ${id}  2 partitions, 16 offsets\n`), stdout)
    assert.match(stdout, /events\[1\] +1 \(127\.0\.0\.1:\d+\) +1 +4 +10 +6 +\d+ d \d+ h ago\n$/)
    // The embedded broker does not tell; a real one does, in the acceptance test.
    assert.match(stdout, /\nsettings not told/)
  })

  test('prints its document with --json', async t => {
    const { broker, workplace } = await openScene(t)
    const config = await workplace.configure()
    const outcome = await run(['inspect', 'topic', config, '--json'], { cwd: workplace.folder })
    const { topics } = documentOf(outcome) as {
      topics: [{ name: string; topicId: string; settings: null; partitions: unknown[] }]
    }
    const { name, topicId, settings, partitions } = topics[0]
    assert.deepEqual([name, topicId, settings], ['events', broker.topicId('events'), null])
    assert.deepEqual(partitions[1], {
      partition: 1,
      leader: 1,
      leaderAddress: broker.bootstrapServers,
      replicas: [1],
      inSyncReplicas: [1],
      startOffset: 4,
      endOffset: 10,
      newestRecordAt: new Date(NEWEST_MS).toISOString(),
    })
  })

  test('needs no configuration where brokers and topic are named', async t => {
    const { broker, workplace } = await openScene(t)
    const { bootstrapServers } = broker
    const inspect = async (...words: string[]) =>
      run(['inspect', 'topic', ...words, '--bootstrap', bootstrapServers, '--json'], {
        cwd: workplace.folder,
      })
    const { topics } = documentOf(await inspect('events')) as { topics: [{ partitions: unknown[] }] }
    assert.equal(topics[0].partitions.length, 2)
    assertFailure(await inspect('event'), {
      exitCode: 66,
      code: 'KAFKA_TOPIC_NOT_FOUND',
      message: /`event` does not exist/,
      hint: /did you mean `events`/,
    })
    assertFailure(await inspect(), {
      exitCode: 64,
      code: 'CONFIG_USAGE',
      message: /no topic is named/,
      hint: /inspect topic NAME/,
    })
  })

  test('says so where a partition is empty', async t => {
    const { broker, workplace } = await openScene(t)
    broker.createTopic('empty')
    const { stdout } = await run(['inspect', 'topic', 'empty', '--bootstrap', broker.bootstrapServers], {
      cwd: workplace.folder,
    })
    assert.match(stdout, /empty\[0\] .* 0 +0 +0 +–\n$/)
  })
})
