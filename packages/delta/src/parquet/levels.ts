/**
 * From Arrow's offsets and validity to Parquet's repetition and definition levels.
 *
 * Encodings.md › Nested Encoding (the Dremel scheme). An entry is a value of a leaf, or the null or empty list in its
 * place. The walk goes from the rows down, one array pass per node, and each child starts from what its parent
 * reached; columns without anything nested take a way of their own, where the validity bitmap is the levels.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { isBitSet } from '../column/bitmap.ts'
import { type Column, columnKindOf } from '../column/column.ts'
import { type PhysicalValues, physicalValues } from './physical-values.ts'
import type { Leaf, SchemaNode } from './schema-element.ts'

/** A column of the file for the rows of one row group. */
export interface LeafData {
  readonly leaf: Leaf
  readonly rowCount: number
  readonly entryCount: number
  /** Row `i` has the entries `[entryStarts[i], entryStarts[i + 1])`; null where each row has one. */
  readonly entryStarts: Int32Array | null
  /** Row `i` has the values `[valueStarts[i], valueStarts[i + 1])`; null where each row has one. */
  readonly valueStarts: Int32Array | null
  readonly definition: DefinitionLevels
  /** One for each entry; null where all are 0 and none are stored. */
  readonly repetition: Uint8Array | null
  readonly values: PhysicalValues
}

export type DefinitionLevels =
  /** All at the maximum. */
  | { readonly kind: 'full' }
  /** 0 or 1 for each entry, as bits. */
  | { readonly kind: 'bits'; readonly bits: Uint8Array }
  | { readonly kind: 'levels'; readonly levels: Uint8Array }

/** An entry whose value is settled: a null or an empty list above the leaf. */
const ENDED = -1

/** What the walk knows at a node: for each entry its index in the node's column (or `ENDED`) and its levels so far. */
interface Entries {
  readonly count: number
  readonly indices: Int32Array
  readonly definition: Uint8Array
  readonly repetition: Uint8Array
}

/**
 * The leaves of one table column, in the order of the file.
 *
 * @throws AssertionError for a null where the schema allows none, and for a column that is not of the node's type
 */
export function flattenColumn(node: SchemaNode, column: Column): LeafData[] {
  if (node.kind === 'leaf') return [flattenFlat(node, column)]
  const rowCount = column.length
  const start: Entries = {
    count: rowCount,
    indices: Int32Array.from({ length: rowCount }, (_, row) => row),
    definition: new Uint8Array(rowCount),
    repetition: new Uint8Array(rowCount),
  }
  const leaves: LeafData[] = []
  walk(node, column, start, rowCount, leaves)
  return leaves
}

function flattenFlat(node: SchemaNode & { kind: 'leaf' }, column: Column): LeafData {
  const { leaf } = node
  assertKind(node, column)
  const rowCount = column.length
  const base = { leaf, rowCount, entryCount: rowCount, entryStarts: null, repetition: null }
  if (column.nullCount === 0 || column.validity === null) {
    const values = physicalValues(column, null, leaf)
    return { ...base, valueStarts: null, definition: { kind: 'full' }, values }
  }
  assert(node.nullable, nullMessage(node))
  const bits = column.validity
  const rows = new Int32Array(rowCount - column.nullCount)
  const valueStarts = new Int32Array(rowCount + 1)
  let valueCount = 0
  for (let row = 0; row < rowCount; row++) {
    if (((bits[row >> 3]! >> (row & 7)) & 1) !== 0) rows[valueCount++] = row
    valueStarts[row + 1] = valueCount
  }
  assert(valueCount === rows.length, `the null count of \`${node.place}\` is not that of its bitmap`)
  const values = physicalValues(column, rows, leaf)
  return { ...base, valueStarts, definition: { kind: 'bits', bits }, values }
}

function walk(node: SchemaNode, column: Column, above: Entries, rowCount: number, leaves: LeafData[]): void {
  assertKind(node, column)
  const here = enterNode(node, column, above)
  switch (node.kind) {
    case 'leaf':
      leaves.push(finishLeaf(node.leaf, column, here, rowCount))
      break
    case 'struct':
      assert(column.kind === 'struct')
      node.fields.forEach((child, i) => {
        walk(child, column.fields[i]!, here, rowCount, leaves)
      })
      break
    case 'list': {
      assert(column.kind === 'list')
      walk(
        node.element,
        column.element,
        explode(here, column.offsets, node.repetitionLevel),
        rowCount,
        leaves,
      )
      break
    }
    case 'map': {
      assert(column.kind === 'map')
      const items = explode(here, column.offsets, node.repetitionLevel)
      walk(node.key, column.key, items, rowCount, leaves)
      walk(node.value, column.value, items, rowCount, leaves)
    }
  }
}

/** Ends the entries that are null here; a node that may be null is one definition level. */
function enterNode(node: SchemaNode, column: Column, above: Entries): Entries {
  const { count, indices } = above
  const { validity } = column
  if (!node.nullable) {
    if (validity !== null) {
      for (let i = 0; i < count; i++) {
        const index = indices[i]!
        if (index !== ENDED) assert(isBitSet(validity, index), nullMessage(node))
      }
    }
    return above
  }
  const definition = above.definition.slice()
  if (validity === null) {
    for (let i = 0; i < count; i++) if (indices[i]! !== ENDED) definition[i]!++
    return { ...above, definition }
  }
  const indicesHere = indices.slice()
  for (let i = 0; i < count; i++) {
    const index = indices[i]!
    if (index === ENDED) continue
    if (((validity[index >> 3]! >> (index & 7)) & 1) !== 0) definition[i]!++
    else indicesHere[i] = ENDED
  }
  return { ...above, indices: indicesHere, definition }
}

/** One entry for each item of the lists, one for each list that is empty or ended above. */
function explode(lists: Entries, offsets: Int32Array, repetitionLevel: number): Entries {
  let count = 0
  for (let i = 0; i < lists.count; i++) {
    const index = lists.indices[i]!
    count += index === ENDED ? 1 : Math.max(1, offsets[index + 1]! - offsets[index]!)
  }
  const indices = new Int32Array(count)
  const definition = new Uint8Array(count)
  const repetition = new Uint8Array(count)
  let at = 0
  for (let i = 0; i < lists.count; i++) {
    const index = lists.indices[i]!
    const start = index === ENDED ? 0 : offsets[index]!
    const end = index === ENDED ? 0 : offsets[index + 1]!
    repetition[at] = lists.repetition[i]!
    if (start === end) {
      indices[at] = ENDED
      definition[at++] = lists.definition[i]!
      continue
    }
    for (let item = start; item < end; item++) {
      if (item > start) repetition[at] = repetitionLevel
      indices[at] = item
      definition[at++] = lists.definition[i]! + 1
    }
  }
  return { count, indices, definition, repetition }
}

function finishLeaf(leaf: Leaf, column: Column, entries: Entries, rowCount: number): LeafData {
  const { count, indices, definition, repetition } = entries
  const entryStarts = new Int32Array(rowCount + 1)
  const valueStarts = new Int32Array(rowCount + 1)
  const present = new Int32Array(count)
  let row = 0
  let valueCount = 0
  for (let i = 0; i < count; i++) {
    if (repetition[i] === 0) {
      entryStarts[row] = i
      valueStarts[row++] = valueCount
    }
    if (indices[i]! !== ENDED) present[valueCount++] = indices[i]!
  }
  assert(row === rowCount)
  entryStarts[rowCount] = count
  valueStarts[rowCount] = valueCount
  return {
    leaf,
    rowCount,
    entryCount: count,
    entryStarts,
    valueStarts,
    definition: { kind: 'levels', levels: definition },
    repetition: leaf.repetitionLevelMax === 0 ? null : repetition,
    values: physicalValues(column, present.subarray(0, valueCount), leaf),
  }
}

function assertKind(node: SchemaNode, column: Column): void {
  const kind = node.kind === 'leaf' ? columnKindOf(node.leaf.type) : node.kind
  assert(column.kind === kind, `the column \`${node.place}\` is of kind ${column.kind}, its type of ${kind}`)
}

function nullMessage(node: SchemaNode): string {
  return `a null in \`${node.place}\`, which may hold none`
}
