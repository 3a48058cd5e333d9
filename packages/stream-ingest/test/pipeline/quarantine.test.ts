import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import {
  createTable,
  DeltaTable,
  field,
  optimizeTable,
  primitive,
  readCommit,
  struct,
} from '@stream-ingest/delta'
import { subscribe } from '../../src/observe/event.ts'
import { DeltaWriter } from '../../src/pipeline/delta-writer.ts'
import { QUARANTINE, QuarantineSetting, STRICT, sound } from './quarantine-fixture.ts'
import { message, NOW_MS, pipelineConfig, places } from './table-fixture.ts'

const text = (bytes: unknown): string => Buffer.from(bytes as Uint8Array).toString()

suite('a bad record goes into the quarantine', () => {
  test('with all that Kafka gave of it and what is wrong, and the rows around it into the table', async () => {
    const setting = new QuarantineSetting()
    const headers: [string, string | null][] = [
      ['trace', 'a'],
      ['trace', null],
    ]
    setting.produce([sound(0), { key: 'k', value: '{"id":"x"}', timestampMs: NOW_MS, headers }, sound(2)])
    const { success, metrics, pipelines } = await setting.run()
    assert.equal(success, true)
    assert.deepEqual([metrics.messages, metrics.rows, metrics.badRecords, metrics.quarantined], [3, 2, 1, 1])
    assert.equal(pipelines[0]!.metrics.quarantined, 1)
    assert.deepEqual(await setting.tablePlaces(), ['0@0000', '0@0002'])
    const [row, ...others] = await setting.rows()
    assert.equal(others.length, 0)
    const { key, value, headers: kept, topic_id: topicId, ...rest } = row!
    assert.deepEqual([text(key), text(value)], ['k', '{"id":"x"}'])
    assert.deepEqual(
      (kept as { key: string; value: Uint8Array | null }[]).map(h => [h.key, h.value && text(h.value)]),
      headers,
    )
    assert.match(topicId as string, /^[0-9a-f-]{36}$/)
    assert.deepEqual(rest, {
      pipeline: 'g',
      topic: 't',
      partition: 0,
      offset: 1n,
      timestamp: BigInt(NOW_MS) * 1000n,
      timestamp_ms: BigInt(NOW_MS),
      raw_headers: null,
      error_code: 'RECORD_INVALID',
      error_message: 'expected int64, found the string "x"',
      column_path: '$.id',
      column_name: 'id',
      quarantined_at: BigInt(NOW_MS) * 1000n,
      attempt: 1n,
      replay: null,
      replayed_at: null,
    })
    await setting.assertReconciled()
    await setting.assertSound()
  })

  test('with the next offset of its topic partition in the same commit', async () => {
    const setting = new QuarantineSetting(2)
    setting.produce([sound(0), '{'])
    setting.produce([sound(0), '{', sound(2)], 1)
    await setting.run()
    const actions = (await readCommit(setting.quarantine, 1))!
    const offsets = actions.flatMap(action =>
      'txn' in action && /^g:[^:]+:\d+$/.test(action.txn.appId)
        ? [[action.txn.appId.split(':').at(-1), action.txn.version]]
        : [],
    )
    assert.deepEqual(offsets.sort(), [
      ['0', 2n],
      ['1', 3n],
    ])
  })

  test('whatever its key, headers and timestamp are', async () => {
    const setting = new QuarantineSetting()
    const unreadable = Uint8Array.of(2, 2, 0xff, 2, 0x41)
    setting.produce([
      { value: '{', timestampMs: -1 },
      { value: '', timestampMs: 8.64e15, key: Uint8Array.of(0xff, 0) },
      { value: '{', timestampMs: NOW_MS, rawHeaders: unreadable },
    ])
    await setting.run()
    const rows = await setting.rows()
    assert.deepEqual(
      rows.map(row => [row.timestamp, row.timestamp_ms]),
      [
        [null, null],
        [null, 8_640_000_000_000_000n],
        [BigInt(NOW_MS) * 1000n, BigInt(NOW_MS)],
      ],
    )
    assert.deepEqual(rows[0]!.key, null)
    assert.deepEqual([...(rows[1]!.key as Uint8Array)], [0xff, 0])
    assert.deepEqual([...(rows[1]!.value as Uint8Array)], [])
    assert.deepEqual([rows[2]!.headers, [...(rows[2]!.raw_headers as Uint8Array)]], [null, [...unreadable]])
  })

  test('once, however often it is read', async () => {
    const setting = new QuarantineSetting()
    setting.produce([sound(0), '{'])
    await setting.run()
    await setting.run()
    setting.produce(['{', sound(3)])
    const { metrics } = await setting.run()
    assert.deepEqual([metrics.messages, metrics.quarantined], [2, 1])
    assert.deepEqual(await setting.waiting(), ['0@0001', '0@0002'])
    assert.equal((await setting.rows()).length, 2)
    await setting.assertReconciled()
  })

  test('and none is created where there is no bad record', async () => {
    const setting = new QuarantineSetting()
    setting.produce([sound(0)])
    await setting.run()
    assert.equal(await DeltaTable.open(setting.quarantine), null)
  })

  test('under `merge_schema` too, and brings no column', async () => {
    const setting = new QuarantineSetting()
    setting.produce([sound(0), '{"id":"x","new":1}', '{"id":2,"more":1}'])
    await setting.run({ delta: 'merge_schema: true' })
    assert.deepEqual(await setting.tablePlaces(), ['0@0000', '0@0002'])
    assert.deepEqual(await setting.waiting(), ['0@0001'])
    const { state } = (await DeltaTable.open(setting.table))!
    assert.deepEqual(
      ['new', 'more'].map(name => state.schema.fields.some(f => f.name === name)),
      [false, true],
    )
  })

  test('of its own memory: a flood of them is cut into commits', async () => {
    const setting = new QuarantineSetting()
    const large = 'x'.repeat(100_000)
    for (let i = 0; i < 20; i++) setting.produce([large, large])
    const counts: number[] = []
    const end = subscribe('quarantine:committed', e => counts.push(e.recordCount))
    await setting.run({ processing: '{ on_bad_record: quarantine, memory_limit: 1MiB }' })
    end()
    assert.equal(
      counts.reduce((sum, count) => sum + count, 0),
      40,
    )
    // 30 % of the limit, and the record that goes over it.
    assert(Math.max(...counts) <= 4, `${counts}`)
  })

  test('and a dry run counts it, and writes nothing', async () => {
    const setting = new QuarantineSetting()
    setting.produce([sound(0), '{'])
    setting.fault = ({ operation }) =>
      operation === 'put' || operation === 'putIfAbsent' ? assert.fail('a dry run writes') : undefined
    const { success, metrics } = await setting.run({
      processing: '{ on_bad_record: quarantine, dry_run: true }',
    })
    assert.equal(success, true)
    assert.deepEqual([metrics.rows, metrics.badRecords, metrics.quarantined], [1, 1, 1])
  })

  test('but into no table that is something else', async () => {
    const setting = new QuarantineSetting()
    const schema = struct([field('offset', primitive('string'))])
    await createTable(setting.quarantine, { schema, partitionColumns: [], properties: {} }, setting.runtime)
    const { failures } = await setting.run()
    assert.equal(failures[0]!.error.code, 'TABLE_SCHEMA_MISMATCH')
    assert.match(
      failures[0]!.error.message,
      /events_quarantine is no quarantine table: it has no column `pipeline`/,
    )
  })

  test('while its files are compacted', async () => {
    const setting = new QuarantineSetting()
    for (let i = 0; i < 5; i++) {
      setting.produce([sound(0), '{'])
      await setting.run()
    }
    await optimizeTable(setting.quarantine, { runtime: setting.runtime, minFiles: 2 })
    setting.produce(['{'])
    await setting.run()
    assert.equal((await setting.waiting()).length, 6)
    await setting.assertSound()
  })
})

suite('a process that dies while it quarantines', () => {
  /** Runs with a crash at each write, one after the other, until one run meets none. */
  const crashAtEach = async (
    moment: 'before' | 'after',
    runs: (setting: QuarantineSetting) => Promise<(() => Promise<unknown>)[]>,
    check: (setting: QuarantineSetting, crashAt: number) => Promise<void>,
  ): Promise<number> => {
    for (let crashAt = 1; ; crashAt++) {
      const setting = new QuarantineSetting()
      const [first, ...rest] = await runs(setting)
      let writes = 0
      setting.fault = ({ operation, key }) => {
        const isWrite = operation === 'put' || operation === 'putIfAbsent'
        if (!isWrite || key.includes('_stream_ingest/')) return undefined
        return ++writes === crashAt ? { kind: 'crash', moment } : undefined
      }
      await first!()
      const hasCrashed = writes >= crashAt
      setting.fault = () => undefined
      for (const run of rest) await run()
      await check(setting, crashAt)
      await setting.assertReconciled()
      await setting.assertSound()
      if (!hasCrashed) return crashAt
    }
  }

  for (const moment of ['before', 'after'] as const) {
    test(`${moment} any write loses and repeats nothing`, async () => {
      const writes = await crashAtEach(
        moment,
        async setting => {
          setting.produce([sound(0), '{', sound(2), sound(3), '{', sound(5)])
          const processing = '{ on_bad_record: quarantine, batch_size: 3 }'
          return [() => setting.run({ processing }), () => setting.run()]
        },
        async setting => {
          assert.deepEqual(await setting.tablePlaces(), ['0@0000', '0@0002', '0@0003', '0@0005'])
          assert.deepEqual(await setting.waiting(), ['0@0001', '0@0004'])
          assert.equal((await setting.rows()).length, 2, 'nothing is left of attempts that came to nothing')
        },
      )
      assert(writes > 10, `${writes}`)
    })

    test(`${moment} any write, and restarts under a schema that takes other records: each is in one place`, async () => {
      await crashAtEach(
        moment,
        async setting => {
          // The first run makes a table that takes nulls.
          setting.produce([sound(0)])
          await setting.run()
          const lenient = (): Promise<unknown> =>
            setting.run({ processing: '{ on_bad_record: quarantine, batch_size: 1 }' })
          setting.produce(['{"id":1}', '{', sound(3)])
          return [() => setting.run({ schema: STRICT }), lenient]
        },
        async setting => {
          const rows = await setting.tablePlaces()
          const waiting = await setting.waiting()
          assert.deepEqual([...rows, ...waiting].sort(), places(0, 4))
          assert(waiting.includes('0@0002') && !waiting.includes('0@0000'))
          assert.equal((await setting.rows()).length, waiting.length)
        },
      )
    })
  }

  test('and restarts under a schema that takes the record has it in the table alone', async () => {
    const setting = new QuarantineSetting()
    setting.produce([sound(0)])
    await setting.run()
    setting.produce(['{"id":1}', sound(2)])
    // After the quarantine's commit, before the table's.
    setting.fault = ({ operation, key }) =>
      operation === 'putIfAbsent' && key === 'events/_delta_log/00000000000000000002.json'
        ? { kind: 'crash', moment: 'before' }
        : undefined
    assert.equal((await setting.run({ schema: STRICT })).success, false)
    setting.fault = () => undefined
    assert.equal((await setting.rows()).length, 1, 'the quarantine’s commit stands')
    assert.deepEqual(await setting.waiting(), [], 'and counts for nothing')
    await setting.run()
    assert.deepEqual(await setting.tablePlaces(), places(0, 3))
    assert.deepEqual(await setting.rows(), [], 'what was left of it is gone')
    await setting.assertSound()
  })

  test('and restarts under a schema that refuses other records too has those in the quarantine', async () => {
    const setting = new QuarantineSetting()
    setting.produce([sound(0)])
    await setting.run()
    setting.produce(['{', '{"id":2}', sound(3)])
    setting.fault = ({ operation, key }) =>
      operation === 'putIfAbsent' && key === 'events/_delta_log/00000000000000000002.json'
        ? { kind: 'crash', moment: 'before' }
        : undefined
    assert.equal((await setting.run()).success, false)
    setting.fault = () => undefined
    await setting.run({ schema: STRICT })
    assert.deepEqual(await setting.tablePlaces(), ['0@0000', '0@0003'])
    assert.deepEqual(await setting.waiting(), ['0@0001', '0@0002'])
    assert.equal((await setting.rows()).length, 2)
  })

  test('while another with another schema takes over: the one whose commit of the table comes first decides', async () => {
    const setting = new QuarantineSetting()
    setting.produce([sound(0)])
    await setting.run()
    setting.produce(['{"id":1}', sound(2)])
    let other: Promise<unknown> | null = null
    setting.fault = ({ operation, key }) => {
      if (operation !== 'putIfAbsent' || key !== 'events/_delta_log/00000000000000000002.json')
        return undefined
      if (other !== null) return undefined
      // The strict one has quarantined the record and is about to commit: the lenient one is faster.
      other = setting.run()
      setting.wait = async () => other
      return { kind: 'slow', delayMs: 1 }
    }
    const { success } = await setting.run({ schema: STRICT })
    await other
    assert.equal(success, true)
    const rows = await setting.tablePlaces()
    const waiting = await setting.waiting()
    assert.deepEqual([...rows, ...waiting].sort(), places(0, 3))
    await setting.run()
    assert.equal((await setting.rows()).length, waiting.length)
  })
})

suite('`DeltaWriter` puts bad records into the quarantine', () => {
  const setUp = (processing = QUARANTINE) => {
    const setting = new QuarantineSetting()
    const { store, runtime } = setting
    const open = () => new DeltaWriter(pipelineConfig({ processing }), { store, runtime })
    return { setting, open, writer: open() }
  }

  test('once, however often a batch comes', async () => {
    const { setting, writer, open } = setUp()
    const batch = [message(0), message(1, '{'), message(2)]
    const first = await writer.writeBatch(batch)
    assert.deepEqual([first.messages, first.rowsWritten, first.badRecords, first.quarantined], [3, 2, 1, 1])
    const again = await open().writeBatch(batch)
    assert.deepEqual([again.duplicates, again.quarantined], [3, 0])
    assert.deepEqual(await setting.tablePlaces(), ['0@0000', '0@0002'])
    assert.deepEqual(await setting.waiting(), ['0@0001'])
    await setting.assertReconciled()
  })

  test('also where a batch holds nothing else', async () => {
    const { setting, writer } = setUp()
    const { quarantined, commits } = await writer.writeBatch([message(0, '{'), message(1, '[')])
    assert.deepEqual([quarantined, commits], [2, 1])
    assert.equal(await writer.nextOffset('t', 0), 2n)
    assert.equal((await setting.waiting()).length, 2)
  })

  test('and at once from several processes', async () => {
    const { setting, open } = setUp()
    const batch = Array.from({ length: 20 }, (_, i) => message(i, i % 3 === 0 ? '{' : undefined))
    await Promise.all([open(), open(), open()].map(writer => writer.writeBatch(batch)))
    assert.equal((await setting.tablePlaces()).length, 13)
    assert.equal((await setting.waiting()).length, 7)
    await open().writeBatch([message(20)])
    assert.equal((await setting.rows()).length, 7)
    await setting.assertSound()
  })
})

suite('`write_mode: overwrite` replaces the quarantine with the table', () => {
  const OVERWRITE = 'write_mode: overwrite'
  const SMALL = '{ on_bad_record: quarantine, batch_size: 2 }'

  test('by the bad records of the run, however many parts it is made of', async () => {
    const setting = new QuarantineSetting(2)
    setting.produce(['{', sound(1), '{'])
    setting.produce(['{'], 1)
    await setting.run()
    setting.produce([sound(3), '{', '{'])
    const { metrics } = await setting.run({ delta: OVERWRITE, processing: SMALL })
    assert.deepEqual([metrics.rows, metrics.quarantined], [2, 5])
    assert.deepEqual(await setting.tablePlaces(), ['0@0001', '0@0003'])
    assert.deepEqual(await setting.waiting(), ['0@0000', '0@0002', '0@0004', '0@0005', '1@0000'])
    assert.equal((await setting.rows()).length, 5, 'those of the table before are gone')
    await setting.assertReconciled()
    await setting.assertSound()
  })

  test('also those of partitions that have none any more', async () => {
    const setting = new QuarantineSetting(2)
    setting.produce([sound(0)])
    setting.produce(['{"id":0}', sound(1)], 1)
    // The table takes nulls; only the schema of this run does not.
    await setting.run({ processing: '{ on_bad_record: skip }' })
    const strict = await setting.run({ delta: OVERWRITE, schema: STRICT })
    assert.equal(strict.metrics.quarantined, 1)
    const { metrics } = await setting.run({ delta: OVERWRITE })
    assert.deepEqual([metrics.rows, metrics.quarantined], [3, 0])
    assert.deepEqual(await setting.rows(), [])
    // An appending run goes on from there.
    setting.produce(['{'], 1)
    await setting.run()
    assert.deepEqual(await setting.waiting(), ['1@0002'])
  })

  test('and a process that starts meanwhile takes nothing of it away', async () => {
    const setting = new QuarantineSetting()
    setting.produce(['{', sound(1), '{'])
    await setting.run()
    let other: Promise<unknown> | null = null
    setting.fault = ({ operation, key }) => {
      if (other !== null || operation !== 'put' || !key.startsWith('events/')) return undefined
      // What the run has put into the quarantine counts nowhere yet; the table has long passed its offsets.
      other = setting.run({ processing: QUARANTINE })
      setting.wait = async () => other
      return { kind: 'slow', delayMs: 1 }
    }
    const { success } = await setting.run({ delta: OVERWRITE, processing: SMALL })
    await other
    assert.deepEqual([success, other !== null], [true, true])
    assert.deepEqual(await setting.waiting(), ['0@0000', '0@0002'])
    assert.equal((await setting.rows()).length, 2)
  })

  test('and a replay that is under way adds nothing of the table before', async () => {
    const setting = new QuarantineSetting()
    setting.produce([sound(0)])
    await setting.run()
    setting.produce(['{"id":1}', '{'])
    await setting.run({ schema: STRICT })
    assert.equal((await setting.waiting()).length, 2)
    let other: Promise<unknown> | null = null
    setting.fault = ({ operation, key }) => {
      if (other !== null || operation !== 'put' || !key.startsWith('events/')) return undefined
      // The replay has marked the record; the run reads it again, and takes it.
      other = setting.run({ delta: OVERWRITE })
      setting.wait = async () => other
      return { kind: 'slow', delayMs: 1 }
    }
    await setting.replay()
    const result = (await other) as { success: boolean } | null
    assert.equal(result?.success, true)
    assert.deepEqual(await setting.tablePlaces(), ['0@0000', '0@0001'])
    assert.deepEqual(await setting.waiting(), ['0@0002'])
    await setting.assertSound()
  })

  test('all or nothing: a run that dies leaves both as they were', async () => {
    for (let crashAt = 1; ; crashAt++) {
      const setting = new QuarantineSetting()
      setting.produce(['{', sound(1)])
      await setting.run()
      setting.produce([sound(2), '{', '{', sound(5)])
      let writes = 0
      let isCommitted = false
      setting.fault = ({ operation, key }) => {
        if (operation !== 'put' && operation !== 'putIfAbsent') return undefined
        if (++writes === crashAt) return { kind: 'crash', moment: 'before' }
        if (key === 'events/_delta_log/00000000000000000002.json') isCommitted = true
        return undefined
      }
      await setting.run({ delta: OVERWRITE, processing: SMALL })
      setting.fault = () => undefined
      const before = ['0@0000']
      assert.deepEqual(await setting.waiting(), isCommitted ? [...before, '0@0003', '0@0004'] : before)
      await setting.run()
      assert.deepEqual(await setting.waiting(), ['0@0000', '0@0003', '0@0004'])
      assert.equal((await setting.rows()).length, 3)
      assert.deepEqual(await setting.tablePlaces(), ['0@0001', '0@0002', '0@0005'])
      await setting.assertSound()
      if (writes < crashAt) return
    }
  })
})

suite('limits of bad records', () => {
  for (const policy of ['skip', 'quarantine']) {
    test(`\`max_bad_records\` stops the run under \`${policy}\`, everything before being committed`, async () => {
      const setting = new QuarantineSetting()
      setting.produce([sound(0), '{', sound(2), '{', sound(4), '{', sound(6)])
      const processing = `{ on_bad_record: ${policy}, max_bad_records: 2, batch_size: 2 }`
      const { success, failures, metrics } = await setting.run({ processing })
      assert.equal(success, false)
      const { code, message: problem, exitCode, hint } = failures[0]!.error
      assert.deepEqual([code, exitCode], ['RECORD_LIMIT', 65])
      assert.match(
        problem,
        /^t\[0\]@5 \$.*this is bad record 3 of the run, and `processing.max_bad_records` is 2$/,
      )
      assert.match(hint, /a restart resumes there/)
      assert.deepEqual([metrics.rows, metrics.badRecords], [3, 2])
      assert.deepEqual(await setting.tablePlaces(), ['0@0000', '0@0002', '0@0004'])
      // The next run has a count of its own, and goes on at the record that was one too many.
      const next = await setting.run({ processing })
      assert.equal(next.success, true)
      assert.deepEqual(await setting.tablePlaces(), ['0@0000', '0@0002', '0@0004', '0@0006'])
      if (policy === 'quarantine') assert.deepEqual(await setting.waiting(), ['0@0001', '0@0003', '0@0005'])
    })
  }

  test('count over the attempts of a run that starts again', async () => {
    const setting = new QuarantineSetting()
    setting.produce(['{', sound(1), '{', sound(3)])
    let uploads = 0
    setting.fault = ({ operation, key }) =>
      operation === 'put' && key.startsWith('events/') && ++uploads === 2 ? { kind: 'throttled' } : undefined
    const processing =
      '{ on_bad_record: quarantine, max_bad_records: 1, batch_size: 1, retry_base_delay_ms: 1 }'
    const { failures } = await setting.run({ processing })
    assert.equal(failures[0]?.error.code, 'RECORD_LIMIT')
    assert.deepEqual(await setting.tablePlaces(), ['0@0001'])
  })

  test('none is allowed where `max_bad_records` is 0', async () => {
    const setting = new QuarantineSetting()
    setting.produce([sound(0), '{'])
    const { failures } = await setting.run({
      processing: '{ on_bad_record: quarantine, max_bad_records: 0 }',
    })
    assert.equal(failures[0]?.error.code, 'RECORD_LIMIT')
    assert.deepEqual(await setting.tablePlaces(), ['0@0000'])
    assert.deepEqual(await setting.waiting(), [])
  })

  test('`max_bad_ratio` waits for a thousand records, and stops at the one that is too many', async () => {
    const setting = new QuarantineSetting()
    // One in ten, for 990 records; then a flood.
    setting.produce(Array.from({ length: 990 }, (_, i) => (i % 10 === 0 ? '{' : sound(i))))
    setting.produce(Array.from({ length: 500 }, () => '{'))
    const processing = '{ on_bad_record: quarantine, max_bad_ratio: 0.2 }'
    const { failures, metrics } = await setting.run({ processing })
    const { error } = failures[0]!
    assert.equal(error.code, 'RECORD_LIMIT')
    assert.match(
      error.message,
      /of the last 1114 records 223 are bad, and `processing.max_bad_ratio` is 0.2$/,
    )
    assert.deepEqual([metrics.messages, metrics.badRecords], [1113, 222])
    assert.equal((await setting.waiting()).length, 222)
  })

  test('`max_bad_ratio` judges a short run at its end, when everything is committed', async () => {
    const setting = new QuarantineSetting()
    setting.produce([sound(0), '{'])
    const processing = '{ on_bad_record: quarantine, max_bad_ratio: 0.49 }'
    const { failures } = await setting.run({ processing })
    assert.match(failures[0]!.error.message, /of the last 2 records 1 are bad/)
    assert.deepEqual(await setting.tablePlaces(), ['0@0000'])
    assert.deepEqual(await setting.waiting(), ['0@0001'])
    assert.equal((await setting.run({ processing })).success, true)
  })

  test('hold for a batch that is handed in', async () => {
    const setting = new QuarantineSetting()
    const { store, runtime } = setting
    const processing = '{ on_bad_record: quarantine, max_bad_records: 1 }'
    const writer = new DeltaWriter(pipelineConfig({ processing }), { store, runtime })
    await writer.writeBatch([message(0, '{')])
    await assert.rejects(writer.writeBatch([message(1), message(2, '{'), message(3, '{')]), {
      code: 'RECORD_LIMIT',
    })
    assert.equal(await writer.nextOffset('t', 0), 3n)
    assert.deepEqual(await setting.waiting(), ['0@0000', '0@0002'])
  })
})
