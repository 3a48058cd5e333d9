import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { checkTable, openStore, readCommit } from '@stream-ingest/delta'
import { EmbeddedBroker } from '../../src/testing/index.ts'
import { assertFailure, documentOf, type Outcome, range, run, sound, Workplace } from './command-harness.ts'

const DAY_MS = 86_400_000

interface ShownMove {
  readonly version: number | null
  readonly dryRun: boolean
  readonly changes: readonly { partition: number; fromOffset: number | null; toOffset: number }[]
  readonly repeated: number
  readonly passedOver: number
}

class Scene {
  readonly broker: EmbeddedBroker
  readonly workplace: Workplace

  private constructor(broker: EmbeddedBroker, workplace: Workplace) {
    this.broker = broker
    this.workplace = workplace
  }

  /** Two partitions of ten messages, of days one after the other. */
  static async open(t: TestContext): Promise<Scene> {
    const broker = await EmbeddedBroker.start({ topics: [{ name: 'events', partitions: 2 }] })
    t.after(() => broker.close())
    for (const partition of [0, 1]) {
      const records = sound(0, 10).map((record, i) => ({
        ...record,
        timestampMs: Date.UTC(2026, 0, 1) + i * DAY_MS,
      }))
      broker.produce('events', partition, records)
    }
    return new Scene(broker, await Workplace.open(t, broker.bootstrapServers))
  }

  async set(...flags: string[]): Promise<Outcome> {
    return run(['offsets', 'set', await this.workplace.configure(), ...flags], {
      cwd: this.workplace.folder,
    })
  }

  /** By a user who knows that no process runs. */
  async moved(...flags: string[]): Promise<ShownMove> {
    const outcome = await this.set('--json', '--force', '--yes', ...flags)
    assert.equal(outcome.exitCode, 0, outcome.stderr)
    return documentOf(outcome) as unknown as ShownMove
  }
}

describe('offsets set', () => {
  test('back has messages ingested once more, on passes over them', async t => {
    const scene = await Scene.open(t)
    const { broker, workplace } = scene
    await workplace.ingestAll()
    const back = await scene.moved('--to', '7', '--partition', '0', '--reason', 'a bad deploy')
    assert.deepEqual(back.changes, [{ topic: 'events', partition: 0, fromOffset: 10, toOffset: 7 }])
    assert.deepEqual([back.repeated, back.passedOver], [3, 0])
    await workplace.ingestAll()
    assert.deepEqual(await workplace.offsets(0), [...range(0, 7), 7, 7, 8, 8, 9, 9])
    assert.deepEqual(await workplace.offsets(1), range(0, 10))
    broker.produce('events', 1, sound(10, 15))
    const on = await scene.moved('--to', 'latest')
    assert.deepEqual([on.passedOver, on.changes.length], [5, 1])
    await workplace.ingestAll()
    assert.deepEqual(await workplace.offsets(1), range(0, 10))
    assert.deepEqual((await checkTable(openStore(workplace.tablePath), { deep: true })).findings, [])
  })

  test('is a commit that says who was where, and why', async t => {
    const scene = await Scene.open(t)
    await scene.workplace.ingestAll()
    const { version } = await scene.moved('--to', '2026-01-04T00:00:00Z', '--reason', 'a bad deploy')
    const actions = (await readCommit(openStore(scene.workplace.tablePath), version!))!
    assert(actions.every(action => !('add' in action) && !('remove' in action)))
    const [info] = actions.flatMap(action => ('commitInfo' in action ? [action.commitInfo] : []))
    assert.equal(info!.operation, 'SET OFFSETS')
    const { reason, offsets } = info!.operationParameters as Record<string, string>
    assert.equal(reason, 'a bad deploy')
    assert.deepEqual(JSON.parse(offsets!), [
      { topic: 'events', partition: 0, from: '10', to: '3' },
      { topic: 'events', partition: 1, from: '10', to: '3' },
    ])
  })

  test('changes nothing in a dry run, nor before somebody has said yes', async t => {
    const scene = await Scene.open(t)
    await scene.workplace.ingestAll()
    const planned = documentOf(await scene.set('--to', 'earliest', '--force', '--dry-run', '--json'))
    assert.deepEqual([planned.version, planned.repeated, planned.dryRun], [null, 20, true])
    const asked = await scene.set('--to', 'earliest', '--force')
    assert.equal(asked.exitCode, 64)
    assert.match(asked.stderr, /events\[0\] +10 +0 +-10\n/)
    assert.match(
      asked.stderr,
      /20 offsets would be ingested once more: the rows that are there stay, so that they are there twice\n/,
    )
    assert.match(asked.stderr, /nothing was moved: this needs `--yes`/)
    const still = documentOf(await scene.set('--to', '10', '--force', '--yes', '--json'))
    assert.deepEqual([still.changes, still.version], [[], null])
  })

  test('is planned in a dry run while a process seems to be running, and says that it is', async t => {
    const scene = await Scene.open(t)
    await scene.workplace.ingestAll()
    const planned = documentOf(await scene.set('--to', 'earliest', '--dry-run', '--json'))
    const { activeCommit } = planned as unknown as { activeCommit: { version: number } }
    assert.deepEqual([planned.version, planned.repeated, activeCommit.version], [null, 20, 1])
    const { stdout } = await scene.set('--to', 'earliest', '--dry-run')
    assert.match(stdout, /a process of the pipeline seems to be running \(it committed version 1 /)
    assert.match(stdout, /\nnothing was changed\n$/)
    const asked = await scene.set('--to', 'earliest')
    assert.match(asked.stderr, /nothing was moved: this needs `--yes` and `--force`/)
  })

  test('is refused while a process of the pipeline seems to be running', async t => {
    const scene = await Scene.open(t)
    await scene.workplace.ingestAll()
    assertFailure(await scene.set('--to', 'earliest', '--yes', '--json'), {
      exitCode: 75,
      code: 'PIPELINE_ACTIVE',
      message: /^`events` committed version \d+ of .* seconds ago: it seems to be running$/,
      hint: /--force/,
    })
  })

  test('of what is not there names what is', async t => {
    const scene = await Scene.open(t)
    const usage = { exitCode: 64, code: 'CONFIG_USAGE' } as const
    assertFailure(await scene.set('--to', 'earliest', '--yes', '--json'), {
      exitCode: 66,
      code: 'DELTA_TABLE_NOT_FOUND',
      message: /there is no Delta table at/,
      hint: /./,
    })
    await scene.workplace.ingestAll()
    assertFailure(await scene.set('--to', '11', '--force', '--yes', '--json'), {
      ...usage,
      message: /^events\[0\] has no offset 11: 0 to 10 are there$/,
      hint: /earliest/,
    })
    assertFailure(await scene.set('--to', '1', '--partition', '2', '--force', '--yes', '--json'), {
      ...usage,
      message: /does not read partition 2$/,
      hint: /events\[0\], events\[1\]/,
    })
    assertFailure(await scene.set('--to', 'yesterday', '--json'), {
      ...usage,
      message: /--to.*yesterday/,
      hint: /./,
    })
  })

  test('is refused where each run replaces the table, and for a reason that no log should carry', async t => {
    const scene = await Scene.open(t)
    await scene.workplace.ingestAll()
    const config = await scene.workplace.configure({ delta: { write_mode: 'overwrite' } })
    const move = ['offsets', 'set', config, '--to', '1', '--force', '--yes', '--json']
    assertFailure(await run(move, { cwd: scene.workplace.folder }), {
      exitCode: 78,
      code: 'CONFIG_CONFLICT',
      message: /replaces its table/,
      hint: /auto_offset_reset/,
    })
    const reason = 'x'.repeat(1_001)
    assertFailure(await scene.set('--to', '1', '--force', '--yes', '--json', '--reason', reason), {
      exitCode: 64,
      code: 'CONFIG_USAGE',
      message: /^the reason has 1001 characters, and at most 1000/,
      hint: /shorten/,
    })
  })

  test('leaves a table that is sound, with its checksum, and no row of it is touched', async t => {
    const scene = await Scene.open(t)
    await scene.workplace.ingestAll()
    const { version } = await scene.moved('--to', 'earliest')
    const store = openStore(scene.workplace.tablePath)
    assert.deepEqual((await checkTable(store, { deep: true })).findings, [])
    assert(await store.head(`_delta_log/${String(version).padStart(20, '0')}.crc`))
    assert.deepEqual(await scene.workplace.offsets(0), range(0, 10))
  })

  test('of some partitions of a topic that the table does not know is refused: it would look like a loss', async t => {
    const scene = await Scene.open(t)
    await scene.workplace.ingestAll({ kafka: { consumer_group: 'other' } })
    assertFailure(await scene.set('--to', 'latest', '--partition', '1', '--force', '--yes', '--json'), {
      exitCode: 64,
      code: 'CONFIG_USAGE',
      message: /no offset of events\[1\] yet, and only some of its partitions/,
      hint: /all of them/,
    })
    const { changes } = await scene.moved('--to', 'latest')
    assert.deepEqual(
      changes.map(({ fromOffset, toOffset }) => [fromOffset, toOffset]),
      [
        [null, 10],
        [null, 10],
      ],
    )
  })
})

describe('offsets reset', () => {
  test('goes to a place that Kafka knows, and takes no offset', async t => {
    const scene = await Scene.open(t)
    await scene.workplace.ingestAll()
    const reset = async (to: string): Promise<Outcome> =>
      run(['offsets', 'reset', 'pipeline.yaml', '--to', to, '--force', '--yes', '--json'], {
        cwd: scene.workplace.folder,
      })
    assert.equal(documentOf(await reset('earliest')).repeated, 20)
    assert.equal((await reset('7')).exitCode, 64)
  })
})

describe('offsets show', () => {
  test('puts those of the table beside those of Kafka', async t => {
    const scene = await Scene.open(t)
    await scene.workplace.ingestAll()
    scene.broker.produce('events', 1, sound(10, 12))
    const { stdout } = await run(['offsets', 'show', await scene.workplace.configure()], {
      cwd: scene.workplace.folder,
    })
    assert.match(stdout, /events\[0\] +10 +10 +0\nevents\[1\] +10 +12 +2\n/)
  })
})
