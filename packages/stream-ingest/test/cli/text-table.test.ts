import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  formatTableHeader,
  formatTableRow,
  layOutTable,
  type TextColumn,
  textWidth,
} from '../../src/cli/text-table.ts'

const COLUMNS: readonly TextColumn[] = [
  { header: 'id', type: 'long', align: 'right' },
  { header: 'name', type: 'string', align: 'left' },
]

test('columns are as wide as the widest of header, type and cells, with types under the headers', () => {
  const rows = [
    ['7', 'a'],
    ['12345', 'bc'],
  ]
  const layout = layOutTable(COLUMNS, rows)
  const text = formatTableHeader(layout) + rows.map(row => formatTableRow(layout, row)).join('')
  assert.equal(text, '   id  name\n long  string\n    7  a\n12345  bc\n')
})

test('long cells are cut with an ellipsis, by the cells that they take on a terminal', () => {
  const rows = [['1', 'x'.repeat(100)]]
  const layout = layOutTable(COLUMNS, rows)
  assert.equal(formatTableRow(layout, rows[0]!), `   1  ${'x'.repeat(39)}…\n`)
  assert.equal(formatTableRow({ ...layout, widths: [2, 6] }, ['1', '日本語日本']), ' 1  日本…\n')
})

test('the widest columns give way until a line fits the terminal, but none becomes unreadable', () => {
  const rows = [['1', 'x'.repeat(30)]]
  assert.deepEqual(layOutTable(COLUMNS, rows, 20).widths, [4, 14])
  assert.deepEqual(layOutTable(COLUMNS, rows, 5).widths, [4, 8])
})

test('wide characters count twice, combining ones not at all', () => {
  assert.equal(textWidth('abc'), 3)
  assert.equal(textWidth('é'), 1)
  assert.equal(textWidth('e\u0301'), 1)
  assert.equal(textWidth('日本'), 4)
  assert.equal(textWidth('🙂'), 2)
})
