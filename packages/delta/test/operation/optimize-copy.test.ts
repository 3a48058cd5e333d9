import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import {
  type Add,
  loadSnapshot,
  MemoryObjectStore,
  optimizeTable,
  parseStatistics,
  readCommit,
  scanTable,
} from '@stream-ingest/delta'
import { formatCommit } from '../../src/action-codec.ts'
import { formatCommitPath } from '../../src/log-path.ts'
import { copiedStatistics } from '../../src/operation/optimize/copied-statistics.ts'
import { openParquet } from '../../src/parquet/parquet-reader.ts'
import { decimal, field, primitive, struct } from '../../src/schema.ts'
import { formatStatistics } from '../../src/statistics.ts'
import { inlineDeletionVector } from '../simulation/inline-deletion-vector.ts'
import { createEvents, testRuntime, uploadEvents } from '../table-fixture.ts'

/** A table of four files of two rows; their row groups are always large enough to be copied. */
async function setUp(properties: Readonly<Record<string, string>> = {}) {
  const runtime = testRuntime()
  const store = new MemoryObjectStore({ now: runtime.now })
  const table = await createEvents(store, runtime, properties)
  for (const ids of [
    [1, 2],
    [3, 4],
    [5, 6],
    [7, 8],
  ]) {
    await table.append({ ...(await uploadEvents(table, ids)), txns: [] })
  }
  const optimize = (options: Parameters<typeof optimizeTable>[1] = {}) =>
    optimizeTable(store, { runtime, rowGroupCopyMinBytes: 1, ...options })
  return { store, runtime, optimize }
}

/** Writes the newest file's `add` anew. */
async function replaceAdd(store: MemoryObjectStore, change: (add: Add) => Add): Promise<void> {
  const { version } = (await loadSnapshot(store))!
  const commit = (await readCommit(store, version))!
  const key = formatCommitPath(version)
  const actions = commit.map(action => ('add' in action ? { add: change(action.add) } : action))
  await store.delete([key])
  await store.put(key, formatCommit(actions))
}

async function onlyFile(store: MemoryObjectStore): Promise<{ add: Add; rowGroupCount: number }> {
  const files = await (await loadSnapshot(store))!.allFiles()
  assert.equal(files.length, 1)
  const { rowGroupCount } = await openParquet(store, files[0]!.path)
  return { add: files[0]!, rowGroupCount }
}

async function idsOf(store: MemoryObjectStore): Promise<number[]> {
  const ids: number[] = []
  for await (const batch of scanTable((await loadSnapshot(store))!))
    for (const row of batch) ids.push(Number(row.id))
  return ids.toSorted((a, b) => a - b)
}

suite('optimize, where row groups are large', () => {
  test('copies them, with the statistics that the files had', async () => {
    const { store, optimize } = await setUp()
    await optimize()
    const { add, rowGroupCount } = await onlyFile(store)
    assert.equal(rowGroupCount, 4, 'each was copied')
    assert.deepEqual(await idsOf(store), [1, 2, 3, 4, 5, 6, 7, 8])
    assert.deepEqual(parseStatistics(add.stats!), {
      numRecords: 8,
      minValues: { id: 1, name: 'name 1' },
      maxValues: { id: 8, name: 'name 8' },
      nullCount: { id: 0, name: 2 },
    })
  })

  test('puts small ones together', async () => {
    const { store, optimize } = await setUp()
    await optimize({ rowGroupCopyMinBytes: 1 << 20 })
    assert.equal((await onlyFile(store)).rowGroupCount, 1)
  })

  test('decodes the files whose rows must be looked at', async () => {
    const cases: Record<string, (add: Add) => Add> = {
      'rows are deleted': add => ({
        ...add,
        deletionVector: inlineDeletionVector([0]),
        stats: JSON.stringify({ numRecords: 2, tightBounds: false }),
      }),
      'no statistics': ({ stats: _, ...add }) => add,
      'bounds that are no longer tight': add => ({
        ...add,
        stats: JSON.stringify({ ...JSON.parse(add.stats!), tightBounds: false }),
      }),
      'no null count': add => ({ ...add, stats: JSON.stringify({ numRecords: 2 }) }),
    }
    for (const [why, change] of Object.entries(cases)) {
      const { store, optimize } = await setUp({ 'delta.enableDeletionVectors': 'true' })
      await replaceAdd(store, change)
      await optimize({ maxDeletedRowsRatio: 0 })
      const { add, rowGroupCount } = await onlyFile(store)
      assert.equal(rowGroupCount, 4, why)
      const { numRecords, maxValues, tightBounds } = parseStatistics(add.stats!)!
      assert.deepEqual(
        [numRecords, maxValues!.id, tightBounds],
        [why.includes('deleted') ? 7 : 8, 8, true],
        why,
      )
    }
  })

  test('decodes all files where rows have ids, and where the codec changes', async () => {
    const tracked = await setUp({ 'delta.enableRowTracking': 'true' })
    await tracked.optimize()
    assert.equal((await onlyFile(tracked.store)).rowGroupCount, 1)
    const { store, optimize } = await setUp()
    await optimize({ codec: 'zstd' })
    assert.equal((await onlyFile(store)).rowGroupCount, 1)
    assert.deepEqual(await idsOf(store), [1, 2, 3, 4, 5, 6, 7, 8])
  })
})

suite('statistics that are copied', () => {
  const SCHEMA = struct([
    field('l', primitive('long')),
    field('f', primitive('float')),
    field('d', primitive('double')),
    field('n', decimal(20, 2)),
    field('t', primitive('timestamp')),
    field('s', struct([field('day', primitive('date'))])),
    field('b', primitive('binary')),
  ])
  const ALL = { columns: null, stringPrefixLength: 32, tightBounds: false }
  const counts = '"nullCount":{"l":0,"f":0,"d":0,"n":0,"t":0,"s":{"day":0},"b":1}'
  const copied = (text: string) => copiedStatistics(text, SCHEMA, 2, ALL)

  test('are written as they are here, whoever wrote them', () => {
    const text = `{"numRecords":2,"minValues":{"l":-9223372036854775808,"f":0.1,"d":0.0,"n":-1.5,
      "t":"2026-01-01T00:00:00.123456+01:00","s":{"day":"2026-01-01"}},
      "maxValues":{"l":9223372036854775807,"f":0,"d":-0.0,"n":100000000000000000.25,
      "t":"2026-01-02 03:04:05","s":{"day":"2026-12-31"}},${counts}}`
    assert.equal(
      formatStatistics(copied(text)!),
      '{"numRecords":2,"minValues":{"l":-9223372036854775808,"f":0.10000000149011612,"d":-0.0,"n":-1.50,' +
        '"t":"2025-12-31T23:00:00.123Z","s":{"day":"2026-01-01"}},' +
        '"maxValues":{"l":9223372036854775807,"f":0,"d":0,"n":100000000000000000.25,' +
        '"t":"2026-01-02T03:04:05.000Z","s":{"day":"2026-12-31"}},' +
        '"nullCount":{"l":0,"f":0,"d":0,"n":0,"t":0,"s":{"day":0},"b":1}}',
    )
  })

  test('lack the bounds that mean nothing', () => {
    const text = `{"numRecords":2,"minValues":{"l":"a","f":"NaN","d":"-Infinity","n":{},"t":"soon","b":"x"},
      "maxValues":{"l":1.5,"s":"2026-01-01"},${counts}}`
    const { minValues, maxValues } = copied(text)!
    assert.deepEqual([{ ...minValues }, { ...maxValues }], [{}, {}])
  })

  test('are none where counts are missing or cannot be', () => {
    assert.equal(copiedStatistics(undefined, SCHEMA, 2, ALL), null)
    assert.equal(copied('no statistics'), null)
    assert.equal(copied(`{"numRecords":3,${counts}}`), null)
    for (const day of ['3', '-1', '0.5', '"0"', 'null']) {
      assert.equal(copied(`{"numRecords":2,${counts.replace('"day":0', `"day":${day}`)}}`), null, day)
    }
    const some = { ...ALL, columns: new Set(['l']) }
    const { nullCount } = copiedStatistics('{"numRecords":2,"nullCount":{"l":1}}', SCHEMA, 2, some)!
    assert.deepEqual({ ...nullCount }, { l: 1 })
  })
})
