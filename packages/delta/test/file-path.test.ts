import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  decodeFilePath,
  encodeFilePath,
  escapeHive,
  formatDataFileKey,
  locateFile,
} from '../src/file-path.ts'

const UUID = '123e4567-e89b-42d3-a456-426614174000'

test('both layers of encoding give the paths of other engines', () => {
  const cases: [value: string, key: string, path: string][] = [
    ['a:b', 'p=a%3Ab/x.parquet', 'p=a%253Ab/x.parquet'],
    ['hello world', 'p=hello world/x.parquet', 'p=hello%20world/x.parquet'],
    ['100%', 'p=100%25/x.parquet', 'p=100%2525/x.parquet'],
    [
      '2024-01-01 10:00:00',
      'p=2024-01-01 10%3A00%3A00/x.parquet',
      'p=2024-01-01%2010%253A00%253A00/x.parquet',
    ],
  ]
  for (const [value, key, path] of cases) {
    assert.equal(`p=${escapeHive(value)}/x.parquet`, key)
    assert.equal(encodeFilePath(key), path)
    assert.equal(decodeFilePath(path), key)
  }
})

test('any key survives encoding and decoding once', () => {
  fc.assert(fc.property(fc.string({ unit: 'grapheme' }), key => decodeFilePath(encodeFilePath(key)) === key))
})

test('new keys need no encoding whatever the partition values are', () => {
  const name = fc.string({ minLength: 1, unit: 'grapheme' })
  fc.assert(
    fc.property(fc.dictionary(name, fc.option(fc.string({ unit: 'grapheme', maxLength: 200 }))), values => {
      const key = formatDataFileKey(UUID, 'zstd', values)
      assert.match(key, /^[A-Za-z0-9._=/-]+$/)
      assert.equal(encodeFilePath(key), key)
      for (const part of key.split('/')) assert.doesNotMatch(part, /^[_.]/)
    }),
  )
})

test('simple partition values are readable in the key', () => {
  assert.equal(
    formatDataFileKey(UUID, 'snappy', { date: '2026-11-22', hour: '7', zone: null }),
    `date=2026-11-22/hour=7/zone=__HIVE_DEFAULT_PARTITION__/part-00000-${UUID}.snappy.parquet`,
  )
  assert.equal(formatDataFileKey(UUID, 'none'), `part-00000-${UUID}.parquet`)
})

test('absolute paths inside the table are keys, others are foreign', () => {
  assert.deepEqual(locateFile('s3a://b/t/x%20y.parquet', 's3://b/t'), { kind: 'key', key: 'x y.parquet' })
  assert.deepEqual(locateFile('file:/t/x.parquet', 'file:///t'), { kind: 'key', key: 'x.parquet' })
  assert.deepEqual(locateFile('/t/x.parquet', 'file:///t'), { kind: 'key', key: 'x.parquet' })
  assert.deepEqual(locateFile('s3://b/t2/x.parquet', 's3://b/t'), {
    kind: 'foreign',
    uri: 's3://b/t2/x.parquet',
  })
  assert.deepEqual(locateFile('a%3Ab/x', 's3://b/t'), { kind: 'key', key: 'a:b/x' })
})

test('a path that leaves the folder and a broken escape are damage', () => {
  assert.throws(() => locateFile('../x', 's3://b/t'), { code: 'DELTA_LOG_CORRUPT' })
  assert.throws(() => locateFile('a%2F..%2Fx', 's3://b/t'), { code: 'DELTA_LOG_CORRUPT' })
  assert.throws(() => decodeFilePath('100%'), { code: 'DELTA_LOG_CORRUPT' })
})
