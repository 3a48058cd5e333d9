/** `quarantine list` and `quarantine replay`, as a user meets them. */
import assert from 'node:assert/strict'
import { after, before, describe, type TestContext, test } from 'node:test'
import { EmbeddedBroker, type EncodableRecord } from '../../src/testing/index.ts'
import { assertFailure, documentOf, run, sound, Workplace } from './command-harness.ts'

let broker: EmbeddedBroker
before(async () => {
  broker = await EmbeddedBroker.start()
})
after(() => broker.close())

const QUARANTINE = { processing: { on_bad_record: 'quarantine' } }
/** Under which `{"id": …}` without a name is bad. */
const STRICT = {
  ...QUARANTINE,
  delta: {
    schema: [
      { name: 'id', data_type: 'int64', nullable: false },
      { name: 'name', data_type: 'utf8', nullable: false },
    ],
  },
}

/** A table that takes all, and then records of which offsets 2 and 4 have no name and 3 is no JSON. */
async function prepare(t: TestContext): Promise<Workplace> {
  try {
    broker.deleteTopic('events')
  } catch {
    // The first test.
  }
  broker.createTopic('events')
  const workplace = await Workplace.open(t, broker.bootstrapServers)
  const produce = (records: readonly EncodableRecord[]): bigint => broker.produce('events', 0, records)
  produce(sound(0, 2))
  await workplace.ingestAll(QUARANTINE)
  produce([
    { value: '{"id":2}', key: 'k', headers: [['trace', 'a']], timestampMs: 1_767_225_600_000 },
    { value: '{"id":\u0007}' },
    { value: '{"id":4}' },
    ...sound(5, 6),
  ])
  const document = await workplace.ingestAll(STRICT)
  const [pipeline] = document.pipelines as { badRecords: number; quarantined: number; rows: number }[]
  assert.deepEqual([pipeline!.rows, pipeline!.badRecords, pipeline!.quarantined], [1, 3, 3])
  await workplace.configure(QUARANTINE)
  return workplace
}

describe('quarantine list', () => {
  test('shows each record with its problem, and what they have in common', async t => {
    const { folder } = await prepare(t)
    const { exitCode, stdout } = await run(['quarantine', 'list', 'pipeline.yaml'], { cwd: folder })
    assert.equal(exitCode, 0)
    const [uri, header, ...lines] = stdout.trimEnd().split('\n')
    assert.match(uri!, /lake\/events_quarantine$/)
    assert.match(header!, /^record +quarantined +code +path +problem +value/)
    assert.match(lines[0]!, /^events\[0\]@2 .*RECORD_INVALID +\$\.name .*expected utf8.* +\{"id":2\}/)
    assert.match(lines[1]!, /^events\[0\]@3 .*RECORD_NOT_JSON +\$ .*\{"id":\\u0007\}/)
    assert.match(
      stdout,
      /\n +2 {2}RECORD_INVALID {2}\$\.name\n +1 {2}RECORD_NOT_JSON {2}\$\n3 records waiting\n$/,
    )
  })

  test('as one document, by configuration, path or the quarantine’s own path', async t => {
    const { folder, tablePath } = await prepare(t)
    for (const place of ['pipeline.yaml', tablePath, `${tablePath}_quarantine`]) {
      const outcome = await run(['quarantine', 'list', place, '--json', '--limit', '2'], { cwd: folder })
      const { records, ...rest } = documentOf(outcome) as { records: Record<string, unknown>[] }
      assert.deepEqual(rest, {
        table: `file://${tablePath}`,
        quarantine: `file://${tablePath}_quarantine`,
        version: 1,
        count: 3,
        truncated: true,
        reasons: [
          { errorCode: 'RECORD_INVALID', columnPath: '$.name', count: 2 },
          { errorCode: 'RECORD_NOT_JSON', columnPath: '$', count: 1 },
        ],
      })
      assert.equal(records.length, 2)
      const { quarantinedAt, ...first } = records[0]!
      assert.match(quarantinedAt as string, /^\d{4}-.*Z$/)
      assert.deepEqual(first, {
        pipeline: 'lake',
        topic: 'events',
        partition: 0,
        offset: 2,
        timestamp: '2026-01-01T00:00:00.000Z',
        key: 'k',
        value: '{"id":2}',
        headers: [{ key: 'trace', value: 'a' }],
        errorCode: 'RECORD_INVALID',
        errorMessage: 'expected utf8 that is not null, found nothing',
        columnPath: '$.name',
        columnName: 'name',
        replayedAt: null,
      })
    }
  })

  test('only what is asked for', async t => {
    const { folder } = await prepare(t)
    const count = async (...flags: string[]): Promise<unknown> =>
      documentOf(await run(['quarantine', 'list', 'pipeline.yaml', '--json', ...flags], { cwd: folder }))
        .count
    assert.equal(await count('--code', 'RECORD_NOT_JSON'), 1)
    assert.equal(await count('--partition', '0'), 3)
    assert.equal(await count('--partition', '1'), 0)
    assert.equal(await count('--topic', 'others'), 0)
    assert.equal(await count('--since', '2000-01-01'), 3)
    assert.equal(await count('--until', '2000-01-01'), 0)
    assert.equal(await count('--replayed'), 0)
  })

  test('says so where there is none', async t => {
    const workplace = await Workplace.open(t, broker.bootstrapServers)
    await workplace.configure(QUARANTINE, 'stream-ingest.yaml')
    const { exitCode, stdout } = await run(['quarantine', 'list'], { cwd: workplace.folder })
    assert.equal(exitCode, 0)
    assert.match(stdout, /no record is waiting/)
  })
})

describe('quarantine replay', () => {
  test('ingests what fits, shows what does not, and repeats nothing', async t => {
    const workplace = await prepare(t)
    const { folder } = workplace
    const dry = await run(['quarantine', 'replay', 'pipeline.yaml', '--dry-run'], { cwd: folder })
    assert.match(
      dry.stdout,
      /would replay 2 records as 2 rows .*nothing was changed\n1 record still does not fit:/,
    )
    assert.deepEqual(await workplace.offsets(), [0, 1, 5])
    const { exitCode, stdout } = await run(['quarantine', 'replay', 'pipeline.yaml'], { cwd: folder })
    assert.equal(exitCode, 0)
    assert.match(stdout, /^\S+events_quarantine → \S+events v\d+\nreplayed 2 records as 2 rows .*1 commit\n/)
    assert.match(stdout, /1 record still does not fit:\n {2}events\[0\]@3 \$: expected a value at byte 6/)
    assert.deepEqual(await workplace.offsets(), [0, 1, 2, 4, 5])
    const again = await run(['quarantine', 'replay', 'pipeline.yaml', '--json'], { cwd: folder })
    const document = documentOf(again)
    assert.deepEqual(
      [document.tried, document.replayed, document.misfits, document.interrupted],
      [1, 0, 1, false],
    )
    assert.deepEqual(await workplace.offsets(), [0, 1, 2, 4, 5])
    const replayed = await run(['quarantine', 'list', 'pipeline.yaml', '--replayed', '--json'], {
      cwd: folder,
    })
    const { records } = documentOf(replayed) as unknown as {
      records: { offset: number; replayedAt: string }[]
    }
    assert.deepEqual(
      records.map(r => r.offset),
      [2, 4],
    )
    assert.match(records[0]!.replayedAt, /Z$/)
    const waiting = documentOf(await run(['quarantine', 'list', 'pipeline.yaml', '--json'], { cwd: folder }))
    assert.equal(waiting.count, 1)
  })

  test('goes on with the next run of the pipeline as if nothing had been', async t => {
    const workplace = await prepare(t)
    await run(['quarantine', 'replay', 'pipeline.yaml'], { cwd: workplace.folder })
    broker.produce('events', 0, sound(6, 8))
    await workplace.ingestAll(QUARANTINE)
    assert.deepEqual(await workplace.offsets(), [0, 1, 2, 4, 5, 6, 7])
  })

  test('needs the table that the records belong to', async t => {
    const workplace = await Workplace.open(t, broker.bootstrapServers)
    await workplace.configure(QUARANTINE)
    assertFailure(await run(['quarantine', 'replay', 'pipeline.yaml', '--json'], { cwd: workplace.folder }), {
      exitCode: 66,
      code: 'DELTA_TABLE_NOT_FOUND',
      message: /there is no Delta table at .*events`, to which/,
      hint: /run the pipeline first/,
    })
  })
})

describe('limits of bad records on the command line', () => {
  test('stop the run with exit code 65, naming the record and the limit', async t => {
    const workplace = await prepare(t)
    broker.produce('events', 0, [
      ...sound(6, 7),
      { value: '{' },
      ...sound(8, 9),
      { value: '[' },
      ...sound(10, 11),
    ])
    assertFailure(
      await workplace.ingest({ processing: { on_bad_record: 'quarantine', max_bad_records: 1 } }),
      {
        exitCode: 65,
        kind: 'serialization',
        code: 'RECORD_LIMIT',
        message:
          /^events\[0\]@9 \$: .*; this is bad record 2 of the run, and `processing\.max_bad_records` is 1$/,
        hint: /^nothing from events\[0\]@9 on is in the table.*raise `processing\.max_bad_records`/,
      },
    )
    assert.deepEqual(await workplace.offsets(), [0, 1, 5, 6, 8])
  })

  test('are warned of where the first bad record stops the run anyway', async t => {
    const workplace = await Workplace.open(t, broker.bootstrapServers)
    await workplace.configure({ processing: { max_bad_records: 1 } })
    const { exitCode, stdout } = await run(['validate', 'pipeline.yaml'], { cwd: workplace.folder })
    assert.equal(exitCode, 0)
    assert.match(stdout, /`max_bad_records` limits bad records, and the first one stops the run/)
  })
})
