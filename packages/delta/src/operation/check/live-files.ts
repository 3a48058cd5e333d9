/**
 * The live files while a log is replayed: enough of each to compare with what checkpoints and checksums say.
 *
 * Memory is bounded: of a large table only the files of one bucket of paths are held, and the log is replayed once a
 * bucket.
 *
 * @module
 */
import { createHash } from 'node:crypto'
import type { Action, Add, Remove } from '../../action.ts'
import { deletionVectorId } from '../../deletion-vector-id.ts'
import { formatJson } from '../../json.ts'
import { parseStatistics } from '../../statistics.ts'

/** Files that are held at a time. */
export const LIVE_FILES_MAX = 200_000
/** 0, 1–9, 10–99, …, up to 2^31 − 2, and beyond (PROTOCOL.md › Deleted Record Counts Histogram). */
const DELETED_COUNT_BINS = 10
const INT_MAX = 2 ** 31 - 1
const DIGEST_CHARACTERS = 22

export interface LiveFile {
  readonly dvId: string | null
  readonly sizeBytes: number
  readonly deletedCount: number
  /** Of all that the log says of the file, but for statistics. */
  readonly digest: string
  /** Null without statistics. */
  readonly numRecords: number | null
  /** Of the null counts; empty without. */
  readonly nullCounts: string
  /** The last comparison that met it. */
  mark: number
}

export interface SizeHistogram {
  /** Lower bounds of the bins, ascending from 0. */
  readonly boundaries: readonly number[]
  readonly fileCounts: number[]
  readonly totalBytes: number[]
}

/** Sums over the live files. */
export interface LiveTotals {
  numFiles: number
  sizeBytes: number
  deletionVectorCount: number
  deletedRecordCount: number
  readonly deletedCountBins: number[]
  histogram: SizeHistogram | null
}

export function emptyTotals(): LiveTotals {
  return {
    numFiles: 0,
    sizeBytes: 0,
    deletionVectorCount: 0,
    deletedRecordCount: 0,
    deletedCountBins: Array(DELETED_COUNT_BINS).fill(0),
    histogram: null,
  }
}

/** Adds the totals of one bucket to those of others. */
export function addTotals(into: LiveTotals, more: LiveTotals): void {
  into.numFiles += more.numFiles
  into.sizeBytes += more.sizeBytes
  into.deletionVectorCount += more.deletionVectorCount
  into.deletedRecordCount += more.deletedRecordCount
  for (const [i, count] of more.deletedCountBins.entries()) into.deletedCountBins[i]! += count
  const { histogram } = more
  if (histogram === null) return
  into.histogram ??= emptyHistogram(histogram.boundaries)
  for (const [i, count] of histogram.fileCounts.entries()) into.histogram.fileCounts[i]! += count
  for (const [i, bytes] of histogram.totalBytes.entries()) into.histogram.totalBytes[i]! += bytes
}

/** What a comparison of the live files with a list of others came to. */
export interface FileDifference {
  readonly path: string
  readonly message: string
}

export interface FileComparison {
  /** Takes a file of the other list. */
  meet(add: Add): FileDifference | null
  /** The live files that the other list did not have. */
  missing(): Generator<FileDifference>
}

export class LiveFiles {
  readonly #byPath = new Map<string, LiveFile[]>()
  readonly #bucket: number
  readonly #bucketCount: number
  #totals = emptyTotals()
  #comparisons = 0

  /** @param bucketCount a power of two */
  constructor(bucket: number, bucketCount: number) {
    this.#bucket = bucket
    this.#bucketCount = bucketCount
  }

  get count(): number {
    return this.#totals.numFiles
  }

  /** A copy. */
  totals(histogramBoundaries: readonly number[] | null): LiveTotals {
    const totals = { ...this.#totals, deletedCountBins: [...this.#totals.deletedCountBins] }
    return {
      ...totals,
      histogram: histogramBoundaries === null ? null : this.#histogram(histogramBoundaries),
    }
  }

  clear(): void {
    this.#byPath.clear()
    this.#totals = emptyTotals()
  }

  /**
   * Applies one commit, or a batch of a checkpoint.
   *
   * @returns paths that are live twice from now on
   */
  apply(actions: readonly Action[]): string[] {
    // A commit that exchanges a deletion vector holds the add and the remove in either order.
    for (const action of actions) if ('remove' in action) this.#remove(action.remove)
    const doubled: string[] = []
    for (const action of actions) {
      if (!('add' in action) || !this.#isMine(action.add.path)) continue
      if (this.#add(action.add) > 1) doubled.push(action.add.path)
    }
    return doubled
  }

  isLive(file: Remove): boolean {
    return this.#find(file) !== undefined
  }

  /** Starts a comparison: each file of the other list is passed in, then the rest is asked for. */
  compare(options: { withStatistics: boolean }): FileComparison {
    const mark = ++this.#comparisons
    let metCount = 0
    return {
      meet: add => {
        if (!this.#isMine(add.path)) return null
        const { path } = add
        const file = this.#find(add)
        if (file === undefined) return { path, message: 'is not live by the commits' }
        if (file.mark === mark) return { path, message: 'is there twice' }
        file.mark = mark
        metCount++
        const message = differenceOf(file, liveFileOf(add), options.withStatistics)
        return message === null ? null : { path, message }
      },
      missing: function* (this: LiveFiles): Generator<FileDifference> {
        if (metCount === this.count) return
        for (const [path, files] of this.#byPath) {
          for (const file of files) if (file.mark !== mark) yield { path, message: 'is missing' }
        }
      }.bind(this),
    }
  }

  #add(add: Add): number {
    const file = liveFileOf(add)
    const files = this.#byPath.get(add.path)
    if (files === undefined) this.#byPath.set(add.path, [file])
    else {
      const index = files.findIndex(f => f.dvId === file.dvId)
      if (index !== -1) this.#count(files.splice(index, 1)[0]!, -1)
      files.push(file)
    }
    this.#count(file, 1)
    return files?.length ?? 1
  }

  #remove(remove: Remove): void {
    const file = this.#find(remove)
    if (file === undefined) return
    const rest = this.#byPath.get(remove.path)!.filter(f => f !== file)
    if (rest.length === 0) this.#byPath.delete(remove.path)
    else this.#byPath.set(remove.path, rest)
    this.#count(file, -1)
  }

  #find({ path, deletionVector }: Add | Remove): LiveFile | undefined {
    const dvId = deletionVector === undefined ? null : deletionVectorId(deletionVector)
    return this.#byPath.get(path)?.find(file => file.dvId === dvId)
  }

  #count(file: LiveFile, sign: 1 | -1): void {
    const totals = this.#totals
    totals.numFiles += sign
    totals.sizeBytes += sign * file.sizeBytes
    if (file.dvId !== null) totals.deletionVectorCount += sign
    totals.deletedRecordCount += sign * file.deletedCount
    totals.deletedCountBins[deletedCountBin(file.deletedCount)]! += sign
    const { histogram } = totals
    if (histogram !== null) countInto(histogram, file.sizeBytes, sign)
  }

  /** Kept up to date from the first time on; writers do not change their bins. */
  #histogram(boundaries: readonly number[]): SizeHistogram {
    const current = this.#totals.histogram
    let histogram = current
    if (histogram === null || !sameNumbers(histogram.boundaries, boundaries)) {
      histogram = emptyHistogram(boundaries)
      for (const files of this.#byPath.values()) for (const f of files) countInto(histogram, f.sizeBytes, 1)
      this.#totals.histogram = histogram
    }
    return { boundaries, fileCounts: [...histogram.fileCounts], totalBytes: [...histogram.totalBytes] }
  }

  #isMine(path: string): boolean {
    return this.#bucketCount === 1 || (bucketHash(path) & (this.#bucketCount - 1)) === this.#bucket
  }
}

function liveFileOf(add: Add): LiveFile {
  const statistics = add.stats === undefined ? null : parseStatistics(add.stats)
  return {
    dvId: add.deletionVector === undefined ? null : deletionVectorId(add.deletionVector),
    sizeBytes: add.size,
    deletedCount: add.deletionVector?.cardinality ?? 0,
    digest: digestOf(add),
    numRecords: statistics?.numRecords ?? null,
    nullCounts: statistics?.nullCount === undefined ? '' : shortDigest(canonical(statistics.nullCount)),
    mark: 0,
  }
}

function differenceOf(ours: LiveFile, other: LiveFile, withStatistics: boolean): string | null {
  if (ours.sizeBytes !== other.sizeBytes) {
    return `has ${other.sizeBytes} bytes, by the commits ${ours.sizeBytes}`
  }
  if (ours.digest !== other.digest) return 'is described in another way than by the commits'
  if (!withStatistics) return null
  if (ours.numRecords !== other.numRecords) {
    return `has ${other.numRecords ?? 'unknown'} rows, by the commits ${ours.numRecords ?? 'unknown'}`
  }
  return ours.nullCounts === other.nullCounts ? null : 'has other null counts than by the commits'
}

/** `dataChange` is the commit's, and statistics are compared by themselves. */
function digestOf(add: Add): string {
  const { path: _path, dataChange: _dataChange, stats: _stats, tags, ...rest } = add
  // Some writers write no tags as none at all.
  const told = tags === undefined || Object.keys(tags).length === 0 ? rest : { ...rest, tags }
  return shortDigest(canonical(told))
}

function shortDigest(text: string): string {
  return createHash('sha256').update(text).digest('base64').slice(0, DIGEST_CHARACTERS)
}

/** JSON with sorted keys. */
export function canonical(value: unknown): string {
  return formatJson(sorted(value))
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted)
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value).filter(([, item]) => item !== undefined)
  if (Object.getPrototypeOf(value) !== Object.prototype && Object.getPrototypeOf(value) !== null) return value
  return Object.fromEntries(
    entries.toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([key, item]) => [key, sorted(item)]),
  )
}

function deletedCountBin(count: number): number {
  if (count <= 0) return 0
  if (count >= INT_MAX) return DELETED_COUNT_BINS - 1
  return Math.min(String(count).length, DELETED_COUNT_BINS - 2)
}

function emptyHistogram(boundaries: readonly number[]): SizeHistogram {
  return {
    boundaries,
    fileCounts: Array(boundaries.length).fill(0),
    totalBytes: Array(boundaries.length).fill(0),
  }
}

function countInto(
  { boundaries, fileCounts, totalBytes }: SizeHistogram,
  sizeBytes: number,
  sign: number,
): void {
  const bin = boundaries.findLastIndex(boundary => boundary <= sizeBytes)
  if (bin === -1) return
  fileCounts[bin]! += sign
  totalBytes[bin]! += sign * sizeBytes
}

function sameNumbers(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((value, i) => value === b[i])
}

/** FNV-1a over UTF-16 code units, its low bits mixed from all (the finish of MurmurHash3). */
function bucketHash(text: string): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}
