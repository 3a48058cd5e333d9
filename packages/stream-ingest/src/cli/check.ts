/**
 * `stream-ingest check`: is a table sound, by the protocol and by its own files?
 *
 * @module
 */
import {
  type CheckProgress,
  type CheckReport,
  checkTable,
  type Finding,
  type ObjectStore,
  resolveVersionAt,
} from '@stream-ingest/delta'
import { EXIT_CODES } from '../error.ts'
import { formatCount } from '../observe/format.ts'
import { type CommandIo, writeText } from './command-io.ts'
import { formatJsonDocument } from './json-document.ts'
import { openStoreOf, type TableOptions } from './open-table.ts'
import { createProgress, type Progress } from './progress.ts'
import { stoppable } from './stoppable.ts'

export interface CheckCommandOptions extends TableOptions {
  /** Also read every row of every live file. */
  readonly deep?: boolean
  readonly json?: boolean
}

/**
 * Checks a table and prints what was found. Changes nothing.
 *
 * @param table path, URI or configuration file
 * @returns 0 where the table is sound, 1 with findings
 */
export async function checkCommand(
  table: string,
  options: CheckCommandOptions,
  io: CommandIo,
): Promise<number> {
  const { store, openForeign, close } = await openStoreOf(table, options, io)
  const progress = createProgress(io, options.json === true)
  try {
    const version = options.version ?? (await versionAt(store, options.at))
    const check = (signal: AbortSignal): Promise<CheckReport> =>
      checkTable(store, {
        deep: options.deep === true,
        openForeign,
        signal,
        nowMs: io.runtime.now(),
        progressed: done => showProgress(progress, done),
        ...(version === undefined ? {} : { version }),
      })
    const report = await stoppable(io, check, 'stopped: nothing was changed\n')
    if (report === 'interrupted') return EXIT_CODES.interrupted
    progress.end()
    const text =
      options.json === true
        ? formatJsonDocument(checkDocument(store.uri, report))
        : formatReport(store.uri, report)
    await writeText(io.stdout, text)
    return report.findings.length === 0 ? EXIT_CODES.ok : EXIT_CODES.negative
  } finally {
    progress.end()
    await close()
  }
}

/** The log first, then the files. */
function showProgress(
  progress: Progress,
  { commitsDone, commitsTotal, filesDone, filesTotal }: CheckProgress,
): void {
  if (filesDone === 0) {
    const text = `${formatCount(commitsDone)} of ${countOf(commitsTotal, 'commit')}`
    progress.update(text, { done: commitsDone, total: commitsTotal })
  } else if (filesTotal === null) progress.update(`${countOf(filesDone, 'file')} looked at`)
  else {
    const text = `${formatCount(filesDone)} of ${countOf(filesTotal, 'file')}`
    progress.update(text, { done: filesDone, total: filesTotal })
  }
}

async function versionAt(store: ObjectStore, at: number | undefined): Promise<number | undefined> {
  return at === undefined ? undefined : ((await resolveVersionAt(store, at)) ?? undefined)
}

/** The form of this document is a promise: fields are only ever added. */
function checkDocument(uri: string, report: CheckReport): Record<string, unknown> {
  return {
    uri,
    version: report.version,
    deep: report.isDeep,
    sound: report.findings.length === 0,
    commits: report.commitCount,
    checkpoints: report.checkpointCount,
    checksums: report.checksumCount,
    files: report.fileCount,
    findings: report.findings,
    findingsLeftOut: report.findingsLeftOut,
  }
}

function formatReport(uri: string, report: CheckReport): string {
  const { findings, findingsLeftOut, fileCount } = report
  const files =
    fileCount === null
      ? 'files not looked at'
      : `${countOf(fileCount, 'file')}${report.isDeep ? ', every row' : ''}`
  const looked = [
    countOf(report.commitCount, 'commit'),
    countOf(report.checkpointCount, 'checkpoint'),
    countOf(report.checksumCount, 'checksum'),
    files,
  ]
  const more = findingsLeftOut === 0 ? [] : [`  … ${formatCount(findingsLeftOut)} more of the like`]
  return [
    uri,
    `Delta table   version ${report.version}   looked at ${looked.join('   ')}`,
    '',
    ...findings.map(formatFinding),
    ...more,
    findings.length === 0 ? '✓ sound' : `${countOf(findings.length + findingsLeftOut, 'finding')}`,
    '',
  ].join('\n')
}

function formatFinding({ rule, version, message }: Finding): string {
  const place = version === null ? '' : `   version ${version}`
  return `✗ ${rule}${place}   ${message}`
}

function countOf(count: number, noun: string): string {
  return `${formatCount(count)} ${noun}${count === 1 ? '' : 's'}`
}
