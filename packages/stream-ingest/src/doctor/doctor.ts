/**
 * The online check of everything that pipelines need. Each part is asked whatever became of the others, once, in bounded
 * time; nothing of a table or a topic is changed.
 *
 * @module
 */
import { join, resolve } from 'node:path'
import { type ObjectStore, openStore, type Runtime } from '@stream-ingest/delta'
import type { PipelineConfig } from '../config/ingest-config.ts'
import type { CheckContext, TableFindings } from './check-context.ts'
import { type Check, type CheckGroup, Checkup, type SkippedCheck } from './checkup.ts'
import { checkClock } from './clock-check.ts'
import {
  checkDirectory,
  type FreeBytes,
  nearestDirectory,
  removeEmptyDirectories,
  systemFreeBytes,
} from './directory-checks.ts'
import { checkKafka, kafkaHelp } from './kafka-checks.ts'
import { checkStore, openImpatientStore, type Reach, SCRATCH_FOLDER } from './store-checks.ts'
import { checkNewTable, checkTable } from './table-checks.ts'

/** Of one request. */
export const DOCTOR_TIMEOUT_MS_DEFAULT = 5_000
/** Pipelines that are looked at together: they may share brokers that are busy. */
const PIPELINES_AT_ONCE = 4

export interface DoctorOptions {
  readonly runtime: Runtime
  /** Of one request; {@link DOCTOR_TIMEOUT_MS_DEFAULT} by default. A check of several has a few times that. */
  readonly timeoutMs?: number
  /** Only these; all by default. Offsets and messages need the table: without it they are left out. */
  readonly only?: ReadonlySet<CheckGroup>
  /** Write to the store: put, delete, conditional puts. True by default. */
  readonly writeProbe?: boolean
  /** Token endpoints, and the store's time; the global `fetch` by default. */
  readonly fetchUrl?: CheckContext['fetchUrl']
  /** The system's by default. */
  readonly freeBytes?: FreeBytes
}

export interface DoctorReport {
  /** Nothing failed; there may be warnings. */
  readonly ok: boolean
  /** Pipeline by pipeline, in the order of the configuration, and group by group. */
  readonly checks: readonly Check[]
  readonly skipped: readonly SkippedCheck[]
}

/** Never throws for an operational failure. */
export async function diagnose(
  pipelines: readonly PipelineConfig[],
  options: DoctorOptions,
): Promise<DoctorReport> {
  const reports: DoctorReport[] = []
  for (let start = 0; start < pipelines.length; start += PIPELINES_AT_ONCE) {
    const some = pipelines.slice(start, start + PIPELINES_AT_ONCE)
    reports.push(...(await Promise.all(some.map(pipeline => diagnosePipeline(pipeline, options)))))
  }
  return {
    ok: reports.every(report => report.ok),
    checks: reports.flatMap(report => report.checks),
    skipped: reports.flatMap(report => report.skipped),
  }
}

async function diagnosePipeline(pipeline: PipelineConfig, options: DoctorOptions): Promise<DoctorReport> {
  const { runtime, timeoutMs = DOCTOR_TIMEOUT_MS_DEFAULT, fetchUrl = fetch } = options
  const context: CheckContext = { pipeline, runtime, timeoutMs, fetchUrl }
  const wants = (group: CheckGroup): boolean => options.only?.has(group) ?? true
  const checkups = new Map<CheckGroup, Checkup>()
  const checkup = (group: CheckGroup): Checkup => {
    const helpOf = group === 'kafka' ? kafkaHelp(pipeline.kafka) : undefined
    const found = checkups.get(group) ?? new Checkup(group, pipeline.name, runtime, timeoutMs, helpOf)
    checkups.set(group, found)
    return found
  }
  const store = openStoreOf(pipeline, timeoutMs)
  const table = Promise.withResolvers<TableFindings | string>()
  const lake = async (): Promise<void> => {
    try {
      const reach = wants('store') ? await checkLake(checkup('store'), context, store, options) : 'reachable'
      if (!wants('table')) table.resolve('the table was not asked for')
      else if (reach === 'unreachable') checkup('table').skip('log', 'the store cannot be reached')
      else if (reach === 'empty') table.resolve(await checkNewTable(checkup('table'), pipeline))
      else
        table.resolve((await checkTable(checkup('table'), context, store)) ?? 'the table cannot be written')
    } finally {
      table.resolve('the store cannot be reached')
    }
  }
  // Listed in this order, whichever is through first.
  const kafka = wants('kafka') ? checkKafka(checkup('kafka'), context, table.promise) : null
  await Promise.all([kafka, lake(), wants('clock') ? checkClock(checkup('clock'), context) : null])
  await store.close()
  const groups = [...checkups.values()]
  const checks = groups.flatMap(group => group.checks)
  return {
    ok: checks.every(({ status }) => status !== 'fail'),
    checks,
    skipped: groups.flatMap(group => group.skipped),
  }
}

function openStoreOf({ s3, delta }: PipelineConfig, timeoutMs: number): ObjectStore {
  const lake = s3.kind === 'local' ? openStore(s3.path) : openImpatientStore(s3, timeoutMs)
  return lake.at(delta.tableName)
}

async function checkLake(
  checkup: Checkup,
  context: CheckContext,
  store: ObjectStore,
  options: DoctorOptions,
): Promise<Reach> {
  const { s3, delta, processing } = context.pipeline
  const scratchName = context.runtime.uuid()
  const probe = { writes: options.writeProbe !== false && !processing.dryRun, scratchName }
  if (s3.kind === 's3') return checkStore(checkup, context, store, probe)
  await checkDirectory(checkup, s3.path, options.freeBytes ?? systemFreeBytes)
  if (checkup.checks.some(({ status }) => status === 'fail')) {
    checkup.skip('put, get, delete and conditional put', 'the directory cannot be used')
    return 'unreachable'
  }
  const table = join(resolve(s3.path), delta.tableName)
  // Null where a file has the table's name, which the checks will meet.
  const existing = await nearestDirectory(table).catch(() => null)
  const reach = await checkStore(checkup, context, store, probe)
  if (existing !== null) {
    await removeEmptyDirectories(join(table, SCRATCH_FOLDER, `probe-${scratchName}`), existing)
  }
  return reach
}
