/**
 * A table that works, and how it fares: small files, an old checkpoint, removed files, writers that are less careful.
 *
 * @module
 */
import { type CommitInfo, readCommit, type Snapshot, tableProperty } from '@stream-ingest/delta'
import type { PipelineConfig } from '../config/ingest-config.ts'
import { formatBytes, formatCount, formatNumberOf } from '../observe/format.ts'
import type { CheckOptions, Checkup, Found, Problem } from './checkup.ts'

/** Commits, from the newest back, whose writer is looked at. */
const HISTORY_MAX = 20
/** Files that are looked at; a table of more has its newest among them. */
const FILES_MAX = 200_000
/** Of the target size: a file below is small. */
const SMALL_SHARE = 1 / 16
/** Fewer small files are no trouble. */
const SMALL_FILES_MIN = 50
const SMALL_RATIO_MAX = 0.5
/** Checkpoints that were due and are not there. */
const CHECKPOINTS_MISSED_MAX = 5
/** Removed files are worth a word from this many on. */
const REMOVED_FILES_MIN = 100

/** Those that put commits to S3 conditionally: ourselves, delta-rs (also as `deltalake`), DuckDB. */
const CAREFUL = /^(stream-ingest|delta-rs|deltalake|duckdb|kernel-rs|delta-kernel-rs)/i

/** Who else writes? */
export async function checkWriters(
  checkup: Checkup,
  { s3 }: PipelineConfig,
  { store, version }: Snapshot,
  options: CheckOptions,
): Promise<void> {
  await checkup.run(
    'other writers',
    async (signal): Promise<Found<null>> => {
      const versions = Array.from({ length: Math.min(HISTORY_MAX, version + 1) }, (_, i) => version - i)
      const infos = await Promise.all(
        versions.map(async v => infoOf(await readCommit(store, v, { signal }), v)),
      )
      const others = infos.filter(({ engine }) => engine !== null && !engine.startsWith('stream-ingest'))
      const names = [...new Set(others.map(({ engine }) => `\`${engine}\``))].sort()
      if (others.length === 0)
        return { value: null, message: `none in the last ${formatNumberOf(versions.length, 'commit')}` }
      const careless = others.find(({ engine }) => !CAREFUL.test(engine ?? ''))
      if (s3.kind !== 's3' || careless === undefined) return { value: null, message: names.join(', ') }
      const warning: Problem = {
        code: 'TABLE_OTHER_WRITERS',
        message: `\`${careless.engine}\` wrote version ${careless.version} (${careless.operation ?? 'no operation named'}): unless it puts conditionally, its commits and ours can overwrite each other`,
      }
      return { value: null, warning }
    },
    options,
  )
}

interface WriterInfo {
  readonly version: number
  readonly engine: string | null
  readonly operation: string | null
}

function infoOf(commit: Awaited<ReturnType<typeof readCommit>>, version: number): WriterInfo {
  let info: CommitInfo | undefined
  for (const action of commit ?? []) if ('commitInfo' in action) info = action.commitInfo
  return { version, engine: info?.engineInfo ?? null, operation: info?.operation ?? null }
}

/** Small files, and files that were removed and are still there. */
export async function checkFiles(
  checkup: Checkup,
  { delta }: PipelineConfig,
  snapshot: Snapshot,
  options: CheckOptions,
): Promise<void> {
  await checkup.run(
    'files',
    async (signal): Promise<Found<null>> => {
      const smallBytes = delta.targetFileSizeBytes * SMALL_SHARE
      const counts = { files: 0, small: 0, sizeBytes: 0 }
      for await (const batch of snapshot.fileBatches({ signal })) {
        for (const { size } of batch) {
          counts.files++
          counts.sizeBytes += size
          if (size < smallBytes) counts.small++
        }
        if (counts.files >= FILES_MAX) break
      }
      const { files, small, sizeBytes } = counts
      const uri = snapshot.store.uri
      const isScattered = small >= SMALL_FILES_MIN && small / files >= SMALL_RATIO_MAX
      if (isScattered && delta.optimize === undefined) {
        const message = `${formatCount(small)} of ${formatCount(files)} files are under ${formatBytes(smallBytes)}`
        const help = `look with \`stream-ingest optimize ${uri} --dry-run\`, set \`delta.optimize\`, or commit less often (\`processing.batch_timeout_ms\`)`
        return { value: null, warning: { code: 'TABLE_SMALL_FILES', message, help } }
      }
      const warning = delta.vacuum === undefined ? removedFiles(snapshot, sizeBytes) : null
      const message = `${formatNumberOf(files, 'file')}, ${formatBytes(sizeBytes)}`
      return { value: null, message, ...(warning === null ? {} : { warning }) }
    },
    options,
  )
}

function removedFiles({ tombstones, store }: Snapshot, liveBytes: number): Problem | null {
  const removedBytes = tombstones.reduce((sum, { size = 0 }) => sum + size, 0)
  if (tombstones.length < REMOVED_FILES_MIN || removedBytes <= liveBytes) return null
  return {
    code: 'TABLE_VACUUM_DUE',
    message: `${formatNumberOf(tombstones.length, 'file')} of ${formatBytes(removedBytes)} are no part of the table any more; what is, has ${formatBytes(liveBytes)}`,
    help: `look with \`stream-ingest vacuum ${store.uri} --dry-run\`, or set \`delta.vacuum\``,
  }
}

/** Every reader replays the commits since the checkpoint. */
export async function checkCheckpoint(
  checkup: Checkup,
  { delta }: PipelineConfig,
  { state, store }: Snapshot,
): Promise<void> {
  await checkup.run('checkpoint', async (): Promise<Found<null>> => {
    const { version, checkpointVersion, metadata } = state
    const interval =
      delta.checkpointInterval ?? tableProperty(metadata.configuration, 'delta.checkpointInterval')
    const behind = version - (checkpointVersion ?? -1)
    const at = checkpointVersion === null ? 'none' : `version ${formatCount(checkpointVersion)}`
    const commits = formatNumberOf(behind, 'commit')
    if (behind <= CHECKPOINTS_MISSED_MAX * interval) {
      return { value: null, message: `${at}, ${commits} since` }
    }
    const message = `${commits} since the newest checkpoint (${at}); one is due every ${interval}`
    const help = `run \`stream-ingest checkpoint ${store.uri}\`, and look for warnings about checkpoints in the log of \`run\``
    return { value: null, warning: { code: 'TABLE_CHECKPOINT_BEHIND', message, help } }
  })
}
