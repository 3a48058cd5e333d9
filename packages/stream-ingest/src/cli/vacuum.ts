/**
 * `stream-ingest vacuum`: deletes files below a table's folder that are no part of it and have not been for a while.
 *
 * @module
 */
import { type VacuumProgress, type VacuumResult, vacuumTable } from '@stream-ingest/delta'
import { EXIT_CODES } from '../error.ts'
import { formatBytes, formatCount, formatNumberOf } from '../observe/format.ts'
import { type CommandIo, writeText } from './command-io.ts'
import { formatJsonDocument } from './json-document.ts'
import { openStoreOf, type TableOptions } from './open-table.ts'
import { createProgress } from './progress.ts'
import { stoppable } from './stoppable.ts'

export interface VacuumCommandOptions extends Omit<TableOptions, 'version' | 'at'> {
  /** Milliseconds. */
  readonly retention?: number
  readonly allowShortRetention?: boolean
  readonly lite?: boolean
  readonly dryRun?: boolean
  readonly json?: boolean
}

/** Keys that a person is shown; `--json` has more. */
const FILES_SHOWN_MAX = 20
const HOUR_MS = 3_600_000

/**
 * Vacuums a table and prints what went.
 *
 * @param table path, URI or configuration file
 * @returns the exit code
 */
export async function vacuumCommand(
  table: string,
  options: VacuumCommandOptions,
  io: CommandIo,
): Promise<number> {
  const { store, close } = await openStoreOf(table, options, io)
  const progress = createProgress(io, options.json === true)
  try {
    const result = await stoppable(io, signal =>
      vacuumTable(store, {
        runtime: io.runtime,
        signal,
        dryRun: options.dryRun === true,
        lite: options.lite === true,
        allowShortRetention: options.allowShortRetention === true,
        ...(options.retention === undefined ? {} : { retentionMs: options.retention }),
        progressed: done => progress.update(progressText(done, options.dryRun === true)),
      }),
    )
    progress.end()
    if (result === 'interrupted') return EXIT_CODES.interrupted
    const text =
      options.json === true
        ? formatJsonDocument({ uri: store.uri, ...result })
        : formatResult(store.uri, result)
    await writeText(io.stdout, text)
    return EXIT_CODES.ok
  } finally {
    progress.end()
    await close()
  }
}

/** Nobody knows beforehand how many objects there are: a count, and no bar. */
function progressText(
  { objectsListed, commitsRead, filesDeleted, bytesDeleted }: VacuumProgress,
  isDryRun: boolean,
): string {
  const looked =
    commitsRead > 0 ? formatNumberOf(commitsRead, 'commit') : formatNumberOf(objectsListed, 'object')
  const found = `${formatNumberOf(filesDeleted, 'file')} (${formatBytes(bytesDeleted)})`
  return `${looked} looked at, ${found} ${isDryRun ? 'to delete' : 'deleted'}`
}

function formatResult(uri: string, result: VacuumResult): string {
  const { dryRun, filesDeleted, bytesDeleted, files, objectsListed, commitsRead, retentionMs, cutoffMs } =
    result
  const looked =
    objectsListed > 0 ? formatNumberOf(objectsListed, 'object') : formatNumberOf(commitsRead, 'commit')
  const what = `${formatNumberOf(filesDeleted, 'file')} (${formatBytes(bytesDeleted)})`
  const shown = files.slice(0, FILES_SHOWN_MAX)
  const more = filesDeleted - shown.length
  return [
    uri,
    dryRun ? `would delete ${what}; nothing was changed` : `deleted ${what}`,
    `out of the table since before ${new Date(cutoffMs).toISOString()} (${formatCount(retentionMs / HOUR_MS)} hours)   looked at ${looked}   version ${result.version}`,
    ...shown.map(({ key, sizeBytes }) => `  ${key}   ${formatBytes(sizeBytes)}`),
    ...(more === 0 ? [] : [`  … ${formatCount(more)} more`]),
    '',
  ].join('\n')
}
