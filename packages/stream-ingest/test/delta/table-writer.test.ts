import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import {
  type DataType,
  evolveTable,
  field,
  primitive,
  readCommit,
  struct,
  type TableRow,
} from '@stream-ingest/delta'
import {
  alterTable,
  CONFIGURED,
  columns,
  createTable,
  dataFiles,
  epoch,
  openWriter,
  runtime,
  store,
  tableRows,
} from './table-fixture.ts'

const metadataCommits = async (upTo: number): Promise<number[]> => {
  const versions: number[] = []
  for (let version = 0; version <= upTo; version++) {
    if ((await readCommit(store, version))!.some(action => 'metaData' in action)) versions.push(version)
  }
  return versions
}

suite('an epoch with columns that the table lacks', () => {
  const EXTENDED = columns({ id: 'integer', day: 'date', who: 'string' })

  test('adds them in its own commit; the next one adds nothing', async () => {
    await createTable()
    const writer = await openWriter()
    const first = await writer.writeEpoch(epoch(EXTENDED, [{ id: 1, who: 'a' }], 'p:0', null))
    assert(first.status === 'committed')
    assert.deepEqual(
      first.schemaChanges.map(c => [c.kind, c.path]),
      [['field-added', 'who']],
    )
    const second = await writer.writeEpoch(epoch(EXTENDED, [{ id: 2, who: 'b' }], 'p:0', 1n))
    assert(second.status === 'committed')
    assert.deepEqual(second.schemaChanges, [])
    assert.deepEqual(await metadataCommits(2), [0, 1])
    assert.deepEqual(await tableRows(['id', 'who']), [
      { id: 1, who: 'a' },
      { id: 2, who: 'b' },
    ])
  })

  test('keeps its files where another writer added the same column, and needs no metadata of its own', async () => {
    await createTable()
    const [ours, theirs] = [await openWriter(), await openWriter()]
    await theirs.writeEpoch(epoch(EXTENDED, [{ id: 1, who: 'a' }], 'o:0', null))
    const outcome = await ours.writeEpoch(epoch(EXTENDED, [{ id: 2, who: 'b' }], 'p:0', null))
    assert(outcome.status === 'committed')
    assert.deepEqual(outcome.schemaChanges, [])
    assert.deepEqual(await metadataCommits(2), [0, 1])
    assert.equal(await dataFiles(), 2)
    assert.deepEqual(await tableRows(['id', 'who']), [
      { id: 1, who: 'a' },
      { id: 2, who: 'b' },
    ])
  })

  test('keeps its files where another writer added another column; none is lost', async () => {
    await createTable()
    const [ours, theirs] = [await openWriter(), await openWriter()]
    const other = columns({ id: 'integer', day: 'date', why: 'double' })
    await theirs.writeEpoch(epoch(other, [{ id: 1, why: 0.5 }], 'o:0', null))
    const outcome = await ours.writeEpoch(epoch(EXTENDED, [{ id: 2, who: 'b' }], 'p:0', null))
    assert(outcome.status === 'committed')
    assert.deepEqual(await metadataCommits(2), [0, 1, 2])
    assert.equal(await dataFiles(), 2)
    assert.deepEqual(await tableRows(['id', 'who', 'why']), [
      { id: 1, who: null, why: 0.5 },
      { id: 2, who: 'b', why: null },
    ])
  })

  test('is to be decoded anew where another writer gave the same column another type', async () => {
    await createTable()
    const [ours, theirs] = [await openWriter(), await openWriter()]
    const other = columns({ id: 'integer', day: 'date', who: 'double' })
    await theirs.writeEpoch(epoch(other, [{ id: 1, who: 0.5 }], 'o:0', null))
    const outcome = await ours.writeEpoch(epoch(EXTENDED, [{ id: 2, who: 'b' }], 'p:0', null))
    assert(outcome.status === 'schema-changed')
    assert.equal(outcome.winner, 1)
    assert.match(outcome.problems.join(), /`who` is `double` in the table and `string` in the incoming rows/)
    assert.equal(ours.nextOffset('p:0'), null, 'nothing of it is in the table')
  })

  test('is written as the table has it where another writer gave the same column a wider type', async () => {
    await createTable()
    const [ours, theirs] = [await openWriter(), await openWriter()]
    const narrow = columns({ id: 'integer', day: 'date', n: 'integer' })
    const wide = columns({ id: 'integer', day: 'date', n: 'long' })
    await theirs.writeEpoch(epoch(wide, [{ id: 1, n: 1n }], 'o:0', null))
    const outcome = await ours.writeEpoch(epoch(narrow, [{ id: 2, n: 2 }], 'p:0', null))
    assert.equal(outcome.status, 'committed')
    assert.equal(await dataFiles(), 3, 'the files of the narrower type are left behind')
    assert.deepEqual(await tableRows(['id', 'n']), [
      { id: 1, n: 1n },
      { id: 2, n: 2n },
    ])
  })

  test('is fenced rather than written twice where the winner was a writer of its own', async () => {
    await createTable()
    const [ours, theirs] = [await openWriter(), await openWriter()]
    await theirs.writeEpoch(epoch(EXTENDED, [{ id: 1, who: 'a' }], 'p:0', null))
    const outcome = await ours.writeEpoch(epoch(EXTENDED, [{ id: 1, who: 'a' }], 'p:0', null))
    assert.equal(outcome.status, 'fenced')
  })

  test('reports its files in a dry run and leaves the table alone', async () => {
    await createTable()
    const writer = await openWriter()
    const [file] = writer.planEpoch(epoch(EXTENDED, [{ id: 1, who: 'a' }], 'p:0', null))
    assert.equal(file?.rowCount, 1)
    assert.equal(await dataFiles(), 0)
  })
})

suite('an epoch with new columns for a column-mapped table', () => {
  const EXTENDED = columns({ id: 'integer', day: 'date', 'who is': 'string' })
  const mapped = { 'delta.columnMapping.mode': 'name' }

  test('gives them physical names, which its files have', async () => {
    await createTable(CONFIGURED, mapped)
    const writer = await openWriter()
    await writer.writeEpoch(epoch(EXTENDED, [{ id: 1, 'who is': 'a' }], 'p:0', null))
    await writer.writeEpoch(epoch(EXTENDED, [{ id: 2, 'who is': 'b' }], 'p:0', 1n))
    assert.equal(writer.table.state.metadata.configuration['delta.columnMapping.maxColumnId'], '3')
    assert.deepEqual(await tableRows(['id', 'who is']), [
      { id: 1, 'who is': 'a' },
      { id: 2, 'who is': 'b' },
    ])
  })

  test('encodes its files anew where another writer gave the column another physical name', async () => {
    await createTable(CONFIGURED, mapped)
    const [ours, theirs] = [await openWriter(), await openWriter()]
    await theirs.writeEpoch(epoch(EXTENDED, [{ id: 1, 'who is': 'a' }], 'o:0', null))
    const outcome = await ours.writeEpoch(epoch(EXTENDED, [{ id: 2, 'who is': 'b' }], 'p:0', null))
    assert.equal(outcome.status, 'committed')
    assert.equal(await dataFiles(), 3)
    assert.deepEqual(await metadataCommits(2), [0, 1])
    assert.deepEqual(await tableRows(['id', 'who is']), [
      { id: 1, 'who is': 'a' },
      { id: 2, 'who is': 'b' },
    ])
  })
})

suite('a table that others change underneath', () => {
  test('of more columns and wider types takes what is configured, in its own types', async () => {
    const inner = (type: string): DataType => columns({ a: type })
    const configured = columns({ id: 'integer', day: 'date', s: inner('short') })
    await createTable(configured)
    const writer = await openWriter(configured, false)
    const row = (id: number): TableRow => ({ id, s: { a: id } })
    await writer.writeEpoch(epoch(configured, [row(1)], 'p:0', null))
    const wider = columns({
      more: 'string',
      id: 'integer',
      s: columns({ b: 'double', a: 'integer' }),
      day: 'date',
    })
    await alterTable(wider)
    const outcome = await writer.writeEpoch(epoch(configured, [row(2)], 'p:0', 1n))
    assert.equal(outcome.status, 'committed')
    assert.deepEqual(await tableRows(['id', 's', 'more']), [
      { id: 1, s: { b: null, a: 1 }, more: null },
      { id: 2, s: { b: null, a: 2 }, more: null },
    ])
  })

  for (const mergeSchema of [false, true]) {
    test(`that does not take what is configured ends the writer, with merging ${mergeSchema}`, async () => {
      await createTable()
      const writer = await openWriter(CONFIGURED, mergeSchema)
      await alterTable(columns({ id: 'string', day: 'date' }))
      await assert.rejects(writer.writeEpoch(epoch(CONFIGURED, [{ id: 1 }], 'p:0', null)), {
        code: 'TABLE_SCHEMA_MISMATCH',
      })
    })
  }

  test('with a column in a struct that must not be null is refused', async () => {
    const inner = struct([field('a', primitive('long')), field('b', primitive('long'), false)])
    await createTable(struct([...CONFIGURED.fields, field('s', inner)]))
    for (const s of [columns({ a: 'long' }), columns({ a: 'long', b: 'long' })]) {
      const configured = columns({ id: 'integer', day: 'date', s })
      await assert.rejects(openWriter(configured, true), {
        code: 'TABLE_SCHEMA_MISMATCH',
        message: /column `s\.b` may not be null/,
      })
    }
  })
})

test('a configured column that the table lacks is added where merging is allowed, and refused where not', async () => {
  await createTable()
  const configured = columns({ id: 'integer', day: 'date', late: 'boolean' })
  await assert.rejects(openWriter(configured, false), { code: 'TABLE_SCHEMA_MISMATCH' })
  const writer = await openWriter(configured, true)
  await writer.writeEpoch(epoch(configured, [{ id: 1, late: true }], 'p:0', null))
  assert.equal(evolveTable(writer.table.state, configured, runtime.uuid).status, 'unchanged')
})
