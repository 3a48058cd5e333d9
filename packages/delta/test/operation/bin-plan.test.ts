import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import type { Add } from '../../src/action.ts'
import type { DataFileFormat } from '../../src/data-file-format.ts'
import { type BinLimits, BinPlanner, CANDIDATES_MAX } from '../../src/operation/optimize/bin-plan.ts'
import { field, primitive, type StructField, struct } from '../../src/schema.ts'

const LIMITS: BinLimits = {
  targetFileSizeBytes: 100,
  minFileSizeBytes: 75,
  minFiles: 2,
  maxDeletedRowsRatio: 0.05,
  quietMs: 0,
  busyMinFiles: Number.POSITIVE_INFINITY,
}

function formatOf(...partitionFields: StructField[]): DataFileFormat {
  return {
    mode: 'none',
    schema: struct(partitionFields),
    partitionFields,
    materializesPartitions: false,
    statistics: { columns: null, stringPrefixLength: 32, tightBounds: false },
    fieldIds: new Map(),
  }
}

let paths = 0

function file(size: number, more: Partial<Add> = {}): Add {
  const path = `${size}-${paths++}.parquet`
  return { path, partitionValues: {}, size, modificationTime: 0, dataChange: true, ...more }
}

function withDeleted(size: number, deleted: number, numRecords?: number): Add {
  return file(size, {
    ...(numRecords === undefined ? {} : { stats: JSON.stringify({ numRecords }) }),
    deletionVector: { storageType: 'i', pathOrInlineDv: 'x', sizeInBytes: 1, cardinality: deleted },
  })
}

function sizesOf(files: readonly Add[], limits: Partial<BinLimits> = {}, nowMs = 1_000_000): number[][] {
  const planner = new BinPlanner(formatOf(), { ...LIMITS, ...limits })
  for (const add of files) planner.add(add)
  return planner.plan(nowMs).bins.map(bin => bin.files.map(({ size }) => size))
}

suite('the plan of a compaction', () => {
  test('fills bins up to the target, small files first', () => {
    assert.deepEqual(sizesOf([file(60), file(10), file(30), file(40)]), [[10, 30, 40]])
    assert.deepEqual(sizesOf([file(50), file(50), file(50), file(50)]), [
      [50, 50],
      [50, 50],
    ])
  })

  test('leaves files alone that are almost full, single, or too few', () => {
    assert.deepEqual(sizesOf([file(75), file(99), file(500)]), [])
    assert.deepEqual(sizesOf([file(10)]), [])
    assert.deepEqual(sizesOf([file(10), file(20)], { minFiles: 3 }), [])
  })

  test('does not write a large file anew for the sake of a tiny one', () => {
    assert.deepEqual(sizesOf([file(70), file(1)]), [])
    assert.deepEqual(sizesOf([file(70), file(1), file(2)]), [[1, 2]])
    assert.deepEqual(sizesOf([file(60), file(20)]), [[20, 60]])
  })

  test('writes files anew of which many rows are deleted, or that do not say how many they have', () => {
    assert.deepEqual(sizesOf([withDeleted(90, 6, 100)]), [[90]])
    assert.deepEqual(sizesOf([withDeleted(90, 5, 100)]), [])
    assert.deepEqual(sizesOf([withDeleted(90, 1)]), [[90]])
    assert.deepEqual(sizesOf([withDeleted(90, 1, 100)], { maxDeletedRowsRatio: 0 }), [[90]])
    assert.deepEqual(sizesOf([withDeleted(50, 60, 100), file(10)], { minFiles: 5 }), [[50]])
  })

  test('leaves a partition alone that is still being written, unless it has very many small files', () => {
    const young = [1, 2, 3].map(size => file(size, { modificationTime: 999_500 }))
    assert.deepEqual(sizesOf(young, { quietMs: 1_000 }), [])
    assert.deepEqual(sizesOf(young, { quietMs: 500 }), [[1, 2, 3]])
    assert.deepEqual(sizesOf(young, { quietMs: 1_000, busyMinFiles: 3 }), [[1, 2, 3]])
    // A large file is no candidate, and tells that the partition is being written all the same.
    assert.deepEqual(
      sizesOf([file(1), file(2), file(90, { modificationTime: 999_500 })], { quietMs: 1_000 }),
      [],
    )
  })

  test('puts partitions together by what their values mean', () => {
    const planner = new BinPlanner(
      formatOf(field('p', primitive('double')), field('t', primitive('timestamp'))),
      LIMITS,
    )
    const values: [string | null, string][] = [
      ['1', '2026-01-01 00:00:00'],
      ['1.0', '2026-01-01T00:00:00.000000Z'],
      [null, '2026-01-01 00:00:00'],
      ['', '2026-01-01 00:00:00'],
      ['2', '2026-01-01 00:00:00'],
    ]
    for (const [p, t] of values) planner.add(file(10, { partitionValues: { p, t } }))
    const { bins, partitionsConsidered, partitionsSkipped } = planner.plan(0)
    assert.deepEqual(
      bins.map(bin => bin.files.map(({ partitionValues }) => partitionValues.p)),
      [
        ['1', '1.0'],
        [null, ''],
      ],
    )
    assert.deepEqual([partitionsConsidered, partitionsSkipped], [3, 1])
  })

  test('leaves clustered files to the engine that clusters them', () => {
    const planner = new BinPlanner(formatOf(), LIMITS)
    for (let i = 0; i < 3; i++) planner.add(file(10, { clusteringProvider: 'liquid' }))
    assert.deepEqual([planner.plan(0).bins, planner.clusteredCount], [[], 3])
  })

  test('holds a bounded number of candidates, and says that there are more', () => {
    const planner = new BinPlanner(formatOf(), { ...LIMITS, targetFileSizeBytes: 1e9 })
    const one = file(1)
    for (let i = 0; i < CANDIDATES_MAX; i++) planner.add(one)
    assert.equal(planner.plan(0).isPartial, false)
    planner.add(one)
    const { bins, isPartial } = planner.plan(0)
    assert.deepEqual([bins[0]?.files.length, isPartial], [CANDIDATES_MAX, true])
  })
})
