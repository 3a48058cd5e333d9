/**
 * Files and tombstones as rows of a checkpoint, with statistics and partition values also in typed form.
 *
 * PROTOCOL.md › Checkpoint Schema. The text of the statistics is carried as it came; a typed value that it does not give
 * is left null, which says nothing, and never keeps a checkpoint from being written.
 *
 * @module
 */
import assert from 'node:assert/strict'
import type { Add, Remove } from './action.ts'
import { appendFields, appendValue } from './column/append-value.ts'
import type { ColumnBatch } from './column/column.ts'
import { BatchBuilder, type ColumnBuilder, StructBuilder } from './column/column-builder.ts'
import { isJsonObject, parseJsonLossless } from './json.ts'
import { type DataType, type StructField, struct } from './schema.ts'
import { parsedText, typedBound } from './statistics-bound.ts'

/** Appends a part of an action to the column of its field. */
type AppendField = (builder: ColumnBuilder, add: Add, field: StructField) => void

const APPEND_FIELD: Readonly<Record<string, AppendField>> = {
  // What a commit changed is no matter of a checkpoint.
  dataChange: builder => appendValue(builder, false),
  partitionValues_parsed: (builder, add) => appendPartitionValues(builder, add),
  stats_parsed: (builder, add) => appendStatistics(builder, add.stats),
}

const appendAsIs: AppendField = (builder, add, { name }) =>
  appendValue(builder, (add as unknown as Record<string, unknown>)[name])

/** Collects rows of `add` and `remove` columns. */
export class FileActionRows {
  readonly #rows: BatchBuilder
  readonly #add: StructBuilder
  readonly #remove: StructBuilder
  readonly #appendAdd: readonly { readonly field: StructField; readonly append: AppendField }[]

  /** @param fields the columns `add` and `remove`, in this order */
  constructor(fields: readonly StructField[]) {
    this.#rows = new BatchBuilder(struct(fields))
    const [add, remove] = this.#rows.columns
    assert(add instanceof StructBuilder && remove instanceof StructBuilder)
    this.#add = add
    this.#remove = remove
    this.#appendAdd = add.type.fields.map(field => ({
      field,
      append: APPEND_FIELD[field.name] ?? appendAsIs,
    }))
  }

  get rowCount(): number {
    return this.#rows.rowCount
  }

  /** Of the columns in memory. */
  get sizeBytes(): number {
    return this.#rows.sizeBytes
  }

  appendAdd(add: Add): void {
    const { fields } = this.#add
    for (let i = 0; i < fields.length; i++) {
      const { field, append } = this.#appendAdd[i]!
      append(fields[i]!, add, field)
    }
    this.#add.appendPresent()
    this.#remove.appendNull()
    this.#rows.endRow()
  }

  /** Tombstones have neither statistics nor tags in a checkpoint: the columns are not there. */
  appendRemove(remove: Remove): void {
    const { type, fields } = this.#remove
    appendFields(type.fields, fields, { ...remove, dataChange: false })
    this.#remove.appendPresent()
    this.#add.appendNull()
    this.#rows.endRow()
  }

  finish(): ColumnBatch {
    return this.#rows.finish()
  }
}

/** All of a file's values, or none where one of them cannot be understood: a null among them would be another value. */
function appendPartitionValues(builder: ColumnBuilder, { partitionValues }: Add): void {
  assert(builder instanceof StructBuilder)
  const values: unknown[] = []
  for (const { name, type } of builder.type.fields) {
    const text = Object.hasOwn(partitionValues, name) ? partitionValues[name]! : null
    const value = parsedText(type, text)
    if (value === undefined) {
      builder.appendNull()
      return
    }
    values.push(value)
  }
  for (const [i, value] of values.entries()) appendValue(builder.fields[i]!, value)
  builder.appendPresent()
}

function appendStatistics(builder: ColumnBuilder, text: string | undefined): void {
  assert(builder instanceof StructBuilder)
  const json = text === undefined ? undefined : parseStatisticsJson(text)
  if (!isJsonObject(json)) {
    builder.appendNull()
    return
  }
  for (const [i, { name }] of builder.type.fields.entries()) {
    const child = builder.fields[i]!
    const value = Object.hasOwn(json, name) ? json[name] : null
    if (name === 'tightBounds') appendValue(child, typeof value === 'boolean' ? value : null)
    else appendTyped(child, builder.type.fields[i]!.type, value)
  }
  builder.appendPresent()
}

/** A digit that 15 digits or points follow: a number that a double might not hold. */
const LONG_NUMBER = /\d[\d.]{15}/

/** Undefined where it is no JSON. Text without long numbers takes the fast way, which is exact for it. */
function parseStatisticsJson(text: string): unknown {
  try {
    return LONG_NUMBER.test(text) ? parseJsonLossless(text) : JSON.parse(text)
  } catch {
    return undefined
  }
}

/** A struct's values by name, or one bound or count. */
function appendTyped(builder: ColumnBuilder, type: DataType, value: unknown): void {
  if (!(builder instanceof StructBuilder)) {
    appendValue(builder, typedBound(type, value))
    return
  }
  if (!isJsonObject(value)) {
    builder.appendNull()
    return
  }
  const { fields } = builder.type
  for (let i = 0; i < fields.length; i++) {
    const { name, type: fieldType } = fields[i]!
    appendTyped(builder.fields[i]!, fieldType, Object.hasOwn(value, name) ? value[name] : null)
  }
  builder.appendPresent()
}
