import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { DeltaTable, loadSnapshot, scanTable } from '@stream-ingest/delta'
import { QuarantineSetting, STRICT, sound } from './quarantine-fixture.ts'
import { NOW_MS } from './table-fixture.ts'

/** Offsets 0 to 5: three sound, two that only a strict schema refuses, one that none takes. */
async function quarantined(): Promise<QuarantineSetting> {
  const setting = new QuarantineSetting()
  setting.produce([sound(0)])
  await setting.run()
  setting.produce(['{"id":1}', sound(2), '{', '{"id":4}', sound(5)])
  await setting.run({ schema: STRICT, processing: '{ on_bad_record: quarantine, batch_size: 2 }' })
  assert.deepEqual(await setting.waiting(), ['0@0001', '0@0003', '0@0004'])
  return setting
}

suite('a replay of the quarantine', () => {
  test('ingests what fits by now, once, and records it', async () => {
    const setting = await quarantined()
    const first = await setting.replay()
    const { tried, replayed, rows, misfits, misfitReasons, commits } = first
    assert.deepEqual(
      { tried, replayed, rows, misfits, commits },
      { tried: 3, replayed: 2, rows: 2, misfits: 1, commits: 1 },
    )
    assert.deepEqual(
      misfitReasons.map(r => [r.topic, r.partition, r.offset, r.errorCode, r.columnPath]),
      [['t', 0, 3n, 'RECORD_NOT_JSON', '$']],
    )
    assert.deepEqual(await setting.tablePlaces(), ['0@0000', '0@0001', '0@0002', '0@0004', '0@0005'])
    assert.deepEqual(await setting.waiting(), ['0@0003'])
    const marks = (await setting.rows()).map(row => [row.offset, row.replay, row.replayed_at])
    const now = BigInt(setting.runtime.now()) * 1000n
    assert.deepEqual(marks, [
      [1n, 1n, now],
      [3n, null, null],
      [4n, 1n, now],
    ])
    const again = await setting.replay()
    assert.deepEqual([again.tried, again.replayed, again.misfits, again.commits], [1, 0, 1, 0])
    assert.equal((await setting.tablePlaces()).length, 5)
    await setting.assertReconciled()
    await setting.assertSound()
  })

  test('keeps the metadata of the Kafka records', async () => {
    const setting = new QuarantineSetting()
    const delta = 'metadata_columns: true'
    setting.produce([sound(0)])
    await setting.run({ delta })
    const headers: [string, string][] = [['trace', 'abc']]
    setting.produce([{ key: 'k1', value: '{"id":1}', timestampMs: NOW_MS + 5, headers }])
    await setting.run({ delta, schema: STRICT })
    await setting.replay({ delta })
    const snapshot = (await loadSnapshot(setting.table))!
    for await (const rows of scanTable(snapshot)) {
      for (const row of rows) {
        if (row._kafka_offset !== 1n) continue
        assert.equal(row._kafka_timestamp, BigInt(NOW_MS + 5) * 1000n)
        assert.equal(row._kafka_topic, 't')
        assert.equal(Buffer.from(row._kafka_key as Uint8Array).toString(), 'k1')
        const [header] = row._kafka_headers as { key: string; value: Uint8Array }[]
        assert.deepEqual([header!.key, Buffer.from(header!.value).toString()], headers[0])
        return
      }
    }
    assert.fail('the row is there')
  })

  test('of records whose headers are not readable succeeds once nobody asks for them', async () => {
    const setting = new QuarantineSetting()
    setting.produce([
      { value: sound(0), timestampMs: NOW_MS, rawHeaders: Uint8Array.of(2, 2, 0xff, 2, 0x41) },
    ])
    await setting.run({ delta: 'metadata_columns: true' })
    assert.equal((await setting.replay({ delta: 'metadata_columns: true' })).misfits, 1)
    assert.equal((await setting.replay({ delta: 'metadata_columns: [partition, offset]' })).replayed, 1)
    assert.deepEqual(await setting.waiting(), [])
  })

  test('leaves out tombstones as the configuration says, and is done with them', async () => {
    const setting = new QuarantineSetting()
    setting.produce([sound(0), null])
    await setting.run({ processing: '{ on_bad_record: quarantine, on_null_value: bad }' })
    assert.deepEqual(await setting.waiting(), ['0@0001'])
    const { replayed, rows } = await setting.replay()
    assert.deepEqual([replayed, rows], [1, 0])
    assert.deepEqual(await setting.waiting(), [])
    await setting.assertReconciled()
  })

  test('adds columns under `merge_schema`', async () => {
    const setting = await quarantined()
    setting.produce(['{"id":6,"more":1}'])
    await setting.run({ schema: STRICT })
    await setting.replay({ delta: 'merge_schema: true' })
    const { state } = (await DeltaTable.open(setting.table))!
    assert(state.schema.fields.some(({ name }) => name === 'more'))
    assert.deepEqual(await setting.waiting(), ['0@0003'])
  })

  test('tries only what is asked for', async () => {
    const setting = await quarantined()
    const { tried } = await setting.replay({}, { filter: { errorCode: 'RECORD_NOT_JSON' } })
    assert.equal(tried, 1)
    assert.equal((await setting.replay({}, { filter: { partition: 1 } })).tried, 0)
    assert.equal((await setting.replay({}, { filter: { topic: 'other' } })).tried, 0)
    assert.equal((await setting.replay({}, { filter: { sinceMs: setting.runtime.now() + 1 } })).tried, 0)
    assert.equal((await setting.replay({}, { filter: { untilMs: NOW_MS } })).tried, 0)
    assert.equal((await setting.replay({}, { filter: { partition: 0, sinceMs: NOW_MS } })).tried, 3)
  })

  test('in a dry run says what would be ingested, and writes nothing', async () => {
    const setting = await quarantined()
    setting.fault = ({ operation }) =>
      operation === 'put' || operation === 'putIfAbsent' ? assert.fail('a dry run writes') : undefined
    const result = await setting.replay({ processing: '{ dry_run: true }' })
    assert.deepEqual([result.dryRun, result.tried, result.replayed, result.misfits], [true, 3, 2, 1])
    assert(result.bytesWritten > 0 && result.commits === 0)
    assert.deepEqual(await setting.waiting(), ['0@0001', '0@0003', '0@0004'])
  })

  test('finds nothing to do where there is no quarantine', async () => {
    const setting = new QuarantineSetting()
    setting.produce([sound(0)])
    await setting.run()
    const result = await setting.replay()
    assert.deepEqual([result.tried, result.quarantineVersion], [0, null])
  })

  test('ends after the commit that is under way when it is asked to', async () => {
    const setting = await quarantined()
    const stop = new AbortController()
    const result = await setting.replay(
      {},
      { batchRecords: 1, signal: stop.signal, progressed: () => stop.abort() },
    )
    assert.equal(result.tried, 1)
    await setting.replay()
    assert.deepEqual(await setting.waiting(), ['0@0003'])
  })

  for (const moment of ['before', 'after'] as const) {
    test(`that dies ${moment} any write, and is run again, repeats and loses nothing`, async () => {
      for (let crashAt = 1; ; crashAt++) {
        const setting = await quarantined()
        let writes = 0
        setting.fault = ({ operation }) => {
          if (operation !== 'put' && operation !== 'putIfAbsent') return undefined
          return ++writes === crashAt ? { kind: 'crash', moment } : undefined
        }
        await setting.replay({}, { batchRecords: 1 }).catch(() => {})
        setting.fault = () => undefined
        const between = [...(await setting.tablePlaces()), ...(await setting.waiting())].sort()
        assert.deepEqual(between, ['0@0000', '0@0001', '0@0002', '0@0003', '0@0004', '0@0005'])
        await setting.replay()
        assert.deepEqual(await setting.tablePlaces(), ['0@0000', '0@0001', '0@0002', '0@0004', '0@0005'])
        assert.deepEqual(await setting.waiting(), ['0@0003'])
        const marks = (await setting.rows()).map(row => row.replayed_at !== null)
        assert.deepEqual(marks, [true, false, true], 'no mark is left of what came to nothing')
        await setting.assertReconciled()
        await setting.assertSound()
        if (writes < crashAt) {
          assert(crashAt > 8, `${crashAt}`)
          return
        }
      }
    })
  }

  test('that dies, and is run again under a schema that takes less, leaves the rest in the quarantine', async () => {
    const setting = await quarantined()
    setting.fault = ({ operation, key }) =>
      operation === 'putIfAbsent' && /^events\/_delta_log\/\d+\.json$/.test(key)
        ? { kind: 'crash', moment: 'before' }
        : undefined
    await assert.rejects(setting.replay())
    setting.fault = () => undefined
    assert.equal((await setting.rows()).filter(row => row.replay !== null).length, 2, 'the marks are there')
    const { replayed } = await setting.replay({ schema: STRICT })
    assert.equal(replayed, 0)
    assert.deepEqual(await setting.waiting(), ['0@0001', '0@0003', '0@0004'])
    assert.equal((await setting.rows()).filter(row => row.replay !== null).length, 0)
  })

  test('at once with another, and with runs, ingests each record once', async () => {
    const setting = await quarantined()
    setting.produce(['{"id":6}', sound(7), '{"id":8}'])
    await Promise.all([
      setting.replay({}, { batchRecords: 1 }),
      setting.run({ schema: STRICT }),
      setting.replay({}, { batchRecords: 2 }),
    ])
    await setting.replay()
    assert.deepEqual(
      await setting.tablePlaces(),
      [0, 1, 2, 4, 5, 6, 7, 8].map(offset => `0@000${offset}`),
    )
    assert.deepEqual(await setting.waiting(), ['0@0003'])
    await setting.assertSound()
  })
})
