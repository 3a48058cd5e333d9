import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Add, removeOf } from '@stream-ingest/delta'
import { FileReplay } from '../src/log-replay.ts'

const FILE: Add = {
  path: 'day=2026-01-01/a%20b.parquet',
  partitionValues: { day: '2026-01-01' },
  size: 10,
  modificationTime: 1,
  dataChange: true,
  stats: '{"numRecords":3}',
  tags: { INSERTION_TIME: '1' },
  deletionVector: { storageType: 'u', pathOrInlineDv: 'ab', offset: 1, sizeInBytes: 40, cardinality: 2 },
  baseRowId: 9_007_199_254_740_993n,
  defaultRowCommitVersion: 4,
  clusteringProvider: 'liquid',
}

test('a tombstone tells all there is to know of the file', () => {
  const { modificationTime, dataChange, clusteringProvider, ...kept } = FILE
  assert.deepEqual(removeOf(FILE, 77, false), {
    ...kept,
    deletionTimestamp: 77,
    dataChange: false,
    extendedFileMetadata: true,
  })
})

test('a tombstone of a plain file has no empty fields', () => {
  const add: Add = { path: 'a', partitionValues: {}, size: 1, modificationTime: 1, dataChange: true }
  assert.deepEqual(removeOf(add, 77, true), {
    path: 'a',
    deletionTimestamp: 77,
    dataChange: true,
    extendedFileMetadata: true,
    partitionValues: {},
    size: 1,
  })
})

test('a tombstone ends the life of exactly its file, deletion vector included', () => {
  const replay = new FileReplay()
  replay.apply([{ remove: removeOf(FILE, 77, true) }])
  const { deletionVector, ...withoutVector } = FILE
  assert.deepEqual(replay.apply([{ add: FILE }]).adds, [])
  assert.deepEqual(replay.apply([{ add: withoutVector }]).adds, [withoutVector])
})
