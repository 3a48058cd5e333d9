/**
 * Findings of `validate` for people: code frames, then what each sound file does.
 *
 * @module
 */
import { struct } from '@stream-ingest/delta'
import { countDiagnostics, formatDiagnostic } from '../config/diagnostic-format.ts'
import type { PipelineConfig } from '../config/ingest-config.ts'
import { describeSource, planTableLayout } from '../config/table-layout.ts'
import { tablePath } from '../config/table-path.ts'
import { formatNumberOf } from '../observe/format.ts'
import { findingsOf, type ValidateReport } from './validate-report.ts'

/** Topics and brokers that a summary names. */
const SUMMARY_NAMES_MAX = 3

/** Findings first, so that they stand together; the counts last, where a terminal shows them. */
export function formatText(report: ValidateReport): string {
  const { files, skipped } = report
  const diagnostics = findingsOf(report)
  const blocks = diagnostics.map(formatDiagnostic)
  for (const { file, pipelines, tests } of files) {
    if (pipelines === null) continue
    const lines = [`✓ ${file}`, ...pipelines.flatMap(summarize)]
    if (tests.length > 0) lines.push(`  ${formatNumberOf(tests.length, 'test')}: run with stream-ingest test`)
    blocks.push(lines.join('\n'))
  }
  const count = `${files.length} ${files.length === 1 ? 'file' : 'files'}`
  const explained = diagnostics.find(({ severity }) => severity === 'error') ?? diagnostics[0]
  const left =
    skipped === 0
      ? ''
      : ` ${skipped} ${skipped === 1 ? 'text' : 'texts'} skipped: not of stream-ingest, or marked \`ignore\`.`
  const more = explained === undefined ? '' : `   More: stream-ingest explain ${explained.code}`
  blocks.push(`${countDiagnostics(diagnostics)} in ${count}.${left}${more}`)
  return `${blocks.join('\n\n')}\n`
}

/** What a pipeline will do, and by which rule each partition column gets its value. */
function summarize({ name, kafka, s3, delta }: PipelineConfig): readonly string[] {
  const target = tablePath(s3, delta.tableName)
  const topics = nameSome(kafka.topics)
  const noun = kafka.topics.length === 1 ? 'topic' : 'topics'
  const lines = [`  ${name}   ${noun} ${topics} @ ${nameSome(kafka.bootstrapServers)}  →  ${target}`]
  if (delta.schema === null && !delta.mergeSchema) {
    return [...lines, '    columns: those of the table, which must exist']
  }
  const { layout } = planTableLayout({ ...delta, schema: delta.schema ?? struct([]) })
  const columns = layout.columns.map(column => column.field.name)
  const more = delta.mergeSchema ? ', and those that messages bring' : ''
  lines.push(
    `    ${columns.length} ${columns.length === 1 ? 'column' : 'columns'}: ${columns.join(', ')}${more}`,
  )
  for (const partition of layout.partitionColumns) {
    const column = layout.columns.find(({ field }) => field.name === partition)
    if (column !== undefined)
      lines.push(`    partition column \`${partition}\`: ${describeSource(column.source)}`)
  }
  return lines
}

function nameSome(names: readonly string[]): string {
  const shown = names.slice(0, SUMMARY_NAMES_MAX).join(', ')
  return names.length > SUMMARY_NAMES_MAX ? `${shown} and ${names.length - SUMMARY_NAMES_MAX} more` : shown
}
