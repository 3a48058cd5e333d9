/**
 * Which files are put together: bins of small files of one table partition, and files from which many rows are deleted.
 *
 * Delta protocol notes on OPTIMIZE. Next-fit over sizes that go up, so that small files meet small files; a file that is
 * almost full already is left alone, or each run would write it once more.
 *
 * @module
 */
import type { Add } from '../../action.ts'
import { physicalName } from '../../column-mapping.ts'
import type { DataFileFormat } from '../../data-file-format.ts'
import { normalizePartitionValue } from '../../partition-value.ts'
import { parseStatistics } from '../../statistics-codec.ts'

/** Candidates that are held at a time; a table with more is done in rounds. */
export const CANDIDATES_MAX = 200_000
/** A file larger than this many times the others of its bin together is left alone: much written, little won. */
const LARGEST_SHARE_MAX = 4

export interface BinLimits {
  readonly targetFileSizeBytes: number
  /** Smaller files are candidates. */
  readonly minFileSizeBytes: number
  /** A partition with fewer candidates is left alone, but for rows that are to go. */
  readonly minFiles: number
  /** Files of which a greater share of the rows is deleted are written anew. */
  readonly maxDeletedRowsRatio: number
  /** A partition with a file younger than this is left alone: it is still being written. */
  readonly quietMs: number
  /** Unless it has this many small files. */
  readonly busyMinFiles: number
}

/** Files that become one. */
export interface Bin {
  readonly files: readonly Add[]
  readonly sizeBytes: number
}

export interface BinPlan {
  readonly bins: readonly Bin[]
  readonly partitionsConsidered: number
  /** With candidates, and left alone: still being written, or too few of them. */
  readonly partitionsSkipped: number
  /** More candidates than could be held: plan again when these are done. */
  readonly isPartial: boolean
}

interface Candidates {
  readonly small: Add[]
  /** Small or not: too many of their rows are deleted. */
  readonly purge: Add[]
  newestMs: number
}

/** Collects the candidates of a table, file by file, and makes bins of them. */
export class BinPlanner {
  /** Files that are left to the engine that clusters the table. */
  clusteredCount = 0
  readonly #format: DataFileFormat
  readonly #limits: BinLimits
  readonly #partitions = new Map<string, Candidates>()
  #candidateCount = 0
  #isPartial = false

  constructor(format: DataFileFormat, limits: BinLimits) {
    this.#format = format
    this.#limits = limits
  }

  add(file: Add): void {
    const partition = this.#partitionOf(file)
    partition.newestMs = Math.max(partition.newestMs, file.modificationTime)
    if (file.clusteringProvider !== undefined) {
      this.clusteredCount++
      return
    }
    const isPurged = this.#needsPurge(file)
    if (!isPurged && file.size >= this.#limits.minFileSizeBytes) return
    if (this.#candidateCount === CANDIDATES_MAX) {
      this.#isPartial = true
      return
    }
    this.#candidateCount++
    if (isPurged) partition.purge.push(file)
    else partition.small.push(file)
  }

  /** @param nowMs epoch milliseconds, by the clock that `modificationTime` comes from */
  plan(nowMs: number): BinPlan {
    const bins: Bin[] = []
    let partitionsConsidered = 0
    let partitionsSkipped = 0
    for (const partition of this.#partitions.values()) {
      if (partition.small.length + partition.purge.length === 0) continue
      partitionsConsidered++
      const isQuiet =
        nowMs - partition.newestMs >= this.#limits.quietMs ||
        partition.small.length >= this.#limits.busyMinFiles
      const made = isQuiet ? this.#binsOf(partition) : []
      if (made.length === 0) partitionsSkipped++
      for (const bin of made) bins.push(bin)
    }
    return { bins, partitionsConsidered, partitionsSkipped, isPartial: this.#isPartial }
  }

  /** By parsed values: `1` and `1.0` of a double column are the same partition. */
  #partitionOf({ partitionValues }: Add): Candidates {
    const { mode, partitionFields } = this.#format
    const key = JSON.stringify(
      partitionFields.map(f =>
        normalizePartitionValue(f.type, partitionValues[physicalName(f, mode)] ?? null),
      ),
    )
    let partition = this.#partitions.get(key)
    if (partition === undefined) {
      partition = { small: [], purge: [], newestMs: Number.NEGATIVE_INFINITY }
      this.#partitions.set(key, partition)
    }
    return partition
  }

  #needsPurge({ deletionVector, stats }: Add): boolean {
    if (deletionVector === undefined) return false
    const rowCount = stats === undefined ? undefined : parseStatistics(stats)?.numRecords
    // A file with a deletion vector must say how many rows it has; one that does not is made right.
    return rowCount === undefined || deletionVector.cardinality > rowCount * this.#limits.maxDeletedRowsRatio
  }

  #binsOf({ small, purge }: Candidates): Bin[] {
    const { targetFileSizeBytes, minFiles } = this.#limits
    const isEnough = small.length + purge.length >= minFiles
    const files = [...(isEnough ? small : []), ...purge].sort((a, b) => a.size - b.size)
    const purged = new Set(purge)
    const bins: Bin[] = []
    let bin: Add[] = []
    let sizeBytes = 0
    const close = (): void => {
      for (const made of worthwhile(bin, purged)) bins.push(made)
      bin = []
      sizeBytes = 0
    }
    for (const file of files) {
      if (bin.length > 0 && sizeBytes + file.size > targetFileSizeBytes) close()
      bin.push(file)
      sizeBytes += file.size
    }
    close()
    return bins
  }
}

/** A bin without what would be written for nothing. `files` go up in size. */
function worthwhile(files: readonly Add[], purged: ReadonlySet<Add>): Bin[] {
  const kept = [...files]
  const restOf = (): number => sumSizes(kept) - kept.at(-1)!.size
  while (kept.length > 1 && !purged.has(kept.at(-1)!) && kept.at(-1)!.size > restOf() * LARGEST_SHARE_MAX) {
    kept.pop()
  }
  if (kept.length === 0 || (kept.length === 1 && !purged.has(kept[0]!))) return []
  return [{ files: kept, sizeBytes: sumSizes(kept) }]
}

function sumSizes(files: readonly Add[]): number {
  return files.reduce((total, { size }) => total + size, 0)
}
