/**
 * The rows of a file against what the log says of them.
 *
 * PROTOCOL.md › Per-file Statistics. Readers leave files out by these bounds, so each live row must lie within them:
 * timestamps to the millisecond, strings by their UTF-8 bytes, NaN above all numbers. `numRecords` counts deleted rows
 * too; null counts are exact unless `tightBounds` is false.
 *
 * @module
 */
import type { Add } from '../../action.ts'
import { parseDate } from '../../calendar.ts'
import { type ColumnMappingMode, physicalName } from '../../column-mapping.ts'
import { DeltaLakeError } from '../../error.ts'
import { isJsonObject, JsonNumber } from '../../json.ts'
import { FileReplay } from '../../log-replay.ts'
import { parsePartitionValue } from '../../partition-value.ts'
import type { DataType, StructField, StructType } from '../../schema.ts'
import { Snapshot } from '../../snapshot.ts'
import { parseStatistics, type Statistics } from '../../statistics.ts'
import { compareKeys } from '../../store/object-key.ts'
import { scanTable, type TableRow } from '../scan.ts'
import type { FileCheckOptions } from './file-check.ts'
import type { FindingList } from './finding.ts'
import { logFault } from './log-check.ts'

/** Bounds are to the millisecond, values to the microsecond. */
const TIMESTAMP_SLACK = 999n
const MICROS_PER_DAY = 86_400_000_000n

/** A leaf column: where it is in a row, and in statistics. */
interface Leaf {
  readonly names: readonly string[]
  readonly physicalNames: readonly string[]
  readonly field: StructField
}

export class RowCheck {
  readonly #snapshot: Snapshot
  readonly #findings: FindingList
  readonly #options: FileCheckOptions
  readonly #leaves: readonly Leaf[]
  readonly #required: readonly string[]

  constructor(snapshot: Snapshot, mode: ColumnMappingMode, findings: FindingList, options: FileCheckOptions) {
    const { schema, metadata } = snapshot.state
    this.#snapshot = snapshot
    this.#findings = findings
    this.#options = options
    const inFiles = schema.fields.filter(field => !metadata.partitionColumns.includes(field.name))
    this.#leaves = inFiles.flatMap(field => [...leavesOf(field, [], [], mode)])
    this.#required = inFiles.filter(field => !field.nullable).map(field => field.name)
  }

  /** Reads the file. */
  async check(add: Add): Promise<void> {
    const statistics = add.stats === undefined ? null : parseStatistics(add.stats)
    const leaves = statistics === null ? [] : this.#leafChecks(add, statistics)
    let rowCount = 0
    const nulls = new Map(this.#required.map(name => [name, 0]))
    try {
      for await (const rows of this.#rowsOf(add)) {
        rowCount += rows.length
        for (const row of rows) {
          for (const leaf of leaves) leaf.take(row)
          for (const name of this.#required) if (row[name] === null) nulls.set(name, nulls.get(name)! + 1)
        }
      }
    } catch (error) {
      if (error instanceof DeltaLakeError && error.code === 'DELTA_PROTOCOL_UNSUPPORTED') throw error
      this.#find('file-unreadable', add, logFault(error))
      return
    }
    const physicalCount = rowCount + (add.deletionVector?.cardinality ?? 0)
    if (statistics !== null && statistics.numRecords !== physicalCount) {
      this.#find('statistics', add, `has ${physicalCount} rows, by its statistics ${statistics.numRecords}`)
    }
    for (const [name, count] of nulls) {
      if (count > 0)
        this.#find('not-null', add, `has ${count} nulls in the column \`${name}\`, which allows none`)
    }
    const isTight = statistics?.tightBounds !== false
    for (const leaf of leaves)
      for (const message of leaf.faults(rowCount, physicalCount, isTight)) {
        this.#find('statistics', add, message)
      }
  }

  #rowsOf(add: Add): AsyncGenerator<readonly TableRow[]> {
    const { store, state } = this.#snapshot
    const { signal, openForeign } = this.#options
    return scanTable(new Snapshot(store, state, new FileReplay(), [add], [], null), {
      ...(signal === undefined ? {} : { signal }),
      ...(openForeign === undefined ? {} : { openForeign }),
    })
  }

  #leafChecks(add: Add, { minValues, maxValues, nullCount }: Statistics): LeafCheck[] {
    const checks: LeafCheck[] = []
    for (const { names, physicalNames, field } of this.#leaves) {
      const said = [minValues, maxValues].map(values => valueAt(values, physicalNames))
      const [min, max] = [lowerBound(field, said[0]), upperBound(field, said[1])]
      const nulls = valueAt(nullCount, physicalNames)
      if (said.some((value, i) => value !== undefined && value !== null && [min, max][i] === undefined)) {
        const message = `has a bound of \`${names.join('.')}\` that is not of the column's type`
        this.#find('statistics', add, message)
      }
      if (min === undefined && max === undefined && typeof nulls !== 'number') continue
      checks.push(new LeafCheck(names, field.type, min, max, typeof nulls === 'number' ? nulls : null))
    }
    return checks
  }

  #find(rule: 'file-unreadable' | 'statistics' | 'not-null', { path }: Add, message: string): void {
    const text = rule === 'file-unreadable' ? message : `\`${path}\` ${message}`
    this.#findings.add(rule, text, { version: this.#snapshot.version, file: path })
  }
}

function* leavesOf(
  field: StructField,
  names: readonly string[],
  physicalNames: readonly string[],
  mode: ColumnMappingMode,
): Generator<Leaf> {
  const path = [...names, field.name]
  const physicalPath = [...physicalNames, physicalName(field, mode)]
  if (field.type.kind !== 'struct') yield { names: path, physicalNames: physicalPath, field }
  else for (const child of (field.type as StructType).fields) yield* leavesOf(child, path, physicalPath, mode)
}

function valueAt(values: unknown, path: readonly string[]): unknown {
  let value = values
  for (const name of path) {
    if (!isJsonObject(value) || !Object.hasOwn(value, name)) return undefined
    value = value[name]
  }
  return value
}

type Ordered = number | bigint | string

/** The bound as rows have their values; undefined where there is none, or none of the type. */
function boundOf(type: DataType, value: unknown): Ordered | undefined {
  if (value === undefined || value === null) return undefined
  const text = value instanceof JsonNumber ? value.text : String(value)
  if (type.kind === 'primitive') {
    if (type.name === 'string') return text
    // Written before the column was widened.
    const days = type.name === 'timestamp_ntz' ? parseDate(text) : null
    if (days !== null) return BigInt(days) * MICROS_PER_DAY
  }
  try {
    const parsed = parsePartitionValue(type, text)
    return typeof parsed === 'number' || typeof parsed === 'bigint' ? parsed : undefined
  } catch {
    return undefined
  }
}

/** A float's shortest text may lie beside the double that the float is, once its column has been widened. */
function wasFloat({ type, metadata }: StructField): boolean {
  return type.kind === 'primitive' && type.name === 'double' && metadata['delta.typeChanges'] !== undefined
}

function lowerBound(field: StructField, value: unknown): Ordered | undefined {
  const bound = boundOf(field.type, value)
  return typeof bound === 'number' && wasFloat(field) ? Math.min(bound, Math.fround(bound)) : bound
}

function upperBound(field: StructField, value: unknown): Ordered | undefined {
  const bound = boundOf(field.type, value)
  return typeof bound === 'number' && wasFloat(field) ? Math.max(bound, Math.fround(bound)) : bound
}

/** Follows one leaf column through the rows of a file. */
class LeafCheck {
  readonly #names: readonly string[]
  readonly #min: Ordered | undefined
  readonly #max: Ordered | undefined
  readonly #nullCount: number | null
  readonly #slack: bigint
  #nulls = 0
  #below: unknown
  #above: unknown

  constructor(
    names: readonly string[],
    type: DataType,
    min: Ordered | undefined,
    max: Ordered | undefined,
    nullCount: number | null,
  ) {
    this.#names = names
    this.#min = min
    this.#max = max
    this.#nullCount = nullCount
    const isTimestamp = type.kind === 'primitive' && type.name.startsWith('timestamp')
    this.#slack = isTimestamp ? TIMESTAMP_SLACK : 0n
  }

  take(row: TableRow): void {
    let value: unknown = row
    for (const name of this.#names) {
      value = (value as TableRow)[name]
      if (value === null) break
    }
    if (value === null) {
      this.#nulls++
      return
    }
    if (this.#min !== undefined && compare(value as Ordered, this.#min) < 0) this.#below ??= value
    const max = this.#max
    if (max === undefined) return
    const end = typeof max === 'bigint' ? max + this.#slack : max
    if (compare(value as Ordered, end) > 0) this.#above ??= value
  }

  *faults(rowCount: number, physicalCount: number, isTight: boolean): Generator<string> {
    const name = this.#names.join('.')
    const count = this.#nullCount
    if (count !== null) {
      // Wide counts say only none, or all.
      const isRight = isTight
        ? count === this.#nulls
        : count === 0
          ? this.#nulls === 0
          : count !== physicalCount || this.#nulls === rowCount
      if (!isRight) yield `has ${this.#nulls} nulls in \`${name}\`, by its statistics ${count}`
    }
    if (this.#below !== undefined)
      yield `has \`${this.#below}\` in \`${name}\`, below the least \`${this.#min}\``
    if (this.#above !== undefined) {
      yield `has \`${this.#above}\` in \`${name}\`, above the greatest \`${this.#max}\``
    }
  }
}

function compare(a: Ordered, b: Ordered): number {
  if (typeof a === 'string' || typeof b === 'string') return compareKeys(String(a), String(b))
  if (Number.isNaN(a)) return Number.isNaN(b) ? 0 : 1
  if (Number.isNaN(b)) return -1
  return a < b ? -1 : a > b ? 1 : 0
}
