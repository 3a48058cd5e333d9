/**
 * The rows of a Parquet checkpoint as actions, a batch at a time.
 *
 * PROTOCOL.md › Checkpoint Schema. Only the columns that are asked for are fetched, row group by row group; a row group
 * whose statistics say that a column is null throughout costs nothing of it. Memory is that of one row group's compressed
 * columns, a page of each, and a batch of actions.
 *
 * @module
 */
import type { Action } from './action.ts'
import { toAction } from './action-codec.ts'
import { ACTION_TYPES, type ActionColumn } from './checkpoint-schema.ts'
import { createParsedStatistics, type ParsedStatistics } from './checkpoint-statistics.ts'
import type { DeltaLakeError } from './error.ts'
import { type FileNode, fileTree } from './parquet/file-schema.ts'
import type { ParquetFile } from './parquet/parquet-reader.ts'
import { createReaders, type LeafSlot, openRowGroup, type ValueReader } from './parquet/value-reader.ts'
import { type DataType, field, primitive, type StructField, struct } from './schema.ts'

/** Rows that become actions before they are handed on. */
const BATCH_ROWS = 4_096

/**
 * Reads actions of one row group.
 *
 * @param columns those to read; rows that hold another action are passed over
 * @throws DeltaLakeError `DELTA_DATA_CORRUPT` where the file cannot be decoded, what `corrupt` makes where an action
 *   breaks the protocol, and what the store throws
 */
export async function* readActionRows(
  file: ParquetFile,
  group: number,
  columns: readonly ActionColumn[],
  corrupt: (message: string) => DeltaLakeError,
): AsyncGenerator<Action[]> {
  const root = rootOf(file)
  const readers: ActionReader[] = []
  for (const column of columns) {
    const node = root.children.find(child => child.element.name === column)
    if (node === undefined || file.isAllNull(group, column)) continue
    readers.push(planned(file, () => new ActionReader(file, group, column, node)))
  }
  if (readers.length === 0) return
  await openRowGroup(
    file,
    group,
    readers.flatMap(reader => reader.leaves),
  )
  const rowCount = Number(file.metadata.row_groups[group]!.num_rows)
  for (let done = 0; done < rowCount; ) {
    const end = Math.min(done + BATCH_ROWS, rowCount)
    const actions: Action[] = []
    try {
      for (; done < end; done++) for (const reader of readers) reader.next(actions, corrupt)
    } catch (cause) {
      throw file.undecodable(group, cause)
    }
    if (actions.length > 0) yield actions
  }
}

function rootOf(file: ParquetFile): FileNode {
  return planned(file, () => fileTree(file.metadata.schema))
}

function planned<T>(file: ParquetFile, plan: () => T): T {
  try {
    return plan()
  } catch (cause) {
    throw file.corrupt(cause instanceof Error ? cause.message : String(cause), cause)
  }
}

/** A field of an action and what gives its values, in step with the rows. */
interface FieldReader {
  readonly name: string
  readonly reader: ValueReader
  /** Entries become objects where the type holds a map. */
  readonly convert: ((value: unknown) => unknown) | null
}

/** Reads one column of actions, a row at a time. */
class ActionReader {
  readonly leaves: readonly LeafSlot[]
  readonly #column: ActionColumn
  readonly #definitionLevel: number
  readonly #fields: readonly FieldReader[]
  readonly #statistics: ParsedStatistics | null

  constructor(file: ParquetFile, group: number, column: ActionColumn, node: FileNode) {
    const fields = fieldsOf(column).filter(f => !isAbsent(file, group, column, f))
    const { columns, leaves } = createReaders(fields, node, 'name')
    this.#column = column
    this.#definitionLevel = node.definitionLevel
    this.#fields = fields.flatMap(({ name, type }, i) => {
      const reader = columns[i]!
      return reader === null ? [] : [{ name, reader, convert: objectOf(type) }]
    })
    if (this.#fields.length === 0) throw new Error(`has a column \`${column}\` without the fields of one`)
    this.#statistics = column === 'add' ? parsedStatisticsOf(file, group, node) : null
    this.leaves = this.#statistics === null ? leaves : [...leaves, ...this.#statistics.leaves]
  }

  /** Takes the next row; adds its action, where it holds one of this column. */
  next(actions: Action[], corrupt: (message: string) => DeltaLakeError): void {
    const fields = this.#fields
    if (fields[0]!.reader.leaf.definition < this.#definitionLevel) {
      for (let i = 0; i < fields.length; i++) fields[i]!.reader.skip()
      this.#statistics?.skip()
      return
    }
    const body: Record<string, unknown> = {}
    for (let i = 0; i < fields.length; i++) {
      const { name, reader, convert } = fields[i]!
      const value = reader.read()
      if (value !== null) body[name] = convert === null ? value : convert(value)
    }
    if (this.#statistics !== null) {
      if (body.stats === undefined) {
        const text = this.#statistics.read()
        if (text !== null) body.stats = text
      } else this.#statistics.skip()
    }
    // Readers must not depend on it in a checkpoint, so some writers leave it out.
    if (this.#column === 'add' || this.#column === 'remove') body.dataChange ??= false
    const action = toAction({ [this.#column]: body }, corrupt)
    if (action !== null) actions.push(action)
  }
}

/** Integers as longs: which of the two a writer chose does not matter. */
function fieldsOf(column: ActionColumn): readonly StructField[] {
  const fields = ACTION_TYPES[column].fields.map(widened)
  return column === 'add' ? [...fields, field('stats', primitive('string'))] : fields
}

function widened(f: StructField): StructField {
  if (f.type.kind === 'struct') return field(f.name, struct(f.type.fields.map(widened)))
  return f.type.kind === 'primitive' && f.type.name === 'integer' ? field(f.name, primitive('long')) : f
}

/** Is nothing of the field there to be read? Not said of maps and lists: an empty one counts as a null in statistics. */
function isAbsent(file: ParquetFile, group: number, column: string, { name, type }: StructField): boolean {
  return type.kind !== 'map' && type.kind !== 'array' && file.isAllNull(group, `${column}.${name}`)
}

function objectOf(type: DataType): FieldReader['convert'] {
  if (type.kind === 'map') {
    // fromEntries defines properties, so that a key such as `__proto__` is one like any other.
    return entries => Object.fromEntries(entries as [string, unknown][])
  }
  if (type.kind !== 'struct') return null
  const nested = type.fields.flatMap(({ name, type: fieldType }) => {
    const convert = objectOf(fieldType)
    return convert === null ? [] : [{ name, convert }]
  })
  if (nested.length === 0) return null
  return value => {
    const body = value as Record<string, unknown>
    for (const { name, convert } of nested) {
      if (body[name] !== null && body[name] !== undefined) body[name] = convert(body[name])
    }
    return body
  }
}

/** Typed statistics are read where some add of the row group may have no others. */
function parsedStatisticsOf(file: ParquetFile, group: number, add: FileNode): ParsedStatistics | null {
  const node = add.children.find(child => child.element.name === 'stats_parsed')
  if (node === undefined || file.isAllNull(group, 'add.stats_parsed')) return null
  const withoutPath = file.nullCount(group, 'add.path')
  const withoutStats = file.nullCount(group, 'add.stats')
  if (withoutPath !== null && withoutPath === withoutStats) return null
  return createParsedStatistics(node)
}
