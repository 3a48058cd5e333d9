/**
 * `stream-ingest quarantine replay`: what was set aside, and fits by now, goes into the table.
 *
 * @module
 */
import { EXIT_CODES } from '../error.ts'
import { formatBytes, formatCount, formatNumberOf } from '../observe/format.ts'
import { type ReplayResult, replayQuarantine } from '../pipeline/quarantine-replay.ts'
import type { ProcessorOptions } from '../pipeline/stream-ingest-processor.ts'
import { type CommandIo, writeText } from './command-io.ts'
import { formatJsonDocument } from './json-document.ts'
import { loadConfig, pipelineOf } from './load-config.ts'
import { createProgress } from './progress.ts'
import { filterOf, type QuarantineFilterOptions } from './quarantine-list.ts'

export interface QuarantineReplayOptions extends QuarantineFilterOptions {
  readonly pipeline?: string
  readonly dryRun?: boolean
  readonly json?: boolean
}

/**
 * Replays, and prints what was done. The first SIGINT or SIGTERM ends it after the commit that is under way, the second at
 * once; what is left is for the next time either way.
 *
 * @param file of the configuration
 * @returns the exit code
 */
export async function quarantineReplayCommand(
  file: string | undefined,
  options: QuarantineReplayOptions,
  io: CommandIo,
  { wrapStore }: Pick<ProcessorOptions, 'wrapStore'> = {},
): Promise<number> {
  const config = pipelineOf(
    await loadConfig(file, io, { dryRun: options.dryRun === true, pipeline: options.pipeline }),
    options.pipeline,
  )
  const stop = new AbortController()
  const unsubscribe = io.onStopSignal(() => {
    if (stop.signal.aborted) io.exit(EXIT_CODES.interrupted)
    stop.abort()
  })
  const progress = createProgress(io, options.json === true)
  try {
    const result = await replayQuarantine(config, {
      filter: filterOf(options),
      signal: stop.signal,
      runtime: io.runtime,
      ...(wrapStore === undefined ? {} : { wrapStore }),
      progressed: ({ tried, replayed }) =>
        progress.update(`${formatNumberOf(tried, 'record')} tried, ${formatCount(replayed)} replayed`),
    })
    progress.end()
    const interrupted = stop.signal.aborted
    await writeText(
      io.stdout,
      options.json === true
        ? formatJsonDocument({ ...result, interrupted })
        : formatResult(result, interrupted),
    )
    return interrupted ? EXIT_CODES.interrupted : EXIT_CODES.ok
  } finally {
    progress.end()
    unsubscribe()
  }
}

function formatResult(result: ReplayResult, interrupted: boolean): string {
  const { dryRun, tried, replayed, rows, misfits, files, bytesWritten, version } = result
  const lines = [`${result.quarantine} → ${result.table}${version === null ? '' : ` v${version}`}`]
  if (tried === 0) lines.push('no record is waiting')
  else if (replayed > 0) {
    const size = `${formatNumberOf(files, 'file')}   ${formatBytes(bytesWritten)}`
    lines.push(
      dryRun
        ? `would replay ${formatNumberOf(replayed, 'record')} as ${formatNumberOf(rows, 'row')}   ${size}; nothing was changed`
        : `replayed ${formatNumberOf(replayed, 'record')} as ${formatNumberOf(rows, 'row')}   ${size}   ${formatNumberOf(result.commits, 'commit')}`,
    )
  }
  if (misfits > 0) {
    lines.push(`${formatNumberOf(misfits, 'record')} still ${misfits === 1 ? 'does' : 'do'} not fit:`)
    for (const { topic, partition, offset, columnPath, errorMessage } of result.misfitReasons) {
      lines.push(`  ${topic}[${partition}]@${offset} ${columnPath}: ${errorMessage}`)
    }
  }
  if (interrupted) lines.push('stopped: what was committed stands, the rest waits in the quarantine')
  return `${lines.join('\n')}\n`
}
