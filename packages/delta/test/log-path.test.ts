import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  formatCheckpointPartPath,
  formatCheckpointPath,
  formatChecksumPath,
  formatCommitPath,
  formatCompactedPath,
  formatStartAfter,
  formatV2CheckpointPath,
  parseLogPath,
} from '../src/log-path.ts'

const UUID = '123e4567-e89b-42d3-a456-426614174000'

test('every name that is formatted is parsed to the same', () => {
  fc.assert(
    fc.property(fc.maxSafeNat(), version => {
      assert.deepEqual(parseLogPath(formatCommitPath(version)), { kind: 'commit', version })
      assert.deepEqual(parseLogPath(formatChecksumPath(version)), { kind: 'checksum', version })
      assert.deepEqual(parseLogPath(formatCheckpointPath(version)), { kind: 'classic-checkpoint', version })
      assert.deepEqual(parseLogPath(formatCheckpointPartPath(version, 2, 3)), {
        kind: 'checkpoint-part',
        version,
        part: 2,
        partCount: 3,
      })
      assert.deepEqual(parseLogPath(formatV2CheckpointPath(version, UUID, 'json')), {
        kind: 'v2-checkpoint',
        version,
        uuid: UUID,
        format: 'json',
      })
    }),
  )
  assert.deepEqual(parseLogPath(formatCompactedPath(4, 6)), { kind: 'compacted', version: 4, endVersion: 6 })
})

test('a listing that starts at a version has all its files and none of the version before', () => {
  const start = formatStartAfter(10)
  for (const key of [
    formatCommitPath(10),
    formatCheckpointPath(10),
    formatChecksumPath(10),
    formatCompactedPath(10, 12),
  ]) {
    assert(key > start)
  }
  for (const key of [formatCommitPath(9), formatCompactedPath(9, 12), formatCheckpointPath(9)])
    assert(key < start)
})

test('stray names are nothing', () => {
  const strays = [
    '_delta_log/1.json',
    '_delta_log/00000000000000000005.json.bak',
    '_delta_log/.00000000000000000005.json.tmp',
    '_delta_log/_last_checkpoint',
    '_delta_log/_staged_commits/00000000000000000005.x.json',
    '_delta_log/99999999999999999999.json',
    '_delta_log/00000000000000000005.checkpoint.0000000003.0000000002.parquet',
    '_delta_log/00000000000000000005.00000000000000000005.compacted.json',
    '00000000000000000005.json',
  ]
  for (const key of strays) assert.equal(parseLogPath(key), null, key)
})
