import assert from 'node:assert/strict'
import { test } from 'node:test'
import { array, type DataType, decimal, primitive } from '../../src/schema.ts'
import { ColumnFigures, sameFigure } from './column-figures.ts'

function figuresOf(type: DataType, values: readonly unknown[]) {
  const column = new ColumnFigures(type)
  for (const value of values) column.add(value)
  const { nulls, sum, min, max } = column.figures()
  return [nulls, sum, min, max]
}

test('sums of integers and decimals are exact', () => {
  const big = 2n ** 63n - 1n
  assert.deepEqual(figuresOf(primitive('long'), [big, null, big]), [
    1,
    '18446744073709551614',
    String(big),
    String(big),
  ])
  assert.deepEqual(figuresOf(decimal(5, 2), [-150n, 101n]), [0, '-0.49', '-1.50', '1.01'])
  assert.deepEqual(figuresOf(primitive('boolean'), [true, false, true]), [0, '2', 'false', 'true'])
})

test('sums of floats are rounded once, and NaN is neither least nor greatest', () => {
  const double = primitive('double')
  assert.equal(figuresOf(double, [1e100, 1, -1e100])[1], '1')
  assert.equal(figuresOf(double, Array(10).fill(0.1))[1], '1')
  assert.deepEqual(figuresOf(double, [Number.NaN, 2, -1]), [0, 'NaN', '-1', '2'])
  assert.equal(figuresOf(double, [Number.POSITIVE_INFINITY, 1])[1], 'Infinity')
  assert.equal(figuresOf(double, [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])[1], 'NaN')
})

test('strings are in the order of code points, and long ones shortened; what is nested has nulls alone', () => {
  const string = primitive('string')
  assert.deepEqual(figuresOf(string, ['\uffff', '\u{10000}']), [0, null, '\uffff', '\u{10000}'])
  assert.match(String(figuresOf(string, ['x'.repeat(81)])[2]), /^x{60}…#[0-9a-f]{12}$/)
  assert.deepEqual(figuresOf(array(string), [['a'], null]), [1, null, null, null])
  assert.deepEqual(figuresOf(primitive('date'), [null]), [1, null, null, null])
})

test('figures of floats are compared as numbers', () => {
  assert(sameFigure('double', '1e+16', '10000000000000000'))
  assert(sameFigure('float', 'nan', 'NaN'))
  assert(sameFigure('float', '-inf', '-Infinity'))
  assert(!sameFigure('double', '1.0', '1.1'))
  assert(!sameFigure('double', null, '0'))
  assert(!sameFigure('string', '1.0', '1'))
})
