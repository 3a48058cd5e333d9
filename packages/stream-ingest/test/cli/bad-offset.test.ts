/** Offsets that are not there: gone by retention, of another topic of the name, or never recorded. */
import assert from 'node:assert/strict'
import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { EmbeddedBroker } from '../../src/testing/index.ts'
import { assertFailure, documentOf, logOf, range, run, sound, Workplace } from './command-harness.ts'

interface Setting {
  readonly broker: EmbeddedBroker
  readonly workplace: Workplace
}

/** The table holds offsets 0 to 4. */
async function ingestFive(t: TestContext, partitions = 1): Promise<Setting> {
  const broker = await EmbeddedBroker.start({ topics: [{ name: 'events', partitions }] })
  t.after(() => broker.close())
  broker.produce('events', 0, sound(0, 5))
  const workplace = await Workplace.open(t, broker.bootstrapServers)
  await workplace.ingestAll()
  return { broker, workplace }
}

/** As {@link ingestFive}; then retention takes 5 to 8, and 9 to 11 are there. */
async function loseFour(t: TestContext): Promise<Setting> {
  const setting = await ingestFive(t)
  setting.broker.produce('events', 0, sound(5, 9))
  setting.broker.produce('events', 0, sound(9, 12))
  setting.broker.deleteRecordsBefore('events', 0, 9n)
  return setting
}

const OUT_OF_RANGE = {
  exitCode: 65,
  kind: 'kafka',
  code: 'KAFKA_OFFSET_OUT_OF_RANGE',
  hint: /set `kafka\.on_offset_out_of_range` to accept the loss/,
  retryable: false,
} as const

type Progress = { partitions: { fromOffset: number; nextOffset: number; lag: number }[]; version: number }[]

describe('an offset that retention has taken', () => {
  test('fails by default: wanted, there and lost are named, and nothing moves', async t => {
    const { workplace } = await loseFour(t)
    for (let start = 0; start < 2; start++) {
      const outcome = await workplace.ingest()
      const error = assertFailure(outcome, {
        ...OUT_OF_RANGE,
        message: /^offset 5 of `events-0` is wanted, 9 to 12 are there: 4 offsets are lost to retention$/,
      })
      const { wantedOffset, startOffset, endOffset, lostCount } = error.context
      assert.deepEqual([wantedOffset, startOffset, endOffset, lostCount], [5, 9, 12, 4])
      assert.match(outcome.stderr, /note: a restart resumes at events\[0\]@5/)
      assert.deepEqual(await workplace.offsets(), range(0, 5))
    }
  })

  for (const [policy, resumed, lost] of [
    ['earliest', 9, 4],
    ['latest', 12, 7],
  ] as const) {
    test(`goes on at the ${policy} where that is accepted; the loss is said once, counted, and recorded`, async t => {
      const { broker, workplace } = await loseFour(t)
      const parts = { kafka: { on_offset_out_of_range: policy } }
      const outcome = await workplace.ingest(parts)
      assert.equal(outcome.exitCode, 0, outcome.stderr)
      const document = documentOf(outcome)
      assert.equal((document.metrics as { lostOffsets: number }).lostOffsets, lost)
      const [progress] = document.pipelines as Progress
      assert.deepEqual(progress!.partitions[0], {
        topic: 'events',
        partition: 0,
        fromOffset: 5,
        nextOffset: 12,
        endOffset: 12,
        lag: 0,
      })
      const losses = logOf(outcome).filter(line => line.event === 'offsets-lost')
      assert.equal(losses.length, 1)
      assert.equal(losses[0]!.level, 'error')
      assert.match(
        String(losses[0]!.message),
        new RegExp(`lost ${lost} offsets: 5 is gone, resumed at ${resumed}$`),
      )
      assert.deepEqual(await workplace.offsets(), [...range(0, 5), ...range(resumed, 12)])

      // The table holds where reading went on: neither the loss nor a row comes again, whatever the policy now.
      broker.produce('events', 0, sound(12, 14))
      const next = await workplace.ingest()
      assert.equal(next.exitCode, 0, next.stderr)
      assert.equal((documentOf(next).metrics as { lostOffsets: number }).lostOffsets, 0)
      assert.deepEqual(await workplace.offsets(), [...range(0, 5), ...range(resumed, 14)])
    })
  }

  for (const policy of ['earliest', 'latest'] as const) {
    test(`with all the rest of the log, under ${policy}: a bounded run ends`, async t => {
      const { broker, workplace } = await ingestFive(t)
      broker.produce('events', 0, sound(5, 9))
      broker.deleteRecordsBefore('events', 0, 9n)
      const outcome = await workplace.ingest({ kafka: { on_offset_out_of_range: policy } })
      assert.equal(outcome.exitCode, 0, outcome.stderr)
      assert.equal((documentOf(outcome).metrics as { lostOffsets: number }).lostOffsets, 4)
      broker.produce('events', 0, sound(9, 11))
      await workplace.ingestAll()
      assert.deepEqual(await workplace.offsets(), [...range(0, 5), 9, 10])
    })
  }

  test('while rows of before it wait to be written: they are in the table, then the run fails', async t => {
    const { broker, workplace } = await ingestFive(t)
    broker.addPartitions('events', 2)
    broker.produce('events', 0, sound(5, 9))
    broker.deleteRecordsBefore('events', 0, 9n)
    broker.produce('events', 1, sound(0, 3))
    assertFailure(await workplace.ingest(), { ...OUT_OF_RANGE, message: /offset 5 of `events-0`/ })
    await workplace.ingestAll({ kafka: { on_offset_out_of_range: 'latest' } })
    assert.deepEqual(await workplace.offsets(1), range(0, 3))
    assert.deepEqual(await workplace.offsets(0), range(0, 5))
  })
})

/** Gives the table another offset of partition 0, as a table has that was written from a log since truncated. */
async function setTableOffset(workplace: Workplace, nextOffset: number): Promise<void> {
  const folder = join(workplace.tablePath, '_delta_log')
  const names = await readdir(folder)
  const newest = names
    .filter(name => /^\d{20}\.json$/.test(name))
    .sort()
    .at(-1)!
  const lines = (await readFile(join(folder, newest), 'utf8')).split('\n')
  const changed = lines.map(line =>
    line.startsWith('{"txn"') ? line.replace(/"version":\d+/, `"version":${nextOffset}`) : line,
  )
  await writeFile(join(folder, newest), changed.join('\n'))
  // The checksum lists the offsets too.
  for (const name of names.filter(each => each.endsWith('.crc'))) await rm(join(folder, name))
}

describe('a log that ends before the offset of the table', () => {
  test('fails by default, in a bounded run too', async t => {
    const { workplace } = await ingestFive(t)
    await setTableOffset(workplace, 100)
    const error = assertFailure(await workplace.ingest(), {
      ...OUT_OF_RANGE,
      message:
        /^offset 100 of `events-0` is wanted, 0 to 5 are there: the log ends 95 offsets earlier, as after a truncation$/,
    })
    assert.equal(error.context.lostCount, 0)
    assert.deepEqual(await workplace.offsets(), range(0, 5))
  })

  test('goes on at its end where that is accepted, and says so', async t => {
    const { broker, workplace } = await ingestFive(t)
    await setTableOffset(workplace, 100)
    const parts = { kafka: { on_offset_out_of_range: 'latest' } }
    const outcome = await workplace.ingest(parts)
    assert.equal(outcome.exitCode, 0, outcome.stderr)
    const [line] = logOf(outcome).filter(each => each.event === 'offsets-lost')
    assert.match(String(line!.message), /ends before 100, which the table has reached.*resumed at 5$/)
    broker.produce('events', 0, sound(5, 8))
    await workplace.ingestAll()
    assert.deepEqual(await workplace.offsets(), range(0, 8))
  })

  test('is read anew from its beginning where that is asked for', async t => {
    const { broker, workplace } = await ingestFive(t)
    await setTableOffset(workplace, 100)
    broker.produce('events', 0, sound(5, 8))
    await workplace.ingestAll({ kafka: { on_offset_out_of_range: 'earliest' } })
    assert.deepEqual(
      await workplace.offsets(),
      [...range(0, 5), ...range(0, 8)].sort((a, b) => a - b),
    )
    broker.produce('events', 0, sound(8, 9))
    await workplace.ingestAll()
    assert.deepEqual(
      (await workplace.offsets()).filter(offset => offset === 8),
      [8],
    )
  })
})

describe('an offset that the table does not hold', () => {
  test('under `auto_offset_reset: none` is asked for', async t => {
    const broker = await EmbeddedBroker.start({ topics: [{ name: 'events' }] })
    t.after(() => broker.close())
    broker.produce('events', 0, sound(0, 5))
    const workplace = await Workplace.open(t, broker.bootstrapServers)
    const none = { kafka: { auto_offset_reset: 'none' } }
    assertFailure(await workplace.ingest(none), {
      exitCode: 78,
      kind: 'kafka',
      code: 'KAFKA_NO_OFFSET',
      message: /^the table holds no offset of events\[0\], and `kafka\.auto_offset_reset` is `none`$/,
      hint: /set `kafka\.auto_offset_reset` for the first run/,
    })
    await workplace.ingestAll()
    broker.produce('events', 0, sound(5, 7))
    await workplace.ingestAll(none)
    assert.deepEqual(await workplace.offsets(), range(0, 7))
  })

  test('of a partition between others is a loss of the table, and said to be one', async t => {
    const { broker, workplace } = await ingestFive(t, 2)
    const folder = join(workplace.tablePath, '_delta_log')
    const commit = join(folder, '00000000000000000001.json')
    const lines = (await readFile(commit, 'utf8')).split('\n')
    await writeFile(commit, lines.filter(line => !/"txn".*:0"/.test(line)).join('\n'))
    await rm(join(folder, '00000000000000000001.crc'))
    broker.produce('events', 1, sound(0, 2))
    await workplace.ingest()
    assertFailure(await workplace.ingest(), {
      exitCode: 65,
      kind: 'delta',
      code: 'TABLE_OFFSETS_MISSING',
      message: /^the table holds offsets of events up to partition 1, but none of partition 0$/,
      hint: /setTransactionRetentionDuration.*`kafka\.assignment` listing it/,
    })
    assert.deepEqual(await workplace.offsets(), range(0, 5))
  })
})

describe('a topic that was deleted and created again', () => {
  test('is read from its beginning by the next run, which names the former one', async t => {
    const { broker, workplace } = await ingestFive(t)
    const formerId = broker.topicId('events')
    broker.deleteTopic('events')
    broker.createTopic('events')
    broker.produce('events', 0, sound(100, 103))
    const outcome = await workplace.ingest()
    assert.equal(outcome.exitCode, 0, outcome.stderr)
    const [warning] = logOf(outcome).filter(line => line.event === 'unknown-offsets')
    assert.equal(warning!.level, 'warn')
    assert.match(String(warning!.message), new RegExp(`offsets of topics that are not read: ${formerId}`))
    const rows = await workplace.rows(['id'])
    assert.deepEqual(
      rows.map(row => Number(row.id)).sort((a, b) => a - b),
      [...range(0, 5), ...range(100, 103)],
    )
  })

  test('while it is read, ends the run: offsets of the one mean nothing in the other', async t => {
    const { broker, workplace } = await ingestFive(t)
    const config = await workplace.configure({ kafka: { fetch_max_wait_ms: 50 } })
    const fetched = broker.nextRequest('Fetch')
    const running = run(['run', config, '--json', '--log', 'json'], { cwd: workplace.folder })
    await fetched
    const formerId = broker.topicId('events')
    broker.deleteTopic('events')
    const id = broker.createTopic('events')
    broker.produce('events', 0, sound(100, 103))
    assertFailure(await running, {
      exitCode: 65,
      kind: 'kafka',
      code: 'KAFKA_TOPIC_RECREATED',
      message: new RegExp(
        `^topic \`events\` was deleted and created again: it had the id ${formerId}, now it has ${id}$`,
      ),
      hint: /start again to read the new one from its beginning/,
    })
    await workplace.ingestAll()
    assert.equal((await workplace.rows(['id'])).length, 8)
  })
})
