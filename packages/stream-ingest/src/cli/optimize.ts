/**
 * `stream-ingest optimize`: small files of a table become few large ones.
 *
 * @module
 */
import { type OptimizeResult, optimizeTable, type ParquetCodec } from '@stream-ingest/delta'
import { EXIT_CODES } from '../error.ts'
import { formatBytes, formatCount, formatNumberOf } from '../observe/format.ts'
import { type CommandIo, writeText } from './command-io.ts'
import { formatJsonDocument } from './json-document.ts'
import { openStoreOf, type TableOptions } from './open-table.ts'
import { createProgress } from './progress.ts'
import { stoppable } from './stoppable.ts'

export interface OptimizeCommandOptions extends Omit<TableOptions, 'version' | 'at'> {
  readonly targetSize?: number
  readonly minFiles?: number
  /** Leave a table partition alone whose newest file is younger than this, in milliseconds. */
  readonly quiet?: number
  readonly codec?: ParquetCodec
  readonly dryRun?: boolean
  readonly json?: boolean
}

/**
 * Compacts a table and prints what was done.
 *
 * @param table path, URI or configuration file
 * @returns the exit code
 */
export async function optimizeCommand(
  table: string,
  options: OptimizeCommandOptions,
  io: CommandIo,
): Promise<number> {
  const { store, openForeign, close } = await openStoreOf(table, options, io)
  const progress = createProgress(io, options.json === true)
  try {
    const result = await stoppable(io, signal =>
      optimizeTable(store, {
        runtime: io.runtime,
        openForeign,
        signal,
        dryRun: options.dryRun === true,
        ...(options.targetSize === undefined ? {} : { targetFileSizeBytes: options.targetSize }),
        ...(options.minFiles === undefined ? {} : { minFiles: options.minFiles }),
        ...(options.quiet === undefined ? {} : { quietMs: options.quiet }),
        ...(options.codec === undefined ? {} : { codec: options.codec }),
        progressed: ({ binsDone, binsPlanned, bytesRead }) =>
          progress.update(
            `${formatCount(binsDone)} of ${formatNumberOf(binsPlanned, 'new file')}, ${formatBytes(bytesRead)} read`,
            { done: binsDone, total: binsPlanned },
          ),
      }),
    )
    if (result === 'interrupted') return EXIT_CODES.interrupted
    progress.end()
    const document = { uri: store.uri, ...result }
    await writeText(
      io.stdout,
      options.json === true ? formatJsonDocument(document) : formatResult(store.uri, result),
    )
    return EXIT_CODES.ok
  } finally {
    progress.end()
    await close()
  }
}

function formatResult(uri: string, result: OptimizeResult): string {
  const { dryRun, filesRemoved, filesAdded, bytesRemoved, bytesAdded, conflicts } = result
  const lines = [uri]
  if (filesRemoved === 0) lines.push('nothing to compact')
  else if (dryRun) {
    lines.push(
      `would write ${formatNumberOf(filesRemoved, 'file')} (${formatBytes(bytesRemoved)}) as ${formatNumberOf(filesAdded, 'file')}; nothing was changed`,
    )
  } else {
    lines.push(
      `${formatNumberOf(filesRemoved, 'file')} (${formatBytes(bytesRemoved)}) became ${formatNumberOf(filesAdded, 'file')} (${formatBytes(bytesAdded)}), ${formatNumberOf(result.rowsRewritten, 'row')}, in ${formatNumberOf(result.commits, 'commit')}   version ${result.version}`,
    )
  }
  if (result.deletionVectorsRemoved > 0 && !dryRun)
    lines.push(`${formatNumberOf(result.deletionVectorsRemoved, 'deletion vector')} applied`)
  if (conflicts > 0)
    lines.push(
      `${formatNumberOf(conflicts, 'conflict')} with other writers; what they changed was left alone`,
    )
  if (result.filesClustered > 0)
    lines.push(
      `${formatNumberOf(result.filesClustered, 'clustered file')} left to the engine that clusters them`,
    )
  return `${lines.join('\n')}\n`
}
