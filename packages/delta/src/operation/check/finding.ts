/**
 * What a check found.
 *
 * @module
 */

/** Stable names, for programs. */
export type CheckRule =
  /** A commit between the oldest and the newest is missing. */
  | 'log-gap'
  /** A file of the log, or the table, cannot be read. */
  | 'log-unreadable'
  /** A commit breaks a rule by itself, or against the table before it. */
  | 'commit'
  /** An in-commit timestamp is missing or does not rise. */
  | 'commit-timestamp'
  /** The schema cannot be understood or does not fit the partition columns. */
  | 'schema'
  /** A `.crc` says something else than the commits. */
  | 'checksum'
  /** A checkpoint says something else than the commits. */
  | 'checkpoint'
  /** The pointer is damaged, or points at what is not there. */
  | 'last-checkpoint'
  /** Row ids are missing, not unique, or above the high-water mark. */
  | 'row-id'
  /** A path is live twice. */
  | 'file-duplicate'
  /** A live file does not exist. */
  | 'file-missing'
  /** A live file is of another size than the log says. */
  | 'file-size'
  /** A live file cannot be read under the table's schema. */
  | 'file-unreadable'
  /** A partition value is missing, too many, or not of its type. */
  | 'partition-value'
  /** Statistics do not bound the rows, or counts are not exact. */
  | 'statistics'
  /** A column that must not be null holds null. */
  | 'not-null'

export interface Finding {
  readonly rule: CheckRule
  /** What is wrong, with the place and the values. */
  readonly message: string
  /** The version where it shows; null where it is not one version's. */
  readonly version: number | null
  /** The log file or data file; null where it is none's. */
  readonly file: string | null
}

/** Findings that are kept; of more, only the number. A damaged table of millions of files would fill the memory. */
export const FINDINGS_MAX = 1_000

/** Collects findings, no more than {@link FINDINGS_MAX}. */
export class FindingList {
  readonly kept: Finding[] = []
  #leftOutCount = 0

  get leftOutCount(): number {
    return this.#leftOutCount
  }

  add(rule: CheckRule, message: string, place: { version?: number; file?: string } = {}): void {
    if (this.kept.length >= FINDINGS_MAX) {
      this.#leftOutCount++
      return
    }
    this.kept.push({ rule, message, version: place.version ?? null, file: place.file ?? null })
  }
}
