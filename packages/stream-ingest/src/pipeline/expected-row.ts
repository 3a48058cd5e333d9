/**
 * A row beside what a test expects of it. Expected values are read by the decoder of the columns, so that they may be
 * written in every form that a payload may have, and are compared exactly.
 *
 * @module
 */
import { type DataType, type StructType, struct } from '@stream-ingest/delta'
import { BatchBuilder, batchRow } from '@stream-ingest/delta/column'
import { jsonOf, type WrittenEntry, type WrittenMap, type WrittenValue } from '../config/config-test.ts'
import type { DecodeField } from '../config/decode-field.ts'
import { decodeFieldOf, type TableColumn, type TableLayout } from '../config/table-layout.ts'
import { createJsonDecoder } from '../decode/json-decoder.ts'

/** A value that is not the expected one. */
export interface ValueDifference {
  readonly kind: 'value'
  /** Of the rows, from 0. */
  readonly row: number
  /** Path of the column: `customer.name`, `items[0].sku`. */
  readonly column: string
  /** Of the value; null where the table has no such column. */
  readonly type: DataType | null
  /** As `scanTable` gives values; null for the value null, and where `problem` says more. */
  readonly expected: unknown
  readonly actual: unknown
  readonly written: WrittenValue
  /** The key that `written` stands behind; null for an element of a list. */
  readonly entry: WrittenEntry | null
  /** Why the expected value is none of this column; null where it is one. */
  readonly problem: string | null
}

/** Compares the columns that are named, and of structs the fields that are named. */
export class RowComparison {
  private readonly layout: TableLayout
  private readonly schema: StructType
  private readonly readers = new Map<string, (json: string) => ReadValue>()

  /** @param schema of the row: that of the layout, or what messages have made of it */
  constructor(layout: TableLayout, schema: StructType) {
    this.layout = layout
    this.schema = schema
  }

  differences(
    expected: WrittenMap,
    actual: Readonly<Record<string, unknown>>,
    row: number,
  ): ValueDifference[] {
    const found: ValueDifference[] = []
    for (const entry of expected.entries) {
      const { key, value: written } = entry
      const type = this.schema.fields.find(field => field.name === key)?.type ?? null
      const place = { row, written, entry }
      if (type === null) {
        found.push(missing(place, key))
        continue
      }
      const read = this.read(key, type, jsonOf(written))
      if (read.problem === null) {
        compare({ ...place, column: key, type, expected: read.value, actual: actual[key] }, found)
      } else {
        const { problem } = read
        found.push({
          kind: 'value',
          ...place,
          column: key,
          type,
          expected: null,
          actual: actual[key],
          problem,
        })
      }
    }
    return found
  }

  private read(name: string, type: DataType, json: string): ReadValue {
    const known = this.readers.get(name)
    if (known !== undefined) return known(json)
    const column = this.layout.columns.find(each => each.field.name === name)
    const reader = valueReader(expectedField(name, type, column))
    this.readers.set(name, reader)
    return reader(json)
  }
}

type ReadValue =
  | { readonly problem: null; readonly value: unknown }
  | { readonly problem: string; readonly value: null }

/** Reads JSON texts as values of one column. */
function valueReader(field: DecodeField): (json: string) => ReadValue {
  const batch = new BatchBuilder(
    struct([{ name: field.name, type: field.type, nullable: true, metadata: {} }]),
  )
  const decoder = createJsonDecoder([field], batch.columns)
  return json => {
    const bytes = Buffer.from(`{${JSON.stringify(field.name)}:${json}}`)
    const bad = decoder.decode(bytes, 0, bytes.length)
    if (bad !== null) {
      batch.rollBackRow()
      return { problem: bad.message, value: null }
    }
    batch.endRow()
    return { problem: null, value: batchRow(batch.finish(), 0)[field.name] }
  }
}

/** How the expected value of a column is read: in its declared unit and bounds, any part of it left out. */
function expectedField(name: string, type: DataType, column: TableColumn | undefined): DecodeField {
  const plain = decodeFieldOf(name, type, true, [name])
  if (column === undefined) return plain
  const { source } = column
  switch (source.kind) {
    case 'decode':
    case 'decode_or_derive':
      // Messages may have widened the column, or added to it.
      return sameType(source.field.type, type) ? optionalField(source.field, [name]) : plain
    case 'derive':
      return plain
    case 'kafka':
      return source.field === 'timestamp' ? { ...plain, unit: 'millisecond' } : optionalField(plain, [name])
  }
}

function sameType(one: DataType, other: DataType): boolean {
  return JSON.stringify(one) === JSON.stringify(other)
}

function optionalField(field: DecodeField, path: readonly string[]): DecodeField {
  const { fields, element, value } = field
  return {
    ...field,
    nullable: true,
    source: { kind: 'payload', path },
    ...(fields === undefined ? {} : { fields: fields.map(child => optionalField(child, [child.name])) }),
    ...(element === undefined ? {} : { element: optionalField(element, []) }),
    ...(value === undefined ? {} : { value: optionalField(value, []) }),
  }
}

interface Pair extends Pick<ValueDifference, 'row' | 'column' | 'expected' | 'actual' | 'written' | 'entry'> {
  readonly type: DataType
}

function compare(pair: Pair, found: ValueDifference[]): void {
  const { expected, actual } = pair
  const isDone =
    expected !== null && actual !== null ? compareNested(pair, found) : Object.is(expected, actual)
  if (!isDone) found.push({ kind: 'value', ...pair, problem: null })
}

/** False where the two differ as a whole. What differs inside them is added. */
function compareNested(pair: Pair, found: ValueDifference[]): boolean {
  const { type, written, expected, actual } = pair
  switch (type.kind) {
    case 'struct':
      return written.kind === 'map' && compareFields(pair, type, written, found)
    case 'array':
      return written.kind === 'list' && compareElements(pair, type.element, written, found)
    case 'map':
      return written.kind === 'map' && compareEntries(pair, type.value, written, found)
    default:
      return isSame(expected, actual)
  }
}

function isSame(expected: unknown, actual: unknown): boolean {
  if (expected instanceof Uint8Array && actual instanceof Uint8Array) {
    return Buffer.compare(expected, actual) === 0
  }
  return Object.is(expected, actual)
}

function compareFields(
  pair: Pair,
  { fields }: StructType,
  { entries }: WrittenMap,
  found: ValueDifference[],
): boolean {
  const expected = pair.expected as Readonly<Record<string, unknown>>
  const actual = pair.actual as Readonly<Record<string, unknown>>
  for (const entry of entries) {
    const { key, value: written } = entry
    const type = fields.find(field => field.name === key)?.type
    const place = { row: pair.row, written, entry }
    const column = `${pair.column}.${key}`
    if (type === undefined) found.push(missing(place, column))
    else compare({ ...place, column, type, expected: expected[key], actual: actual[key] }, found)
  }
  return true
}

/** False where the lists differ in length, so that there is nothing to hold each element to. */
function compareElements(
  pair: Pair,
  type: DataType,
  { items }: { readonly items: readonly WrittenValue[] },
  found: ValueDifference[],
): boolean {
  const expected = pair.expected as readonly unknown[]
  const actual = pair.actual as readonly unknown[]
  if (expected.length !== actual.length) return false
  for (const [i, written] of items.entries()) {
    const column = `${pair.column}[${i}]`
    compare(
      { row: pair.row, column, type, expected: expected[i], actual: actual[i], written, entry: null },
      found,
    )
  }
  return true
}

/** False where the maps have different keys. Their order is no matter. */
function compareEntries(
  pair: Pair,
  type: DataType,
  { entries }: WrittenMap,
  found: ValueDifference[],
): boolean {
  const expected = new Map(pair.expected as readonly [unknown, unknown][])
  const actual = new Map(pair.actual as readonly [unknown, unknown][])
  if (expected.size !== actual.size || entries.some(({ key }) => !actual.has(key))) return false
  for (const entry of entries) {
    const { key, value: written } = entry
    const column = `${pair.column}.${key}`
    const values = { expected: expected.get(key), actual: actual.get(key) }
    compare({ row: pair.row, column, type, ...values, written, entry }, found)
  }
  return true
}

function missing(place: Pick<ValueDifference, 'row' | 'written' | 'entry'>, column: string): ValueDifference {
  return {
    kind: 'value',
    ...place,
    column,
    type: null,
    expected: null,
    actual: null,
    problem: 'the table has no such column',
  }
}
