/**
 * The live files of a version: that they are there, once, as large as the log says, in a partition of the table, with
 * row ids of their own.
 *
 * @module
 */
import type { Add } from '../../action.ts'
import { type ColumnMappingMode, physicalName } from '../../column-mapping.ts'
import { deletionVectorPath } from '../../deletion-vector.ts'
import { dataFileSource, type OpenForeignStore } from '../../file-source.ts'
import { parsePartitionValue } from '../../partition-value.ts'
import { assignsRowIds, rowIdHighWaterMark } from '../../row-tracking.ts'
import type { StructField } from '../../schema.ts'
import type { Snapshot } from '../../snapshot.ts'
import { parseStatistics } from '../../statistics.ts'
import type { RequestOptions } from '../../store/object-store.ts'
import { tableProperty } from '../../table-property.ts'
import type { FindingList } from './finding.ts'
import { logFault } from './log-check.ts'
import { RowCheck } from './row-check.ts'

/** Files that are looked up at a time. */
const FILES_AT_ONCE = 16

export interface FileCheckOptions extends RequestOptions {
  /** Also read every row. */
  readonly deep: boolean
  readonly openForeign?: OpenForeignStore
  /** Called after every {@link FILES_AT_ONCE} files; deep, after each of them. */
  readonly progressed?: (filesDone: number) => void
}

/**
 * Checks the live files of a snapshot.
 *
 * Memory: 24 bytes a file for row ids and doubles, and what reading one file takes.
 *
 * @returns how many there are
 * @throws DeltaLakeError what the store throws; what is wrong with the table is a finding
 */
export async function checkFiles(
  snapshot: Snapshot,
  findings: FindingList,
  options: FileCheckOptions,
): Promise<number> {
  const check = new FileCheck(snapshot, findings, options)
  let fileCount = 0
  let waiting: Add[] = []
  for await (const add of snapshot.files(options)) {
    fileCount++
    waiting.push(add)
    if (waiting.length === FILES_AT_ONCE) {
      await check.take(waiting)
      waiting = []
    }
  }
  await check.take(waiting)
  await check.finish()
  return fileCount
}

interface PartitionColumn {
  readonly field: StructField
  readonly key: string
}

class FileCheck {
  readonly #snapshot: Snapshot
  readonly #findings: FindingList
  readonly #options: FileCheckOptions
  readonly #partitionColumns: readonly PartitionColumn[]
  readonly #rows: RowCheck | null
  readonly #rowIds: RowIdRanges | null
  readonly #paths = new PathHashes()
  #filesDone = 0

  constructor(snapshot: Snapshot, findings: FindingList, options: FileCheckOptions) {
    const { state } = snapshot
    const { partitionColumns, configuration } = state.metadata
    const mode = tableProperty(configuration, 'delta.columnMapping.mode') as ColumnMappingMode
    this.#snapshot = snapshot
    this.#findings = findings
    this.#options = options
    this.#partitionColumns = state.schema.fields
      .filter(field => partitionColumns.includes(field.name))
      .map(field => ({ field, key: physicalName(field, mode) }))
    this.#rows = options.deep ? new RowCheck(snapshot, mode, findings, options) : null
    this.#rowIds = assignsRowIds(state) ? new RowIdRanges() : null
  }

  async take(adds: readonly Add[]): Promise<void> {
    for (const add of adds) {
      this.#paths.add(add.path)
      this.#checkPartition(add)
      this.#checkCounts(add)
    }
    const present = await Promise.all(adds.map(add => this.#isPresent(add)))
    if (this.#rows === null) {
      this.#filesDone += adds.length
      if (adds.length > 0) this.#options.progressed?.(this.#filesDone)
      return
    }
    for (const [i, add] of adds.entries()) {
      if (present[i]) await this.#rows.check(add)
      this.#options.progressed?.(++this.#filesDone)
    }
  }

  /** What only shows when all files have been seen. */
  async finish(): Promise<void> {
    const { state } = this.#snapshot
    const suspects = this.#paths.doubles()
    if (suspects.size > 0) await this.#checkDoubles(suspects)
    if (this.#rowIds === null) return
    let mark: bigint
    try {
      mark = rowIdHighWaterMark(state)
    } catch (error) {
      this.#find('row-id', logFault(error))
      return
    }
    for (const message of this.#rowIds.faults(mark)) this.#find('row-id', message)
  }

  /** Two paths may have one hash, so the paths themselves decide. */
  async #checkDoubles(suspects: ReadonlySet<number>): Promise<void> {
    const seen = new Set<string>()
    for await (const { path } of this.#snapshot.files(this.#options)) {
      if (!suspects.has(hashOf(path))) continue
      if (seen.has(path)) this.#find('file-duplicate', `\`${path}\` is live twice`, path)
      seen.add(path)
    }
  }

  #checkPartition({ path, partitionValues }: Add): void {
    for (const { field, key } of this.#partitionColumns) {
      const text = partitionValues[key]
      if (text === undefined) {
        this.#find('partition-value', `\`${path}\` has no value of the partition column \`${key}\``, path)
        continue
      }
      try {
        const value = parsePartitionValue(field.type, text)
        if (value === null && !field.nullable) {
          this.#find('not-null', `\`${path}\` has null in the partition column \`${field.name}\``, path)
        }
      } catch (error) {
        this.#find('partition-value', `\`${path}\`: ${logFault(error)}`, path)
      }
    }
    if (Object.keys(partitionValues).length <= this.#partitionColumns.length) return
    const known = new Set(this.#partitionColumns.map(({ key }) => key))
    const extra = Object.keys(partitionValues).filter(key => !known.has(key))
    this.#find(
      'partition-value',
      `\`${path}\` has values of \`${extra.join('`, `')}\`, no partition columns`,
      path,
    )
  }

  /** Statistics that others rely on: counts. */
  #checkCounts({ path, stats, deletionVector, baseRowId }: Add): void {
    const statistics = stats === undefined ? null : parseStatistics(stats)
    if (stats !== undefined && statistics === null) {
      this.#find('statistics', `\`${path}\` has statistics that cannot be understood`, path)
    }
    const numRecords = statistics?.numRecords ?? null
    if (deletionVector !== undefined && numRecords === null) {
      this.#find('statistics', `\`${path}\` has a deletion vector and no \`numRecords\``, path)
    } else if (deletionVector !== undefined && deletionVector.cardinality > numRecords!) {
      const message = `\`${path}\` has ${numRecords} rows, of which ${deletionVector.cardinality} are deleted`
      this.#find('statistics', message, path)
    }
    if (this.#rowIds === null) return
    if (baseRowId === undefined) this.#find('row-id', `\`${path}\` has no \`baseRowId\``, path)
    else if (numRecords === null) this.#find('row-id', `\`${path}\` has row ids and no \`numRecords\``, path)
    else this.#rowIds.add(baseRowId, numRecords)
  }

  async #isPresent(add: Add): Promise<boolean> {
    const size = await this.#sizeOf(add.path)
    if (size === null) this.#find('file-missing', `the file \`${add.path}\` does not exist`, add.path)
    else if (size !== 'elsewhere' && size !== add.size) {
      const message = `the file \`${add.path}\` has ${size} bytes, by the log ${add.size}`
      this.#find('file-size', message, add.path)
    }
    const vector = add.deletionVector === undefined ? null : deletionVectorPath(add.deletionVector)
    if (vector !== null && (await this.#sizeOf(vector)) === null) {
      this.#find(
        'file-missing',
        `the deletion vector \`${vector}\` of \`${add.path}\` does not exist`,
        vector,
      )
      return false
    }
    return size === 'elsewhere' ? this.#options.openForeign !== undefined : size === add.size
  }

  /** Null where there is no such object; `elsewhere` where it lies in a place that cannot be opened. */
  async #sizeOf(path: string): Promise<number | 'elsewhere' | null> {
    const { openForeign } = this.#options
    try {
      const { store, key } = dataFileSource(path, this.#snapshot.store, openForeign)
      return (await store.head(key, this.#options))?.sizeBytes ?? null
    } catch (error) {
      if (isOutside(error)) return 'elsewhere'
      this.#find('file-unreadable', logFault(error), path)
      return null
    }
  }

  #find(rule: Parameters<FindingList['add']>[0], message: string, file?: string): void {
    const { version } = this.#snapshot
    this.#findings.add(rule, message, file === undefined ? { version } : { version, file })
  }
}

function isOutside(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'DELTA_FILE_OUTSIDE'
}

const CAPACITY_FIRST = 1_024

/** Finds what may be twice, at 8 bytes a path. */
class PathHashes {
  #hashes = new Float64Array(CAPACITY_FIRST)
  #count = 0

  add(path: string): void {
    if (this.#count === this.#hashes.length) {
      const grown = new Float64Array(this.#count * 2)
      grown.set(this.#hashes)
      this.#hashes = grown
    }
    this.#hashes[this.#count++] = hashOf(path)
  }

  doubles(): ReadonlySet<number> {
    const sorted = this.#hashes.subarray(0, this.#count).sort()
    const doubles = new Set<number>()
    for (let i = 1; i < sorted.length; i++) if (sorted[i] === sorted[i - 1]) doubles.add(sorted[i]!)
    return doubles
  }
}

/** 52 bits of two FNV-1a hashes with different starts. */
function hashOf(text: string): number {
  let high = 0x811c9dc5
  let low = 0x9747b28c
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    high = Math.imul(high ^ unit, 0x01000193)
    low = Math.imul(low ^ unit, 0x85ebca6b)
  }
  return (high >>> 12) * 2 ** 32 + (low >>> 0)
}

/** The row ids of each file, at 16 bytes a file. */
class RowIdRanges {
  #firsts = new BigInt64Array(CAPACITY_FIRST)
  #counts = new Float64Array(CAPACITY_FIRST)
  #count = 0

  add(first: bigint, count: number): void {
    if (this.#count === this.#counts.length) {
      const firsts = new BigInt64Array(this.#count * 2)
      firsts.set(this.#firsts)
      this.#firsts = firsts
      const counts = new Float64Array(this.#count * 2)
      counts.set(this.#counts)
      this.#counts = counts
    }
    this.#firsts[this.#count] = first
    this.#counts[this.#count++] = count
  }

  *faults(mark: bigint): Generator<string> {
    const order = new Uint32Array(this.#count).map((_, i) => i)
    const firsts = this.#firsts
    order.sort((a, b) => (firsts[a]! < firsts[b]! ? -1 : firsts[a]! > firsts[b]! ? 1 : 0))
    let end = 0n
    for (const i of order) {
      const [first, count] = [firsts[i]!, BigInt(this.#counts[i]!)]
      if (first < 0n) yield `a file has row ids from ${first} on`
      else if (first < end && count > 0n) yield `the row ids from ${first} on are of two files`
      if (first + count > end) end = first + count
    }
    if (end - 1n > mark) yield `the row id ${end - 1n} is above the high-water mark ${mark}`
  }
}
