/**
 * `stream-ingest tap`: messages as the rows that they would become.
 *
 * @module
 */
import type { IngestConfig } from '../config/config.ts'
import { EXIT_CODES } from '../error.ts'
import { formatNumberOf } from '../observe/format.ts'
import { StreamIngestProcessor } from '../pipeline/stream-ingest-processor.ts'
import type { TapOptions, Tapped } from '../pipeline/tap.ts'
import { type CommandIo, writeText } from './command-io.ts'
import { formatJsonDocument } from './json-document.ts'
import { formatNdjsonRow, rowJson } from './row-text.ts'

export interface TapCommandOptions extends TapOptions {
  /** Only those that do not fit. */
  readonly badOnly?: boolean
  readonly json?: boolean
}

/**
 * Prints rows on stdout, a line of JSON each, and on stderr what does not fit.
 *
 * @returns the exit code: 1 where a message does not fit
 */
export async function tapCommand(
  config: IngestConfig,
  options: TapCommandOptions,
  io: CommandIo,
): Promise<number> {
  const { badOnly = false, json = false, ...wanted } = options
  const tapped = await new StreamIngestProcessor(config, { runtime: io.runtime }).tap(wanted)
  const { schema, rejected } = tapped
  const rows = badOnly ? [] : tapped.rows
  if (json) {
    const document = { rows: rows.map(row => rowJson(schema, row)), rejected }
    await writeText(io.stdout, formatJsonDocument(document))
  } else {
    for (const row of rows) await writeText(io.stdout, formatNdjsonRow(schema, row))
    io.stderr.write(formatRejected(tapped))
  }
  return rejected.length === 0 ? EXIT_CODES.ok : EXIT_CODES.negative
}

function formatRejected({ rows, rejected }: Tapped): string {
  const lines = rejected.map(
    ({ topic, partition, offset, code, path, message }) =>
      `${topic}[${partition}]@${offset}  ${code}  ${path}: ${message}\n`,
  )
  lines.push(`${formatNumberOf(rows.length, 'row')}, ${formatNumberOf(rejected.length, 'bad record')}\n`)
  return lines.join('')
}
