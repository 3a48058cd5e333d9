/**
 * The schema that a record needs beyond the one that there is: columns for fields that no column takes, wider types
 * where the table may have them.
 *
 * | JSON | a new column |
 * |---|---|
 * | integers | `long`; beyond 64 bits `decimal(38,0)`; beyond 38 digits `string` |
 * | numbers with a point or an exponent | `double` |
 * | booleans, texts | `boolean`, `string` |
 * | objects, arrays | `struct`, `array` of what all elements have in common |
 * | values of several kinds in one array | `string`, with their JSON as it stands |
 * | `null`, `[]`, `{}` | none, until a value comes |
 *
 * Nothing is guessed: text that looks like a date stays text.
 *
 * @module
 */
import {
  array,
  type DataType,
  field,
  formatDataType,
  map,
  nameProblem,
  primitive,
  type StructField,
  type StructType,
  struct,
  widerType,
} from '@stream-ingest/delta'
import type { DecodeField } from '../config/decode-field.ts'
import { decodeFieldOf, type TableColumn, type TableLayout } from '../config/table-layout.ts'
import type { BadRecordReason } from './decoder.ts'
import { boundedPath, pathSegment } from './found-value.ts'
import { isEmpty, type NumberShape, type Shape, valuesShape } from './json-shape.ts'
import { neededType, typeOfNumbers, unsettledType } from './number-type.ts'

/** Fields of a table at any depth, from which on messages add none: random keys must not become columns without end. */
export const MERGED_FIELDS_MAX = 1_000
/** Levels of types in a column that messages add to. */
export const MERGED_DEPTH_MAX = 32
/** Characters of a field's name. */
export const MERGED_NAME_MAX = 255

/** Columns that the protocol adds to the changes of a table. PROTOCOL.md › Add CDC File. */
const RESERVED_NAMES: ReadonlySet<string> = new Set(['_change_type', '_commit_version', '_commit_timestamp'])

/** What the table allows. */
export interface MergeRules {
  /** May types become wider than the table's readers expect? */
  readonly typeWidening: boolean
  /** Are names free, as they do not reach the files? */
  readonly columnMapping: boolean
  /** Names, in lower case, of columns that the table has and that no JSON value can fill: such fields are left out. */
  readonly unfilled: ReadonlySet<string>
}

/** A column whose numbers need a wider type. */
export interface WidenedField {
  readonly path: string
  readonly fromType: string
  readonly toType: string
}

export type Inference =
  /** The columns have a place for all that the record holds, as far as they ever will. */
  | { readonly status: 'unchanged' }
  | { readonly status: 'evolved'; readonly layout: TableLayout; readonly widened: readonly WidenedField[] }
  | { readonly status: 'refused'; readonly reason: BadRecordReason }

/**
 * The layout with a place for everything that a payload holds. Partition columns stay as they are, and so do columns
 * that are not read from the payload.
 *
 * @param payload the shapes of its fields
 * @param settled the schema that is in the table, or about to be: what is not in it is this epoch's own, where an integer
 *   may still become a double
 */
export function inferLayout(
  layout: TableLayout,
  payload: ReadonlyMap<string, Shape>,
  settled: StructType,
  rules: MergeRules,
): Inference {
  const inference = new SchemaInference(layout, rules)
  try {
    const evolved = inference.layoutFor(payload, settled)
    if (evolved === layout) return { status: 'unchanged' }
    return { status: 'evolved', layout: evolved, widened: inference.widened }
  } catch (error) {
    if (error instanceof RefusedField) return { status: 'refused', reason: error.reason }
    throw error
  }
}

/** Names, in lower case, of columns that the payload's field of the same name does not fill: such a field is left out. */
export function namesNotOfPayload(layout: TableLayout): ReadonlySet<string> {
  const names = layout.columns.filter(column => !readsOwnName(column)).map(({ field: { name } }) => name)
  return new Set(names.map(name => name.toLowerCase()))
}

function readsOwnName({ field: { name }, source }: TableColumn): boolean {
  const path = payloadPath(source)
  return path !== null && path.length === 1 && path[0] === name
}

/** Where in the payload a column's value is; null for the others. */
export function payloadPath(source: TableColumn['source']): readonly string[] | null {
  if (source.kind !== 'decode' && source.kind !== 'decode_or_derive') return null
  return source.field.source.kind === 'payload' ? source.field.source.path : null
}

/** Ends the recursion; never leaves this file. */
class RefusedField extends Error {
  readonly reason: BadRecordReason

  constructor(path: readonly string[], column: string | null, message: string) {
    super(message)
    const place = boundedPath(`$${path.map(segmentText).join('')}`)
    this.reason = { code: 'RECORD_INVALID', path: place, column, message }
  }
}

class SchemaInference {
  readonly widened: WidenedField[] = []
  private readonly layout: TableLayout
  private readonly rules: MergeRules
  private fieldCount: number

  constructor(layout: TableLayout, rules: MergeRules) {
    this.layout = layout
    this.rules = rules
    this.fieldCount = countFields(layout.schema)
  }

  layoutFor(payload: ReadonlyMap<string, Shape>, settled: StructType): TableLayout {
    const { columns } = this.layout
    const settledTypes = typesByName(settled)
    let isChanged = false
    const next = columns.map(column => {
      const { source, isPartition } = column
      const path = payloadPath(source)
      if (source.kind !== 'decode' || path === null || isPartition) return column
      const shape = shapeAt(payload, path)
      const fitted = this.fit(source.field, shape, settledTypes.get(column.field.name) ?? null, path)
      if (fitted === source.field) return column
      isChanged = true
      return {
        field: { ...column.field, type: fitted.type },
        source: { kind: 'decode', field: fitted } as const,
        isPartition,
      }
    })
    const claimed = new Set(columns.map(column => payloadPath(column.source)?.[0]))
    const leftOut = new Set([...namesNotOfPayload(this.layout), ...this.rules.unfilled])
    const names = new Map(columns.map(({ field: { name } }) => [name.toLowerCase(), name]))
    for (const [name, shape] of payload) {
      if (claimed.has(name) || leftOut.has(name.toLowerCase())) continue
      const type = this.newType(name, shape, [name], names)
      if (type === null) continue
      isChanged = true
      next.push({
        field: field(name, type),
        source: { kind: 'decode', field: decodeFieldOf(name, type, true, [name]) },
        isPartition: false,
      })
    }
    if (!isChanged) return this.layout
    return { ...this.layout, columns: next, schema: struct(next.map(column => column.field)) }
  }

  /** The field with a place for what the shape holds; the same object where there is one, or never will be. */
  private fit(
    own: DecodeField,
    shape: Shape,
    settled: DataType | null,
    path: readonly string[],
  ): DecodeField {
    const { type } = own
    if (type.kind === 'struct' && shape.kind === 'struct')
      return this.fitStruct(own, shape.fields, settled, path)
    if (type.kind === 'array' && shape.kind === 'list' && own.element !== undefined) {
      const below = settled?.kind === 'array' ? settled.element : null
      const element = this.fit(own.element, shape.element, below, [...path, '[]'])
      if (element === own.element) return own
      return { ...own, type: array(element.type, type.containsNull), element }
    }
    if (type.kind === 'map' && shape.kind === 'struct' && own.value !== undefined) {
      const below = settled?.kind === 'map' ? settled.value : null
      const value = this.fit(own.value, valuesShape(shape.fields), below, [...path, '{}'])
      if (value === own.value) return own
      return { ...own, type: map(type.key, value.type, type.valueContainsNull), value }
    }
    if (shape.kind !== 'number' || own.unsignedBits !== undefined) return own
    const wider = settled === null ? unsettledType(type, shape) : this.settledType(type, shape)
    if (wider === null) return own
    this.widened.push({
      path: pathText(path),
      fromType: formatDataType(type),
      toType: formatDataType(wider),
    })
    return { ...own, type: wider, declaredType: formatDataType(wider) }
  }

  private fitStruct(
    own: DecodeField,
    shapes: ReadonlyMap<string, Shape>,
    settled: DataType | null,
    path: readonly string[],
  ): DecodeField {
    const { type, fields = [] } = own
    const settledTypes = settled?.kind === 'struct' ? typesByName(settled) : null
    const columns = (type as StructType).fields
    let isChanged = false
    const fitted = fields.map(child => {
      const shape = shapes.get(child.name)
      if (shape === undefined) return child
      const next = this.fit(child, shape, settledTypes?.get(child.name) ?? null, [...path, child.name])
      isChanged ||= next !== child
      return next
    })
    const columnsNow: StructField[] = columns.map((column, i) => ({ ...column, type: fitted[i]!.type }))
    const names = new Map(columns.map(({ name }) => [name.toLowerCase(), name]))
    const known = new Set(columns.map(({ name }) => name))
    for (const [name, shape] of shapes) {
      if (known.has(name)) continue
      const newType = this.newType(name, shape, [...path, name], names)
      if (newType === null) continue
      isChanged = true
      columnsNow.push(field(name, newType))
      fitted.push(decodeFieldOf(name, newType, true, [name]))
    }
    return isChanged ? { ...own, type: struct(columnsNow), fields: fitted } : own
  }

  /** The wider type that a column of the table may take, by what `widerType` allows. */
  private settledType(type: DataType, shape: NumberShape): DataType | null {
    const needed = neededType(type, shape)
    if (needed === null) return null
    const wider = widerType(type, needed)
    if (wider?.status !== 'widen' || (wider.needsFeature && !this.rules.typeWidening)) return null
    return wider.type
  }

  /**
   * The type of a new field; null where nothing is known of it yet.
   *
   * @param names of its siblings, by themselves in lower case; gets this one
   */
  private newType(
    name: string,
    shape: Shape,
    path: readonly string[],
    names: Map<string, string>,
  ): DataType | null {
    if (isEmpty(shape)) return null
    this.checkName(name, path, names)
    const type = this.typeOf(shape, path)
    names.set(name.toLowerCase(), name)
    return type
  }

  private checkName(name: string, path: readonly string[], names: ReadonlyMap<string, string>): void {
    const problem = this.rules.columnMapping && name !== '' ? null : nameProblem(name)
    if (problem !== null) this.refuse(path, `its name ${problem.what}`)
    if (name.length > MERGED_NAME_MAX)
      this.refuse(path, `its name has more than ${MERGED_NAME_MAX} characters`)
    if (!name.isWellFormed()) this.refuse(path, 'its name has half of a surrogate pair')
    if (/\p{Cc}/u.test(name)) this.refuse(path, 'its name has a control character')
    if (path.length === 1 && RESERVED_NAMES.has(name.toLowerCase())) {
      this.refuse(path, 'its name is reserved for the changes of a table')
    }
    const twin = names.get(name.toLowerCase())
    if (twin !== undefined) this.refuse(path, `its name differs from \`${twin}\` only in case`)
    if (++this.fieldCount > MERGED_FIELDS_MAX) {
      this.refuse(path, `the table has ${MERGED_FIELDS_MAX} fields, and messages add no more`)
    }
  }

  private refuse(path: readonly string[], problem: string): never {
    const hint =
      path.length === 1
        ? 'declare it in `delta.schema`, under another name with `metadata: { source: … }`, or rename it'
        : 'rename it'
    const column = this.layout.columns.find(({ source }) => payloadPath(source)?.[0] === path[0])
    throw new RefusedField(
      path,
      column?.field.name ?? null,
      `the field is new and cannot become a column: ${problem} (${hint})`,
    )
  }

  /** @param shape not empty */
  private typeOf(shape: Shape, path: readonly string[]): DataType {
    if (path.length > MERGED_DEPTH_MAX)
      this.refuse(path, `it is nested deeper than ${MERGED_DEPTH_MAX} levels`)
    switch (shape.kind) {
      case 'boolean':
        return primitive('boolean')
      case 'number':
        return typeOfNumbers(shape)
      case 'list':
        return array(this.typeOf(shape.element, [...path, '[]']))
      case 'struct':
        return struct(this.newFields(shape.fields, path))
      default:
        return primitive('string')
    }
  }

  private newFields(shapes: ReadonlyMap<string, Shape>, path: readonly string[]): StructField[] {
    const names = new Map<string, string>()
    const fields: StructField[] = []
    for (const [name, shape] of shapes) {
      if (isEmpty(shape)) continue
      const at = [...path, name]
      this.checkName(name, at, names)
      names.set(name.toLowerCase(), name)
      fields.push(field(name, this.typeOf(shape, at)))
    }
    return fields
  }
}

function typesByName(schema: StructType): ReadonlyMap<string, DataType> {
  return new Map(schema.fields.map(({ name, type }) => [name, type]))
}

function shapeAt(payload: ReadonlyMap<string, Shape>, path: readonly string[]): Shape {
  let shape: Shape = { kind: 'struct', fields: payload }
  for (const name of path) {
    if (shape.kind !== 'struct') return { kind: 'null' }
    shape = shape.fields.get(name) ?? { kind: 'null' }
  }
  return shape
}

function countFields(type: DataType): number {
  switch (type.kind) {
    case 'struct':
      return type.fields.reduce((count, each) => count + 1 + countFields(each.type), 0)
    case 'array':
      return countFields(type.element)
    case 'map':
      return countFields(type.key) + countFields(type.value)
    default:
      return 0
  }
}

/** As people write it: `order.items[].sku`, `prices{}.net`. */
function pathText(path: readonly string[]): string {
  return boundedPath(`$${path.map(segmentText).join('')}`)
}

function segmentText(segment: string): string {
  return segment === '[]' || segment === '{}' ? segment : pathSegment(segment)
}
