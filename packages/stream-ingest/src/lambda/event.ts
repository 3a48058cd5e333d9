/**
 * What an invocation asks for, by the shape of its event.
 *
 * @module
 */
import { nearestWord } from '../config/suggestion.ts'
import { LambdaError } from '../error.ts'
import type { CareOperation } from '../pipeline/table-care.ts'
import { type KafkaEvent, parseKafkaEvent } from './kafka-event.ts'

export type LambdaRequest =
  | { readonly kind: 'drain'; readonly options: DrainOptions; readonly configPath: string | null }
  | { readonly kind: 'care'; readonly options: CareOptions; readonly configPath: string | null }
  | { readonly kind: 'health-check'; readonly configPath: string | null }
  | { readonly kind: 'kafka'; readonly event: KafkaEvent }

export interface DrainOptions {
  readonly dryRun: boolean
  /** Topic partitions to read, of every topic; null for those of the configuration. */
  readonly partitions: readonly number[] | null
  /** Names of pipelines to run; null for all. */
  readonly pipelines: readonly string[] | null
}

export interface CareOptions {
  /** In this order. */
  readonly operations: readonly CareOperation[]
  /** Names of pipelines whose tables are meant; null for all. */
  readonly pipelines: readonly string[] | null
}

const KEYS = [
  'health_check',
  'dry_run',
  'partitions',
  'pipelines',
  'optimize',
  'vacuum',
  'config_path',
] as const
const CARE_OPERATIONS = ['optimize', 'vacuum'] as const satisfies readonly CareOperation[]
const PARTITIONS_MAX = 100_000
const KAFKA_SOURCES: readonly unknown[] = ['aws:kafka', 'SelfManagedKafka']
/** EventBridge rules and EventBridge Scheduler, with the target's input left as it is. */
const SCHEDULE_SOURCES: readonly unknown[] = ['aws.events', 'aws.scheduler']

const NOTHING: DrainOptions = { dryRun: false, partitions: null, pipelines: null }

/**
 * Reads an event: one of a Kafka trigger, of a schedule, or an object with keys of ours; nothing and `{}` mean to drain
 * what is configured.
 *
 * @throws LambdaError `LAMBDA_EVENT` naming what is not understood
 */
export function parseEvent(event: unknown): LambdaRequest {
  if (event === null || event === undefined) return { kind: 'drain', options: NOTHING, configPath: null }
  if (typeof event !== 'object' || Array.isArray(event)) {
    throw notUnderstood(`it is ${Array.isArray(event) ? 'a list' : `a ${typeof event}`}, not an object`)
  }
  const fields = event as Readonly<Record<string, unknown>>
  if (KAFKA_SOURCES.includes(fields.eventSource)) return { kind: 'kafka', event: parseKafkaEvent(fields) }
  if (SCHEDULE_SOURCES.includes(fields.source) && 'detail-type' in fields) {
    return { kind: 'drain', options: NOTHING, configPath: null }
  }
  rejectOthers(fields)
  const configPath = optional<string>(fields, 'config_path', 'a text', value => typeof value === 'string')
  const pipelines = optional<string[]>(fields, 'pipelines', 'a list of names of pipelines', isNames)
  if (isSet(fields, 'health_check')) return { kind: 'health-check', configPath }
  const operations = CARE_OPERATIONS.filter(operation => isSet(fields, operation))
  const dryRun = isSet(fields, 'dry_run')
  const partitions = optional<number[]>(
    fields,
    'partitions',
    'a list of partition numbers, such as `[0, 1]`',
    isPartitions,
  )
  if (operations.length === 0)
    return { kind: 'drain', options: { dryRun, partitions, pipelines }, configPath }
  if (dryRun || partitions !== null) {
    throw notUnderstood(
      `\`${dryRun ? 'dry_run' : 'partitions'}\` is of ingestion, and \`${operations[0]}\` ingests nothing`,
      'leave one of them out',
    )
  }
  return { kind: 'care', options: { operations, pipelines }, configPath }
}

function isSet(fields: Readonly<Record<string, unknown>>, key: (typeof KEYS)[number]): boolean {
  return optional<boolean>(fields, key, '`true` or `false`', value => typeof value === 'boolean') ?? false
}

/** Another service's event, or a key that is none of ours: what was meant is not to be guessed. */
function rejectOthers(fields: Readonly<Record<string, unknown>>): void {
  const { Records: records, eventSource, records: kafkaRecords } = fields
  const first = Array.isArray(records) ? (records[0] as Record<string, unknown> | undefined) : undefined
  const source = eventSource ?? first?.eventSource ?? first?.EventSource
  if (source !== undefined) {
    throw notUnderstood(`it comes from \`${String(source)}\``, 'connect a Kafka trigger or a schedule to it')
  }
  if (kafkaRecords !== undefined) {
    throw notUnderstood(
      'it has `records` and no `eventSource`',
      'a Kafka trigger sets `eventSource` to `aws:kafka` or `SelfManagedKafka`',
    )
  }
  const unknown = Object.keys(fields).find(key => !KEYS.includes(key as (typeof KEYS)[number]))
  if (unknown === undefined) return
  const near = nearestWord(unknown, KEYS)
  throw notUnderstood(
    `the key \`${unknown}\` is unknown`,
    near === null ? `the keys are ${KEYS.map(key => `\`${key}\``).join(', ')}` : `did you mean \`${near}\`?`,
  )
}

function optional<T>(
  fields: Readonly<Record<string, unknown>>,
  key: (typeof KEYS)[number],
  expected: string,
  isIt: (value: unknown) => boolean,
): T | null {
  const value = fields[key]
  if (value === undefined || value === null) return null
  if (!isIt(value)) throw notUnderstood(`\`${key}\` is not ${expected}`)
  return value as T
}

function isPartitions(value: unknown): boolean {
  return (
    Array.isArray(value) &&
    value.length > 0 &&
    value.length <= PARTITIONS_MAX &&
    value.every(item => Number.isSafeInteger(item) && item >= 0) &&
    new Set(value).size === value.length
  )
}

function isNames(value: unknown): boolean {
  return Array.isArray(value) && value.length > 0 && value.every(item => typeof item === 'string')
}

function notUnderstood(problem: string, hint?: string): LambdaError {
  return new LambdaError(
    'LAMBDA_EVENT',
    `the event is not understood: ${problem}`,
    hint === undefined ? {} : { hint },
  )
}
