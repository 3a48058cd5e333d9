import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseColumnList, parseInterval, tableProperty } from '../src/table-property.ts'

test('a property that is not set has its default', () => {
  assert.equal(tableProperty({}, 'delta.checkpointInterval'), 10)
  assert.equal(tableProperty({}, 'delta.deletedFileRetentionDuration'), 7 * 86_400_000)
  assert.equal(tableProperty({}, 'delta.logRetentionDuration'), 30 * 86_400_000)
  assert.equal(tableProperty({}, 'delta.setTransactionRetentionDuration'), null)
  assert.equal(tableProperty({}, 'delta.columnMapping.mode'), 'none')
})

test('a property that is set has its type', () => {
  assert.equal(tableProperty({ 'delta.checkpointInterval': '100' }, 'delta.checkpointInterval'), 100)
  assert.equal(tableProperty({ 'delta.appendOnly': 'TRUE' }, 'delta.appendOnly'), true)
})

test('a value that does not fit is refused with name, value and what would fit', () => {
  assert.throws(() => tableProperty({ 'delta.checkpointInterval': '0' }, 'delta.checkpointInterval'), {
    code: 'DELTA_PROPERTY_INVALID',
    message: 'the table property `delta.checkpointInterval` is `0`; it must be an integer from 1 on',
  })
})

test('intervals are read as Spark writes them, without months', () => {
  assert.equal(parseInterval('interval 30 days'), 30 * 86_400_000)
  assert.equal(parseInterval('INTERVAL 1 WEEK'), 7 * 86_400_000)
  assert.equal(parseInterval('2 hours 30 minutes'), 9_000_000)
  assert.equal(parseInterval('interval 1500 milliseconds'), 1500)
  for (const text of ['', 'interval', 'interval 1 month', '1 year', 'days 3', 'interval -1 days', '3']) {
    assert.equal(parseInterval(text), undefined, text)
  }
})

test('column lists keep dots and commas inside back-ticks', () => {
  assert.deepEqual(parseColumnList('a, b.c ,`x.y`.z,`q``,r`'), [['a'], ['b', 'c'], ['x.y', 'z'], ['q`,r']])
  assert.deepEqual(parseColumnList(''), [])
  for (const text of ['a,', 'a..b', '`a', 'a,,b']) assert.equal(parseColumnList(text), undefined, text)
})
