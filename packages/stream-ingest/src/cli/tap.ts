/**
 * `stream-ingest tap`: messages as the rows that they would become.
 *
 * @module
 */
import type { IngestConfig } from '../config/config.ts'
import { EXIT_CODES } from '../error.ts'
import { formatCount, formatNumberOf } from '../observe/format.ts'
import { StreamIngestProcessor } from '../pipeline/stream-ingest-processor.ts'
import type { TapOptions, TappedMessage, TappedMessages } from '../pipeline/tap.ts'
import { type CommandIo, writeText } from './command-io.ts'
import { formatJsonDocument } from './json-document.ts'
import { escapeControls, formatNdjsonRow, rowJson } from './row-text.ts'

export interface TapCommandOptions extends TapOptions {
  /** Only those that do not fit. */
  readonly bad?: boolean
  readonly json?: boolean
}

/**
 * Prints rows on stdout, a line of JSON each, and on stderr what does not fit; with `bad`, what does not fit on stdout.
 *
 * @returns the exit code: a look is no judgement, so that what does not fit is no failure
 */
export async function tapCommand(
  config: IngestConfig,
  options: TapCommandOptions,
  io: CommandIo,
): Promise<number> {
  const { bad = false, json = false, ...wanted } = options
  const tapped = await new StreamIngestProcessor(config, { runtime: io.runtime }).tap(wanted)
  if (json) {
    await writeText(io.stdout, formatJsonDocument(tapDocument(tapped, bad)))
    return EXIT_CODES.ok
  }
  for (const message of tapped.messages) {
    const { row, schema, outcome } = message
    if (outcome === 'bad') await writeText(bad ? io.stdout : io.stderr, formatBad(message))
    else if (row !== null && schema !== null && !bad) await writeText(io.stdout, formatNdjsonRow(schema, row))
  }
  io.stderr.write(formatSummary(tapped))
  return EXIT_CODES.ok
}

function tapDocument({ messages, isComplete }: TappedMessages, bad: boolean): unknown {
  const shown = bad ? messages.filter(({ outcome }) => outcome === 'bad') : messages
  return {
    messages: shown.map(({ timestampMs, row, schema, reason, ...message }) => ({
      topic: message.topic,
      partition: message.partition,
      offset: message.offset,
      timestamp: timestampMs,
      outcome: message.outcome,
      row: row === null || schema === null ? null : rowJson(schema, row),
      reason,
      value: message.value,
    })),
    ...countsOf(messages),
    complete: isComplete,
  }
}

interface Counts {
  readonly rows: number
  readonly badRecords: number
  readonly skipped: number
}

function countsOf(messages: readonly TappedMessage[]): Counts {
  const count = (wanted: TappedMessage['outcome']): number =>
    messages.filter(({ outcome }) => outcome === wanted).length
  return { rows: count('row'), badRecords: count('bad'), skipped: count('skipped') }
}

function formatBad({ topic, partition, offset, reason, value }: TappedMessage): string {
  const { code, path, message } = reason!
  const shown = value === null ? 'null' : escapeControls(value)
  const what = escapeControls(`${path}: ${message}`)
  return `${topic}[${partition}]@${offset}  ${code}  ${what}\n  = value: ${shown}\n`
}

function formatSummary({ messages, isComplete }: TappedMessages): string {
  const { rows, badRecords, skipped } = countsOf(messages)
  const parts = [formatNumberOf(rows, 'row'), formatNumberOf(badRecords, 'bad record')]
  if (skipped > 0) parts.push(`${formatNumberOf(skipped, 'tombstone')} left out`)
  const cut = isComplete
    ? ''
    : `not all that was asked for: one look stops after ${formatCount(messages.length)} messages or at its bounds of bytes and time\n`
  return `${parts.join(', ')}\n${cut}`
}
