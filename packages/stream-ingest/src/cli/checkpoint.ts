/**
 * `stream-ingest checkpoint`: writes the checkpoint of the newest version, so that readers need no commit before it.
 *
 * @module
 */
import { createParquetEncoder, writeCheckpoint } from '@stream-ingest/delta'
import { EXIT_CODES } from '../error.ts'
import { formatCount, formatNumberOf } from '../observe/format.ts'
import { type CommandIo, writeText } from './command-io.ts'
import { formatJsonDocument } from './json-document.ts'
import { openTable, type TableOptions } from './open-table.ts'
import { createProgress } from './progress.ts'

export interface CheckpointCommandOptions extends Omit<TableOptions, 'version' | 'at'> {
  readonly dryRun?: boolean
  readonly json?: boolean
}

/**
 * Writes a checkpoint, unless there is one of the newest version.
 *
 * @param table path, URI or configuration file
 * @returns the exit code
 */
export async function checkpointCommand(
  table: string,
  options: CheckpointCommandOptions,
  io: CommandIo,
): Promise<number> {
  const { snapshot, store, close } = await openTable(table, options, io)
  const progress = createProgress(io, options.json === true)
  // Nothing of it is seen before it is whole: it may end at any moment.
  const endSignals = io.onStopSignal(() => {
    progress.end()
    io.exit(EXIT_CODES.interrupted)
  })
  try {
    const { version, state } = snapshot
    const { numFiles, sizeBytes } = await snapshot.fileTotals()
    const commitsBehind = version - (state.checkpointVersion ?? 0)
    const status = await write()
    progress.end()
    const document = {
      uri: store.uri,
      version,
      dryRun: options.dryRun === true,
      status,
      files: numFiles,
      sizeBytes,
      checkpointVersion: status === 'written' ? version : state.checkpointVersion,
      logSizeBytes: await logSizeBytes(),
    }
    const behind = formatNumberOf(commitsBehind, 'commit')
    const words = {
      written: `checkpoint of version ${version} written: ${formatNumberOf(numFiles, 'live file')}, ${behind} behind before`,
      exists: `version ${version} has a checkpoint already`,
      'would-write': `would write the checkpoint of version ${version}, ${behind} behind now; nothing was changed`,
    }[status]
    const text = options.json === true ? formatJsonDocument(document) : `${store.uri}\n${words}\n`
    await writeText(io.stdout, text)
    return EXIT_CODES.ok

    async function write(): Promise<'written' | 'exists' | 'would-write'> {
      if (state.checkpointVersion === version) return 'exists'
      if (options.dryRun === true) return 'would-write'
      const { status } = await writeCheckpoint(store, version, createParquetEncoder(), io.runtime, {
        progressed: done =>
          progress.update(`${formatCount(done)} of ${formatNumberOf(numFiles, 'live file')}`, {
            done,
            total: numFiles,
          }),
      })
      return status
    }

    async function logSizeBytes(): Promise<number> {
      let total = 0
      for await (const object of store.list('_delta_log/')) total += object.sizeBytes
      return total
    }
  } finally {
    endSignals()
    progress.end()
    await close()
  }
}
