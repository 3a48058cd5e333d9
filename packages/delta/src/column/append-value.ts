/**
 * From a JavaScript value into a column builder: for rows that are not on the hot path (checkpoints, users' rows).
 *
 * @module
 */
import assert from 'node:assert/strict'
import type { StructField } from '../schema.ts'
import {
  BinaryBuilder,
  BooleanBuilder,
  type ColumnBuilder,
  DecimalBuilder,
  Int64Builder,
  ListBuilder,
  MapBuilder,
  NumberBuilder,
  StructBuilder,
} from './column-builder.ts'

/**
 * Appends one value. The shapes are those that `columnValue` gives back:
 * `boolean` ← boolean; `byte`, `short`, `integer`, `date` (days), `float`, `double` ← number; `long`, `timestamp`
 * (microseconds) ← bigint or a safe integer; `decimal` ← unscaled bigint; `string` ← string; `binary` ← Uint8Array;
 * array ← iterable; map ← iterable of `[key, value]` or a plain object; struct ← object by field name.
 * `null` and `undefined` append a null.
 *
 * @throws AssertionError for a value of another shape: the caller has checked what it passes
 */
export function appendValue(builder: ColumnBuilder, value: unknown): void {
  if (value === null || value === undefined) builder.appendNull()
  else if (builder instanceof BinaryBuilder) {
    if (typeof value === 'string') builder.appendString(value)
    else {
      assert(value instanceof Uint8Array)
      builder.append(value)
    }
  } else if (builder instanceof Int64Builder) {
    if (typeof value === 'bigint') builder.append(value)
    else {
      assert(Number.isSafeInteger(value))
      builder.appendNumber(value as number)
    }
  } else if (builder instanceof NumberBuilder) {
    assert(typeof value === 'number')
    builder.append(value)
  } else if (builder instanceof BooleanBuilder) {
    assert(typeof value === 'boolean')
    builder.append(value)
  } else if (builder instanceof DecimalBuilder) {
    assert(typeof value === 'bigint')
    builder.append(value)
  } else if (builder instanceof StructBuilder) {
    assert(typeof value === 'object')
    appendFields(builder.type.fields, builder.fields, value as Record<string, unknown>)
    builder.appendPresent()
  } else if (builder instanceof ListBuilder) {
    for (const element of value as Iterable<unknown>) appendValue(builder.element, element)
    builder.appendEnd()
  } else if (builder instanceof MapBuilder) {
    const entries =
      Symbol.iterator in Object(value) ? (value as Iterable<[unknown, unknown]>) : Object.entries(value)
    for (const [key, entry] of entries) {
      appendValue(builder.key, key)
      appendValue(builder.value, entry)
    }
    builder.appendEnd()
  } else assert.fail(`no way to append to ${builder.constructor.name}`)
}

/** Appends one value to each of `builders` from an object's fields; a missing field is null. */
export function appendFields(
  fields: readonly StructField[],
  builders: readonly ColumnBuilder[],
  values: Readonly<Record<string, unknown>>,
): void {
  for (let i = 0; i < fields.length; i++) {
    const { name } = fields[i]!
    // Own properties only: every object has a `__proto__` and a `constructor`.
    appendValue(builders[i]!, Object.hasOwn(values, name) ? values[name] : null)
  }
}
