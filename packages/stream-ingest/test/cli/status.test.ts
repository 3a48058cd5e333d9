import assert from 'node:assert/strict'
import { readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { EmbeddedBroker } from '../../src/testing/index.ts'
import { assertFailure, documentOf, type Outcome, run, sound, Workplace } from './command-harness.ts'
import { show } from './table-fixture.ts'

interface ShownPipeline {
  readonly name: string
  readonly version: number | null
  readonly lastCommitAt: string | null
  readonly newestRecordAt: string | null
  readonly freshnessSeconds: number | null
  readonly stale: boolean
  readonly lag: number | null
  readonly partitions: readonly Record<string, unknown>[]
  readonly unknownTopicIds: readonly string[]
  readonly reconciliation?: Readonly<Record<string, unknown>>
  readonly late: boolean
  readonly error: { readonly code: string; readonly hint: string } | null
}

const HOUR_MS = 3_600_000

class Scene {
  readonly broker: EmbeddedBroker
  readonly workplace: Workplace
  /** What is in the topic from the start was produced at this time. */
  readonly producedMs = Date.now() - 2 * HOUR_MS

  private constructor(broker: EmbeddedBroker, workplace: Workplace) {
    this.broker = broker
    this.workplace = workplace
  }

  static async open(t: TestContext): Promise<Scene> {
    const broker = await EmbeddedBroker.start({ topics: [{ name: 'events', partitions: 2 }] })
    t.after(() => broker.close())
    const scene = new Scene(broker, await Workplace.open(t, broker.bootstrapServers))
    scene.produce(0, 0, 5)
    scene.produce(1, 0, 3)
    return scene
  }

  produce(partition: number, from: number, to: number): void {
    const timestampMs = this.producedMs
    this.broker.produce(
      'events',
      partition,
      sound(from, to).map(record => ({ ...record, timestampMs })),
    )
  }

  async status(...flags: string[]): Promise<Outcome> {
    return run(['status', await this.workplace.configure(), ...flags], { cwd: this.workplace.folder })
  }

  async shown(...flags: string[]): Promise<{ ok: boolean; exitCode: number; pipeline: ShownPipeline }> {
    const outcome = await this.status('--json', ...flags)
    const document = documentOf(outcome) as { ok: boolean; pipelines: [ShownPipeline] }
    return { ok: document.ok, exitCode: outcome.exitCode, pipeline: document.pipelines[0] }
  }
}

describe('status', () => {
  test('before the first run tells what a run would find', async t => {
    const scene = await Scene.open(t)
    const { ok, pipeline } = await scene.shown()
    assert.equal(ok, true)
    assert.deepEqual(
      [pipeline.version, pipeline.lag, pipeline.lastCommitAt, pipeline.freshnessSeconds],
      [null, 8, null, null],
    )
    assert.deepEqual(pipeline.partitions[0], {
      topic: 'events',
      partition: 0,
      nextOffset: 0,
      startOffset: 0,
      endOffset: 5,
      lag: 5,
      lost: 0,
      ahead: 0,
      inTable: false,
    })
  })

  test('tells how far behind the table is, and since when', async t => {
    const scene = await Scene.open(t)
    await scene.workplace.ingestAll()
    const caughtUp = await scene.shown('--stale-after', '1s')
    assert.deepEqual(
      [caughtUp.exitCode, caughtUp.pipeline.lag, caughtUp.pipeline.freshnessSeconds],
      [0, 0, 0],
    )
    assert.equal(caughtUp.pipeline.newestRecordAt, new Date(scene.producedMs).toISOString())
    assert(Date.parse(caughtUp.pipeline.lastCommitAt!) > scene.producedMs)
    scene.produce(1, 3, 10)
    const { exitCode, pipeline } = await scene.shown()
    assert.deepEqual([exitCode, pipeline.lag, pipeline.stale], [0, 7, false])
    assert(pipeline.freshnessSeconds! >= 7200)
    assert.deepEqual(
      pipeline.partitions.map(({ nextOffset, endOffset, lag, inTable }) => [
        nextOffset,
        endOffset,
        lag,
        inTable,
      ]),
      [
        [5, 5, 0, true],
        [3, 10, 7, true],
      ],
    )
  })

  test('exits with 1 where a table is behind and its newest row is older than it may be', async t => {
    const scene = await Scene.open(t)
    await scene.workplace.ingestAll()
    scene.produce(0, 5, 6)
    const late = await scene.shown('--stale-after', '1h')
    assert.deepEqual([late.ok, late.exitCode, late.pipeline.stale], [false, 1, true])
    const inTime = await scene.shown('--stale-after', '1d')
    assert.deepEqual([inTime.ok, inTime.exitCode, inTime.pipeline.stale], [true, 0, false])
    const text = await scene.status('--stale-after', '1h')
    assert.match(text.stdout, /events +events +1 +.* ago +ERROR \(> 1 h\) +v\d+ /)
    assert.match(text.stdout, /\n1 of 1 pipeline stale\n$/)
  })

  test('shows partitions, and what became of every message', async t => {
    const scene = await Scene.open(t)
    scene.broker.produce('events', 0, [{ value: 'no JSON' }, { value: null }])
    await scene.workplace.ingestAll({ processing: { on_bad_record: 'skip', batch_size: 3 } })
    const { stdout } = await scene.status('--partitions', '--reconcile')
    assert.match(stdout, /events\[0\] +7 +7 +0\n/)
    assert.match(
      stdout,
      /all versions up to v\d+: 10 messages consumed = 8 rows \+ 1 bad \+ 1 skipped \+ 0 filtered/,
    )
    const { pipeline } = await scene.shown('--reconcile')
    const { consumed, rows, badRecords, skipped, whole, balanced } = pipeline.reconciliation!
    assert.deepEqual([consumed, rows, badRecords, skipped, whole, balanced], [10, 8, 1, 1, true, true])
  })

  test('shows what waits in the quarantine, and counts what was replayed as rows', async t => {
    const scene = await Scene.open(t)
    const value = (other: number): string => `{"id":"x","other":${other}}`
    scene.broker.produce('events', 0, [{ value: value(7) }, { value: value(8) }])
    await scene.workplace.ingestAll({ processing: { on_bad_record: 'quarantine' } })
    const before = await scene.status('--reconcile')
    assert.match(before.stdout, /10 messages consumed = 8 rows \+ 2 bad \(2 in quarantine\) \+ 0 skipped/)
    const id = { name: 'id', data_type: 'int64', nullable: false, metadata: { source: 'payload.other' } }
    const config = await scene.workplace.configure({
      delta: { schema: [id, { name: 'name', data_type: 'utf8' }] },
    })
    const replayed = await run(['quarantine', 'replay', config], { cwd: scene.workplace.folder })
    assert.equal(replayed.exitCode, 0, replayed.stderr)
    const after = await scene.status('--reconcile')
    assert.match(after.stdout, /10 messages consumed = 10 rows \+ 0 bad \+ 0 skipped/)
    assert.equal(after.exitCode, 0)
  })

  test('says which messages retention took before they were read', async t => {
    const scene = await Scene.open(t)
    await scene.workplace.ingestAll()
    scene.produce(0, 5, 9)
    scene.broker.deleteRecordsBefore('events', 0, 7n)
    const { pipeline } = await scene.shown()
    assert.deepEqual([pipeline.lag, pipeline.partitions[0]!.lost], [2, 2])
    assert.match(
      (await scene.status()).stdout,
      /2 messages of 1 partition gone from Kafka before they were read/,
    )
  })

  test('says that a topic was created again', async t => {
    const scene = await Scene.open(t)
    await scene.workplace.ingestAll()
    scene.broker.deleteTopic('events')
    scene.broker.createTopic('events', 2)
    const { pipeline } = await scene.shown()
    assert.equal(pipeline.unknownTopicIds.length, 1)
    assert.match((await scene.status()).stdout, /a topic that is not there any more/)
  })

  test('tells of the one side where the other cannot be asked', async t => {
    const scene = await Scene.open(t)
    await scene.workplace.ingestAll()
    await scene.broker.close()
    const { ok, exitCode, pipeline } = await scene.shown()
    assert.deepEqual(
      [ok, exitCode, pipeline.error?.code, pipeline.lag],
      [false, 1, 'KAFKA_UNREACHABLE', null],
    )
    assert(pipeline.version! > 0 && pipeline.lastCommitAt !== null)
    const { stdout } = await scene.status()
    assert.match(stdout, /events +events +\? +.*unknown +v\d+/)
    assert.match(stdout, /KAFKA_UNREACHABLE: .*\n {2}= help: /)
  })

  test('is not hidden by another pipeline that fails', async t => {
    const scene = await Scene.open(t)
    await scene.workplace.ingestAll()
    const { folder } = scene.workplace
    const lake = join(folder, 'lake')
    const pipeline = (table: string): object => ({
      delta: { table_name: table, schema: [{ name: 'id', data_type: 'int64' }] },
    })
    const config = {
      kafka: { bootstrap_servers: scene.broker.bootstrapServers, topic: 'events', consumer_group: 'lake' },
      local: { path: lake },
      pipelines: { good: pipeline('events'), bad: pipeline('broken') },
    }
    await rename(join(lake, 'events'), join(lake, 'broken'))
    await writeFile(join(lake, 'broken', '_delta_log', `${'0'.repeat(20)}.json`), 'no commit')
    await writeFile(join(folder, 'two.yaml'), JSON.stringify(config))
    const outcome = await run(['status', 'two.yaml', '--json'], { cwd: folder })
    const { pipelines } = documentOf(outcome) as { pipelines: ShownPipeline[] }
    assert.equal(outcome.exitCode, 1)
    assert.deepEqual(
      pipelines.map(({ name, lag, error }) => [name, lag, error?.code ?? null]),
      [
        ['good', 8, null],
        ['bad', null, 'DELTA_LOG_CORRUPT'],
      ],
    )
  })

  test('shows the offsets of the table, and adds it up, where Kafka is away', async t => {
    const scene = await Scene.open(t)
    await scene.workplace.ingestAll()
    await scene.broker.close()
    const { exitCode, stdout } = await scene.status('--partitions', '--reconcile')
    assert.equal(exitCode, 1)
    assert.match(stdout, /events\[0\] +5 +\? +\?\nevents\[1\] +3 +\? +\?\n/)
    assert.match(stdout, /all versions up to v\d+: 8 messages consumed = 8 rows/)
    assert.match(stdout, /\n1 of 1 pipeline with errors\n$/)
  })

  test('holds a table to the limits of its configuration', async t => {
    const scene = await Scene.open(t)
    const { folder } = scene.workplace
    await scene.workplace.ingestAll()
    scene.produce(0, 5, 6)
    const look = async (freshness: object, ...flags: string[]): Promise<Outcome> => {
      const text = await readFile(join(folder, await scene.workplace.configure()), 'utf8')
      await writeFile(join(folder, 'limited.yaml'), JSON.stringify({ ...JSON.parse(text), freshness }))
      return run(['status', 'limited.yaml', ...flags], { cwd: folder })
    }
    const good = await look({ warn_after: '3h', error_after: '4h' })
    assert.equal(good.exitCode, 0)
    assert.match(good.stdout, / ok \(< 3 h\) /)
    const late = await look({ warn_after: '1h', error_after: '4h' })
    assert.equal(late.exitCode, 0)
    assert.match(late.stdout, / WARN \(> 1 h\) /)
    const stale = await look({ warn_after: '30m', error_after: '90m' })
    assert.equal(stale.exitCode, 1)
    assert.match(stale.stdout, / ERROR \(> 1 h 30 m\) .*\n1 of 1 pipeline stale\n$/)
    // What is said by hand goes before what is written.
    assert.equal((await look({ error_after: '90m' }, '--stale-after', '1d')).exitCode, 0)
    const document = documentOf(await look({ warn_after: '1h', error_after: '4h' }, '--json')) as {
      pipelines: [Record<string, unknown>]
    }
    const { warnAfterSeconds, errorAfterSeconds, late: isLate, stale: isStale } = document.pipelines[0]
    assert.deepEqual([warnAfterSeconds, errorAfterSeconds, isLate, isStale], [3600, 14_400, true, false])
    const wrong = await look({ warn_after: '2h', error_after: '1h' }, '--json')
    assert.equal(wrong.exitCode, 78)
    assert.match(wrong.stdout, /`warn_after` is longer than `error_after`/)
  })

  test('takes several files, and one pipeline of them', async t => {
    const scene = await Scene.open(t)
    await scene.workplace.ingestAll()
    const first = await scene.workplace.configure()
    const second = await scene.workplace.configure({ delta: { table_name: 'other' } }, 'other.yaml')
    const names = async (...flags: string[]): Promise<unknown> => {
      const outcome = await run(['status', first, second, '--json', ...flags], {
        cwd: scene.workplace.folder,
      })
      return (documentOf(outcome) as { pipelines: ShownPipeline[] }).pipelines.map(({ name, lag }) => [
        name,
        lag,
      ])
    }
    assert.deepEqual(await names(), [
      ['events', 0],
      ['other', 8],
    ])
    assert.deepEqual(await names('--pipeline', 'other'), [['other', 8]])
  })

  test('tells in the reconciliation what was moved by hand', async t => {
    const scene = await Scene.open(t)
    await scene.workplace.ingestAll()
    const config = await scene.workplace.configure()
    const move = async (to: string, partition: string): Promise<void> => {
      const words = ['offsets', 'set', config, '--to', to, '--partition', partition, '--force', '--yes']
      assert.equal((await run(words, { cwd: scene.workplace.folder })).exitCode, 0)
    }
    await move('2', '0')
    await scene.workplace.ingestAll()
    scene.produce(1, 3, 7)
    await move('latest', '1')
    const { pipeline } = await scene.shown('--reconcile')
    const { consumed, rows, repeated, passedOver, balanced } = pipeline.reconciliation!
    assert.deepEqual([consumed, rows, repeated, passedOver, balanced], [11, 11, 3, 4, true])
    const { stdout } = await scene.status('--reconcile')
    assert.match(stdout, /3 offsets moved back over by hand: their rows may be there more than once/)
    assert.match(stdout, /4 offsets passed over by hand: never consumed/)
  })

  test('does not end well where the table does not add up', async t => {
    const scene = await Scene.open(t)
    await scene.workplace.ingestAll()
    const log = join(scene.workplace.tablePath, '_delta_log', `${'0'.repeat(19)}1.json`)
    const text = await readFile(log, 'utf8')
    await writeFile(log, text.replace('"numConsumedRecords":"8"', '"numConsumedRecords":"9"'))
    const { exitCode, ok, pipeline } = await scene.shown('--reconcile')
    assert.deepEqual([exitCode, ok, pipeline.reconciliation!.balanced], [1, false, false])
    assert.match((await scene.status('--reconcile')).stdout, /9 messages consumed ≠ 8 rows/)
    // The newest commit is whole, which is all that others read: only who adds up meets the broken one.
    scene.produce(0, 5, 6)
    await scene.workplace.ingestAll()
    await writeFile(log, 'no commit')
    assert.equal((await scene.shown()).exitCode, 0)
    const broken = await scene.shown('--reconcile')
    assert.deepEqual([broken.exitCode, broken.pipeline.error?.code], [1, 'DELTA_LOG_CORRUPT'])
    assert.deepEqual([broken.pipeline.lag, broken.pipeline.reconciliation], [0, undefined])
  })

  for (const [where, terminalWidth] of [
    ['on a terminal, painting over', 200],
    ['elsewhere, a block for each look', undefined],
  ] as const) {
    test(`watches ${where}, until it is stopped`, async t => {
      const scene = await Scene.open(t)
      const config = await scene.workplace.configure()
      const written: string[] = []
      const stop = Promise.withResolvers<void>()
      const stdout = {
        write: (text: string) => {
          if (written.push(text) === 2) stop.resolve()
          return true
        },
        ...(terminalWidth === undefined ? {} : { isTTY: true, columns: terminalWidth }),
      }
      const { exitCode, stderr } = await show(['status', config, '--watch', '1ms'], {
        cwd: scene.workplace.folder,
        stdout,
        stopAfter: stop.promise,
      })
      assert.deepEqual([exitCode, stderr], [130, ''])
      const start = terminalWidth === undefined ? '' : '\u001b[H\u001b[2J'
      for (const text of written) {
        assert(text.startsWith(start))
        assert.match(text.slice(start.length), /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC\npipeline +topic +lag /)
        assert.equal(text.endsWith('\n\n'), terminalWidth === undefined)
      }
    })
  }

  test('does not watch without a pause', async t => {
    const scene = await Scene.open(t)
    assertFailure(await scene.status('--watch', '0s', '--json'), {
      exitCode: 64,
      code: 'CONFIG_USAGE',
      message: /needs a pause/,
      hint: /--watch 5s/,
    })
  })

  test('watches until it is stopped', async t => {
    const scene = await Scene.open(t)
    // A file of its own: the other one is written anew with each look.
    const config = await scene.workplace.configure({}, 'watched.yaml')
    const stop = Promise.withResolvers<void>()
    const watching = run(['status', config, '--watch', '1ms', '--json'], {
      cwd: scene.workplace.folder,
      stopAfter: stop.promise,
    })
    // Twice asked is watched.
    await scene.shown()
    await scene.shown()
    stop.resolve()
    const { exitCode, stdout } = await watching
    assert.equal(exitCode, 130)
    assert(stdout.split('\n').length > 2)
  })
})
