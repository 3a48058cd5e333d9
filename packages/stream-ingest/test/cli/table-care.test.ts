import assert from 'node:assert/strict'
import { readdir, rm, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { checkTable, field, openStore, parseJson, primitive, struct } from '@stream-ingest/delta'
import { show, showAll, temporaryFolder, type World, writeTable } from './table-fixture.ts'

const SCHEMA = struct([field('id', primitive('long'), false), field('name', primitive('string'))])
const DAY_MS = 86_400_000

/** Six versions of a file each. */
async function lake(t: TestContext): Promise<World & { readonly table: string }> {
  const cwd = await temporaryFolder(t)
  const table = join(cwd, 'events')
  await writeTable(table, {
    schema: SCHEMA,
    commits: [1n, 2n, 3n, 4n, 5n].map(id => ({ files: [{ rows: [{ id, name: `n${id}` }] }] })),
  })
  return { cwd, table }
}

async function documentOf(args: readonly string[], world: World): Promise<Record<string, unknown>> {
  return parseJson(await showAll(args, world)) as Record<string, unknown>
}

async function dataFiles(table: string): Promise<string[]> {
  return (await readdir(table)).filter(name => name.endsWith('.parquet'))
}

async function assertSound(table: string): Promise<void> {
  assert.deepEqual((await checkTable(openStore(table), { deep: true })).findings, [])
}

describe('optimize', () => {
  test('makes one file of many, keeps the rows, and finds nothing to do the second time', async t => {
    const world = await lake(t)
    const before = await showAll(['read', 'events'], world)
    const text = await showAll(['optimize', 'events'], world)
    assert.match(text, /^file:.*\n5 files \(.*\) became 1 file \(.*\), 5 rows, in 1 commit {3}version 6\n$/)
    const after = await showAll(['read', 'events'], world)
    assert.deepEqual(after.split('\n').toSorted(), before.split('\n').toSorted())
    assert.match(await showAll(['optimize', 'events'], world), /\nnothing to compact\n$/)
    await assertSound(world.table)
  })

  test('says with --dry-run what it would do, and does nothing', async t => {
    const world = await lake(t)
    const { dryRun, filesRemoved, filesAdded, commits, version } = await documentOf(
      ['optimize', 'events', '--dry-run', '--json'],
      world,
    )
    assert.deepEqual([dryRun, filesRemoved, filesAdded, commits, version], [true, 5, 1, 0, 5])
    assert.equal((await dataFiles(world.table)).length, 5)
  })

  test('leaves a partition alone with too few files, or that is still being written', async t => {
    const world = await lake(t)
    for (const options of [
      ['--min-files', '6'],
      ['--quiet-for', '1h'],
    ]) {
      const { filesRemoved } = await documentOf(['optimize', 'events', '--json', ...options], world)
      assert.equal(filesRemoved, 0, options.join(' '))
    }
  })

  test('refuses sizes without a unit and tables that are not there', async t => {
    const world = await lake(t)
    const wrong = await show(['optimize', 'events', '--target-size', '64'], world)
    assert.equal(wrong.exitCode, 64)
    assert.match(wrong.stderr, /a size with its unit/)
    const missing = await show(['optimize', 'nothing'], world)
    assert.equal(missing.exitCode, 66)
  })
})

describe('vacuum', () => {
  /** Compacted, and everything older than the retention. */
  async function old(t: TestContext): Promise<World & { readonly table: string }> {
    const world = await lake(t)
    await showAll(['optimize', 'events'], world)
    const past = new Date(Date.now() - 30 * DAY_MS)
    for (const name of await dataFiles(world.table)) await utimes(join(world.table, name), past, past)
    return { ...world, nowMs: Date.now() + 8 * DAY_MS }
  }

  test('says with --dry-run what would go, then deletes it, and nothing that is live', async t => {
    const world = await old(t)
    const rows = await showAll(['read', 'events'], world)
    const planned = await documentOf(['vacuum', 'events', '--dry-run', '--json'], world)
    assert.deepEqual([planned.dryRun, planned.filesDeleted, planned.retentionMs], [true, 5, 7 * DAY_MS])
    assert.equal((await dataFiles(world.table)).length, 6)
    assert.match(await showAll(['vacuum', 'events'], world), /^file:.*\ndeleted 5 files /)
    assert.equal((await dataFiles(world.table)).length, 1)
    assert.equal(await showAll(['read', 'events'], world), rows)
    assert.equal((await documentOf(['vacuum', 'events', '--json'], world)).filesDeleted, 0)
  })

  test('looks with --lite at the commits since the last time alone, and finds no orphan', async t => {
    const world = await old(t)
    const past = new Date(Date.now() - 30 * DAY_MS)
    await writeFile(join(world.table, 'orphan.parquet'), 'x')
    await utimes(join(world.table, 'orphan.parquet'), past, past)
    const planned = await documentOf(['vacuum', 'events', '--lite', '--dry-run', '--json'], world)
    assert.deepEqual([planned.filesDeleted, planned.objectsListed, planned.commitsRead], [5, 0, 7])
    assert.match(
      await showAll(['vacuum', 'events', '--lite'], world),
      /\ndeleted 5 files .*\n.* looked at 7 commits/,
    )
    assert.equal((await dataFiles(world.table)).length, 2)
    const again = await documentOf(['vacuum', 'events', '--lite', '--json'], world)
    assert.deepEqual([again.filesDeleted, again.commitsRead], [0, 0])
    await assertSound(world.table)
  })

  test('keeps what was in the table within the retention', async t => {
    const world = await old(t)
    const { filesDeleted } = await documentOf(['vacuum', 'events', '--retention', '10d', '--json'], world)
    assert.equal(filesDeleted, 0)
  })

  test('refuses a shorter retention than the table’s, unless it is allowed, and less than a day always', async t => {
    const world = await old(t)
    const short = await show(['vacuum', 'events', '--retention', '48h'], world)
    assert.notEqual(short.exitCode, 0)
    assert.match(short.stderr, /DELTA_RETENTION_TOO_SHORT/)
    const tooShort = await show(['vacuum', 'events', '--retention', '1h', '--allow-short-retention'], world)
    assert.match(tooShort.stderr, /DELTA_RETENTION_TOO_SHORT/)
    const allowed = ['vacuum', 'events', '--retention', '48h', '--allow-short-retention', '--json']
    assert.equal((await documentOf(allowed, world)).filesDeleted, 5)
  })
})

describe('checkpoint', () => {
  test('writes the checkpoint of the newest version once', async t => {
    const world = await lake(t)
    const planned = await documentOf(['checkpoint', 'events', '--dry-run', '--json'], world)
    assert.deepEqual([planned.status, planned.checkpointVersion], ['would-write', null])
    const text = await showAll(['checkpoint', 'events'], world)
    assert.match(text, /\ncheckpoint of version 5 written: 5 live files, 5 commits behind before\n$/)
    const again = await documentOf(['checkpoint', 'events', '--json'], world)
    assert.deepEqual([again.status, again.version, again.checkpointVersion], ['exists', 5, 5])
    await assertSound(world.table)
  })
})

describe('inspect table, part by part', () => {
  test('shows the history, the newest first, and where the log begins', async t => {
    const world = await lake(t)
    await showAll(['optimize', 'events'], world)
    const lines = (await showAll(['inspect', 'table', 'events', '--history', '--limit', '2'], world)).split(
      '\n',
    )
    const [header, newest, before, rest] = lines.slice(-5)
    assert.match(header!, /^version {2}time +operation +rows +files +bytes +by$/)
    assert.match(newest!, /^ +6 {2}\d{4}-.* UTC {2}OPTIMIZE +– {2}\+1 −5 .* stream-ingest\//)
    assert.match(before!, /^ +5 {2}.* WRITE +– +\+1 /)
    assert.equal(rest, '… 5 older (--limit shows more)')
    await showAll(['checkpoint', 'events'], world)
    for (const v of [0, 1, 2]) await rm(join(world.table, `_delta_log/0000000000000000000${v}.json`))
    const document = await documentOf(['inspect', 'table', 'events', '--history', '--json'], world)
    const versions = (document.history as { version: number }[]).map(entry => entry.version)
    assert.deepEqual([versions, document.historyCleaned], [[6, 5, 4, 3], true])
  })

  test('lists files with an honest count of those that are not shown', async t => {
    const world = await lake(t)
    const text = await showAll(['inspect', 'table', 'events', '--files', '--limit', '2'], world)
    assert.match(text, /\n… 3 more of 5 \(--limit shows more\)\n$/)
    const { fileList } = await documentOf(['inspect', 'table', 'events', '--files', '--json'], world)
    assert.deepEqual(
      (fileList as { rows: number; deletedRows: number }[]).map(f => [f.rows, f.deletedRows]),
      Array.from({ length: 5 }, () => [1, 0]),
    )
  })

  test('shows columns, offsets and the actions of a commit', async t => {
    const world = await lake(t)
    const schema = await showAll(['inspect', 'table', 'events', '--schema'], world)
    assert.match(schema, /\ncolumn +type +null +metadata\nid +long +no\nname +string +yes\n$/)
    assert.match(await showAll(['inspect', 'table', 'events', '--offsets'], world), /\nno offsets\n$/)
    const { actions } = await documentOf(['inspect', 'table', 'events', '--action', '1', '--json'], world)
    assert.deepEqual(
      (actions as object[]).map(action => Object.keys(action)[0]),
      ['commitInfo', 'add'],
    )
    const missing = await show(['inspect', 'table', 'events', '--action', '99'], world)
    assert.match(missing.stderr, /DELTA_VERSION_NOT_FOUND.*version 99/s)
  })

  test('looks at the table as it was at a time', async t => {
    const world = await lake(t)
    const first = Date.parse('2026-01-01T00:00:00Z')
    for (let v = 0; v <= 5; v++) {
      const at = new Date(first + v * DAY_MS)
      await utimes(join(world.table, `_delta_log/0000000000000000000${v}.json`), at, at)
    }
    const at = ['--at', '2026-01-03T12:00:00Z']
    assert.equal((await documentOf(['inspect', 'table', 'events', '--json', ...at], world)).version, 2)
    assert.equal((await showAll(['read', 'events', ...at], world)).trim().split('\n').length, 2)
    assert.equal((await documentOf(['check', 'events', '--json', ...at], world)).version, 2)
    const early = await show(['read', 'events', '--at', '2025-01-01'], world)
    assert.match(early.stderr, /DELTA_VERSION_NOT_FOUND/)
    const both = await show(['read', 'events', '--version', '1', ...at], world)
    assert.equal(both.exitCode, 64)
    assert.equal((await show(['read', 'events', '--at', 'yesterday'], world)).exitCode, 64)
  })
})
