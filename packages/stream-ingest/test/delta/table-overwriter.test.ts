import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { readCommit } from '@stream-ingest/delta'
import { DataFileWriter } from '../../src/delta/data-file-writer.ts'
import { OVERWRITE_ATTEMPTS_MAX, TableOverwriter } from '../../src/delta/table-overwriter.ts'
import {
  alterTable,
  CONFIGURED,
  columns,
  createTable,
  dataFiles,
  encoder,
  epoch,
  openWriter,
  runtime,
  store,
  tableRows,
} from './table-fixture.ts'

const EXTENDED = columns({ id: 'integer', day: 'date', who: 'string' })
const details = (offset: bigint) => ({ offsets: new Map([['p:0', offset]]), metrics: {}, queryId: 'q' })

suite('an overwrite of a table', () => {
  test('shows nothing before its commit, and only its own rows after it', async () => {
    await createTable()
    const writer = await openWriter()
    await writer.writeEpoch(epoch(CONFIGURED, [{ id: 1 }], 'p:0', null))
    const overwriter = writer.beginOverwrite()
    await overwriter.take(epoch(CONFIGURED, [{ id: 2 }], 'p:0', null))
    await overwriter.take(epoch(CONFIGURED, [{ id: 3 }], 'p:0', null))
    assert.deepEqual(await tableRows(['id']), [{ id: 1 }])
    assert.equal((await overwriter.commit(details(9n))).status, 'committed')
    assert.deepEqual(await tableRows(['id']), [{ id: 2 }, { id: 3 }])
    assert.equal(writer.nextOffset('p:0'), 9n)
  })

  test('takes out what others added meanwhile, whoever came first', async () => {
    await createTable()
    const [ours, theirs] = [await openWriter(), await openWriter()]
    const overwriter = ours.beginOverwrite()
    await overwriter.take(epoch(CONFIGURED, [{ id: 2 }], 'p:0', null))
    await theirs.writeEpoch(epoch(CONFIGURED, [{ id: 1 }], 'o:0', null))
    const outcome = await overwriter.commit(details(1n))
    assert.equal(outcome.status === 'committed' && outcome.version, 2)
    assert.deepEqual(await tableRows(['id']), [{ id: 2 }])
    assert.equal(ours.nextOffset('o:0'), 1n, 'their progress stays: their rows are not written again')
  })

  test('gives up where others never stop changing the table', async () => {
    await createTable()
    const [ours, theirs] = [await openWriter(), await openWriter()]
    const overwriter = ours.beginOverwrite()
    await overwriter.take(epoch(CONFIGURED, [{ id: 2 }], 'p:0', null))
    // Another writer is always there before the list of files has been read.
    const { table } = ours
    const overwrite = table.overwrite.bind(table)
    let count = 0
    table.overwrite = async (...args) => {
      await theirs.writeEpoch(epoch(CONFIGURED, [{ id: 1 }], `o:${count++}`, null))
      return overwrite(...args)
    }
    await assert.rejects(overwriter.commit(details(1n)), { code: 'DELTA_COMMIT_CONTENTION' })
    assert.equal(count, OVERWRITE_ATTEMPTS_MAX)
  })

  for (const isLate of [false, true]) {
    const when = isLate ? 'while it was committed' : 'before it was committed'
    test(`is fenced by a writer of its own progress, also behind another one, ${when}`, async () => {
      await createTable()
      const [ours, theirs] = [await openWriter(), await openWriter()]
      const overwriter = ours.beginOverwrite()
      await overwriter.take(epoch(CONFIGURED, [{ id: 2 }], 'p:0', null))
      await theirs.writeEpoch(epoch(CONFIGURED, [{ id: 1 }], 'o:0', null))
      await theirs.writeEpoch(epoch(CONFIGURED, [{ id: 1 }], 'p:0', null))
      if (!isLate) await ours.table.reload()
      const outcome = await overwriter.commit(details(1n))
      assert.deepEqual([outcome.status, outcome.status === 'fenced' && outcome.appId], ['fenced', 'p:0'])
      assert.deepEqual(await tableRows(['id']), [{ id: 1 }, { id: 1 }])
    })
  }

  test('brings columns in the same commit, those of several epochs in one metadata', async () => {
    await createTable()
    const writer = await openWriter()
    const overwriter = writer.beginOverwrite()
    const more = columns({ id: 'integer', day: 'date', at: 'timestamp_ntz' })
    await overwriter.take(epoch(EXTENDED, [{ id: 1, who: 'a' }], 'p:0', null))
    await overwriter.take(epoch(more, [{ id: 2, at: 5n }], 'p:0', null))
    await overwriter.take(epoch(EXTENDED, [{ id: 3, who: 'c' }], 'p:0', null))
    const outcome = await overwriter.commit(details(3n))
    assert(outcome.status === 'committed')
    assert.deepEqual(
      outcome.schemaChanges.map(change => change.path),
      ['who', 'at'],
    )
    assert.deepEqual(
      (await readCommit(store, 1))!.map(a => Object.keys(a)[0]),
      ['commitInfo', 'protocol', 'metaData', 'txn', 'add', 'add', 'add'],
    )
    assert.deepEqual(await tableRows(['id', 'who', 'at']), [
      { id: 1, who: 'a', at: null },
      { id: 2, who: null, at: 5n },
      { id: 3, who: 'c', at: null },
    ])
  })

  test('keeps its files where the schema was changed meanwhile and they still fit', async () => {
    await createTable()
    const writer = await openWriter()
    const overwriter = writer.beginOverwrite()
    await overwriter.take(epoch(EXTENDED, [{ id: 1, who: 'a' }], 'p:0', null))
    await alterTable(columns({ id: 'integer', day: 'date', why: 'double' }))
    const outcome = await overwriter.commit(details(1n))
    assert.equal(outcome.status, 'committed')
    assert.deepEqual(await tableRows(['id', 'why', 'who']), [{ id: 1, why: null, who: 'a' }])
  })

  test('is worth another run where the schema was changed meanwhile and they do not', async () => {
    await createTable()
    const writer = await openWriter()
    const overwriter = writer.beginOverwrite()
    await overwriter.take(epoch(EXTENDED, [{ id: 1, who: 'a' }], 'p:0', null))
    await alterTable(columns({ id: 'long', day: 'date' }))
    await assert.rejects(
      overwriter.commit(details(1n)),
      (error: Error & { code?: string; isRetryable?(): boolean }) =>
        error.code === 'DELTA_TABLE_CHANGED' && error.isRetryable?.() === true,
    )
    assert.deepEqual(await tableRows(['id']), [])
  })

  test('of more files than one commit can hold is refused', async () => {
    await createTable()
    const { table } = await openWriter()
    const layout = {
      partitionColumns: ['day'],
      targetFileSizeBytes: 1 << 20,
      file: { codec: 'snappy' },
    } as const
    const files = new DataFileWriter(table.store, encoder, runtime, layout)
    const fit = { schema: CONFIGURED, partitionColumns: ['day'], mergeSchema: false, newUuid: runtime.uuid }
    const overwriter = new TableOverwriter(table, files, runtime, fit, 2)
    const take = () => overwriter.take(epoch(CONFIGURED, [{ id: 1 }], 'p:0', null))
    await take()
    await take()
    await assert.rejects(take(), { code: 'DELTA_TABLE_TOO_LARGE', message: /more than 2 files/ })
    assert.equal(await dataFiles(), 3)
  })
})
