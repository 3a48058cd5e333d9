/**
 * Logs: the product's events as lines, JSON for machines, short text for a person.
 *
 * Levels follow what an operator must do: error = data lost or a person is needed, warn = unexpected and nothing lost,
 * info = start, stop, assignment, commit. One line per commit, none per message (rejected records excepted, which are
 * thinned out when there are many).
 *
 * @module
 */
import { formatDataType } from '@stream-ingest/delta'
import pino from 'pino'
import { StreamIngestError } from '../error.ts'
import { type IngestEvents, type OffsetRange, subscribe } from './event.ts'
import { formatBytes, formatCount, formatNumberOf } from './format.ts'

export type LogFormat = 'json' | 'pretty'

/** Rejected records logged one by one; the rest is counted, and each commit says how many. */
export const REJECTED_LINES_MAX = 100
/** Requests that are repeated come in storms: between two lines of a pipeline about them. */
export const RETRY_LINES_EVERY_MS = 10_000

/** Runs of partitions that a commit's line names. */
const PARTITION_RUNS_MAX = 4

type Level = 'info' | 'warn' | 'error'
type Line = (level: Level, event: string, fields: Record<string, unknown>, text: string) => void

/** Where lines go. */
export interface LineStream {
  write(text: string): unknown
}

/**
 * @param context fields of every JSON line
 * @returns a function that ends logging
 */
export function logEvents(
  format: LogFormat,
  stream: LineStream,
  now: () => number,
  context: Readonly<Record<string, string>> = {},
): () => void {
  const line = format === 'json' ? jsonLines(stream, now, context) : prettyLines(stream, now)
  const subscriptions = [...lifeCycle(line), ...commits(line), ...trouble(line, now)]
  return () => {
    for (const end of subscriptions) end()
  }
}

function jsonLines(stream: LineStream, now: () => number, context: Readonly<Record<string, string>>): Line {
  const logger = pino(
    {
      base: context,
      timestamp: () => `,"time":"${new Date(now()).toISOString()}"`,
      formatters: { level: label => ({ level: label }) },
      messageKey: 'message',
    },
    { write: text => void stream.write(text) },
  )
  return (level, event, fields, text) => {
    logger[level]({ event, ...exact(fields) }, text)
  }
}

/** pino cannot format a bigint; offsets below 2^53 stay numbers, larger ones become text. */
function exact(fields: Record<string, unknown>): Record<string, unknown> {
  const plain: Record<string, unknown> = {}
  for (const [key, value] of Object.entries(fields)) {
    if (typeof value === 'bigint') plain[key] = offsetValue(value)
    else if (value instanceof Error) plain[key] = errorFields(value)
    else plain[key] = value
  }
  return plain
}

function offsetValue(offset: bigint): number | string {
  return offset <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(offset) : String(offset)
}

function errorFields(error: unknown): Record<string, unknown> {
  const known = StreamIngestError.from(error)
  return {
    kind: known.kind,
    code: known.code,
    message: known.message,
    hint: known.hint,
    retryable: known.isRetryable(),
  }
}

function prettyLines(stream: LineStream, now: () => number): Line {
  return (level, _event, _fields, text) => {
    const mark = level === 'info' ? '' : level === 'warn' ? '~ ' : 'x '
    stream.write(`${new Date(now()).toISOString().slice(11, 19)}  ${mark}${text}\n`)
  }
}

function lifeCycle(line: Line): (() => void)[] {
  return [
    subscribe('pipeline:started', e =>
      line(
        'info',
        'started',
        { ...e },
        `${e.pipeline}  ${e.partitionCount} partitions → ${e.table}${e.version === null ? '' : ` v${e.version}`}`,
      ),
    ),
    subscribe('run:serving', e => line('info', 'serving', { ...e }, `metrics and health on ${e.url}`)),
    subscribe('run:stopping', e =>
      line(
        'info',
        'stopping',
        { ...e },
        'stopping: committing what is buffered; a second signal (Ctrl-C) exits at once',
      ),
    ),
    subscribe('pipeline:stopped', e =>
      line(
        'info',
        'stopped',
        { ...e },
        `${e.pipeline}  ${formatNumberOf(e.rowCount, 'row')} in ${formatNumberOf(e.commitCount, 'commit')}, stopped cleanly${e.version === null ? '' : ` at v${e.version}`}; uncommitted 0`,
      ),
    ),
    subscribe('pipeline:retrying', e => {
      const error = errorFields(e.error)
      line(
        'warn',
        'retrying',
        { ...e, error },
        `${e.pipeline}  ${String(error.code)}: ${String(error.message)}; again from the table in ${e.delayMs} ms (attempt ${e.attempt})`,
      )
    }),
    subscribe('pipeline:failed', e => {
      const error = errorFields(e.error)
      line(
        'error',
        'failed',
        { pipeline: e.pipeline, error },
        `${e.pipeline}  ${String(error.code)}: ${String(error.message)}`,
      )
    }),
    subscribe('assignment:changed', e =>
      line('info', 'assignment', { ...e }, `${e.pipeline}  ${e.added.length} new partitions`),
    ),
  ]
}

function commits(line: Line): (() => void)[] {
  return [
    subscribe('commit:committed', e => {
      const { ranges, ...rest } = e
      const fields = { ...rest, nextOffsets: nextOffsets(ranges) }
      line(
        'info',
        'commit',
        fields,
        `${e.pipeline}  v${e.version}  +${formatCount(e.rowCount)} rows  ${e.fileCount} ${e.fileCount === 1 ? 'file' : 'files'}  ${formatBytes(e.sizeBytes)}${partitionsText(ranges)}  flush: ${e.reason}  ${Math.round(e.durationMs)} ms`,
      )
    }),
    subscribe('quarantine:committed', e =>
      line(
        'info',
        'quarantine',
        { ...e },
        `${e.pipeline}  quarantine v${e.version}  +${formatNumberOf(e.recordCount, 'record')}  ${Math.round(e.durationMs)} ms`,
      ),
    ),
    subscribe('overwrite:uploaded', e =>
      line(
        'info',
        'uploaded',
        { ...e },
        `${e.pipeline}  +${formatCount(e.rowCount)} rows  ${formatNumberOf(e.fileCount, 'file')}  ${formatBytes(e.sizeBytes)}  flush: ${e.reason}; the table is replaced at the end`,
      ),
    ),
    subscribe('schema:evolved', e => {
      const changes = e.changes.map(changeText)
      const place = e.version === null ? 'dry run' : `v${e.version}`
      line('info', 'schema', { ...e, changes }, `${e.pipeline}  ${place}  schema: ${changes.join(', ')}`)
    }),
    subscribe('checkpoint:written', e =>
      line(
        'info',
        'checkpoint',
        { ...e },
        `${e.pipeline}  checkpoint v${e.version}  ${Math.round(e.durationMs)} ms`,
      ),
    ),
    subscribe('care:done', e => line('info', e.operation, { ...e }, `${e.pipeline}  ${careText(e)}`)),
  ]
}

/** `  p[0-2,5]`; of several topics, and where there is nothing, the line does without. */
function partitionsText(ranges: readonly OffsetRange[]): string {
  if (ranges.length === 0 || ranges.some(({ topic }) => topic !== ranges[0]?.topic)) return ''
  const runs: { from: number; to: number }[] = []
  for (const partition of ranges.map(range => range.partition).sort((a, b) => a - b)) {
    const last = runs.at(-1)
    if (last !== undefined && partition === last.to + 1) last.to = partition
    else runs.push({ from: partition, to: partition })
  }
  const shown = runs
    .slice(0, PARTITION_RUNS_MAX)
    .map(({ from, to }) => (from === to ? from : `${from}-${to}`))
  return `  p[${shown.join(',')}${runs.length > shown.length ? ',…' : ''}]`
}

function changeText(change: IngestEvents['schema:evolved']['changes'][number]): string {
  return change.kind === 'field-added'
    ? `new column \`${change.path}\` ${formatDataType(change.type)}`
    : `\`${change.path}\` from ${formatDataType(change.fromType)} to ${formatDataType(change.toType)}`
}

function trouble(line: Line, now: () => number): (() => void)[] {
  let rejected = 0
  const storeRetried = thinned(now)
  const kafkaRetried = thinned(now)
  return [
    subscribe('store:retried', e => {
      const count = storeRetried(e.pipeline)
      if (count === 0) return
      const error = errorFields(e.error)
      line(
        'warn',
        'store-retried',
        { ...e, error, count },
        `${e.pipeline}  ${e.request} is repeated: ${String(error.message)}${alike(count)}`,
      )
    }),
    subscribe('kafka:retried', e => {
      const count = kafkaRetried(e.pipeline)
      if (count === 0) return
      const error = errorFields(e.error)
      line(
        'warn',
        'kafka-retried',
        { ...e, error, count },
        `${e.pipeline}  a request to Kafka is repeated: ${String(error.message)}${alike(count)}`,
      )
    }),
    subscribe('record:rejected', e => {
      rejected++
      if (rejected > REJECTED_LINES_MAX && e.action !== 'stop') return
      const more = rejected === REJECTED_LINES_MAX ? ' (further ones are counted, not logged)' : ''
      // `message` is the line's own text.
      const { message: problem, ...rest } = e
      line('warn', 'rejected', { ...rest, problem }, `${e.pipeline}  ${rejectedText(e)}${more}`)
    }),
    subscribe('commit:conflicted', e =>
      line(
        'warn',
        'conflict',
        { ...e },
        `${e.pipeline}  v${e.winner} is another writer’s (${e.reason}: ${e.detail}): re-read`,
      ),
    ),
    subscribe('offsets:lost', e => line('error', 'offsets-lost', { ...e }, `${e.pipeline}  ${lostText(e)}`)),
    subscribe('checkpoint:failed', e =>
      line(
        'warn',
        'checkpoint-failed',
        { ...e, error: errorFields(e.error) },
        `${e.pipeline}  no checkpoint at v${e.version}: ${String(errorFields(e.error).message)}`,
      ),
    ),
    subscribe('care:failed', e =>
      line(
        'warn',
        `${e.operation}-failed`,
        { ...e, error: errorFields(e.error) },
        `${e.pipeline}  ${e.operation} failed: ${String(errorFields(e.error).message)}`,
      ),
    ),
    subscribe('quarantine:untidy', e =>
      line(
        'warn',
        'quarantine-untidy',
        { ...e, error: errorFields(e.error) },
        `${e.pipeline}  rows of the quarantine that count nowhere were not taken out: ${String(errorFields(e.error).message)}`,
      ),
    ),
    subscribe('group-offsets:failed', e =>
      line(
        'warn',
        'group-offsets-failed',
        { ...e, error: errorFields(e.error) },
        `${e.pipeline}  Kafka did not take the group’s offsets (the table has them): ${String(errorFields(e.error).message)}`,
      ),
    ),
    subscribe('topic:unknown-offsets', e =>
      line(
        'warn',
        'unknown-offsets',
        { ...e },
        `${e.pipeline}  the table holds offsets of topics that are not read: ${e.topicIds.join(', ')} (deleted, re-created or removed from the configuration)`,
      ),
    ),
  ]
}

/** How many there were since the last line; 0 where it is too early for the next one. */
function thinned(now: () => number): (pipeline: string) => number {
  const kept = new Map<string, { toldMs: number; count: number }>()
  return pipeline => {
    const state = kept.get(pipeline) ?? { toldMs: Number.NEGATIVE_INFINITY, count: 0 }
    kept.set(pipeline, state)
    state.count++
    if (now() - state.toldMs < RETRY_LINES_EVERY_MS) return 0
    const { count } = state
    state.toldMs = now()
    state.count = 0
    return count
  }
}

function alike(count: number): string {
  return count === 1 ? '' : ` (${count} since the last line)`
}

function rejectedText(e: IngestEvents['record:rejected']): string {
  const what = { stop: 'bad record', skip: 'bad record skipped', quarantine: 'bad record quarantined' }[
    e.action
  ]
  return `${what}  ${e.topic}[${e.partition}]@${e.offset}  ${e.path}: ${e.message}`
}

function lostText({ topic, partition, wantedOffset, resumedOffset }: IngestEvents['offsets:lost']): string {
  const place = `${topic}[${partition}]`
  if (resumedOffset > wantedOffset) {
    return `${place} lost ${resumedOffset - wantedOffset} offsets: ${wantedOffset} is gone, resumed at ${resumedOffset}`
  }
  return `${place} ends before ${wantedOffset}, which the table has reached, as after a truncation: resumed at ${resumedOffset}`
}

function nextOffsets(ranges: readonly OffsetRange[]): Record<string, number | string> {
  const offsets: Record<string, number | string> = {}
  const topics = new Set(ranges.map(r => r.topic))
  for (const r of ranges) {
    offsets[topics.size === 1 ? String(r.partition) : `${r.topic}-${r.partition}`] = offsetValue(r.nextOffset)
  }
  return offsets
}

function careText({ operation, filesRemoved, filesAdded, bytesRemoved }: IngestEvents['care:done']): string {
  if (filesRemoved === 0) return `${operation}: nothing to do`
  const files = `${formatNumberOf(filesRemoved, 'file')} (${formatBytes(bytesRemoved)})`
  return operation === 'vacuum'
    ? `vacuum: deleted ${files}`
    : `optimize: ${files} became ${formatNumberOf(filesAdded, 'file')}`
}
