/**
 * What files that are checked together demand of each other: each is sound alone.
 *
 * @module
 */
import { tablePath } from '../config/table-path.ts'
import type { Diagnostic } from '../error.ts'
import type { FileReport } from './validate-report.ts'

/**
 * The reports with a warning where two files put the same topic into the same table under different pipeline ids: every
 * message would be there once for each. Under the same id they are one pipeline, which writes it once whatever runs. Pages
 * of Markdown show variants of one configuration and are left out.
 */
export function warnOfSharedTopics(
  files: readonly FileReport[],
  isPage: (file: string) => boolean,
): readonly FileReport[] {
  const owners = new Map<string, { readonly file: string; readonly pipelineId: string }>()
  return files.map(report => {
    if (isPage(report.file)) return report
    const found: Diagnostic[] = []
    for (const [index, { kafka, s3, delta, pipelineId }] of (report.pipelines ?? []).entries()) {
      // Shards of a topic are told apart by their lists of partitions.
      if (typeof kafka.assignment === 'object') continue
      const table = tablePath(s3, delta.tableName)
      for (const topic of kafka.topics) {
        const flow = JSON.stringify([kafka.bootstrapServers.toSorted(), topic, table])
        const owner = owners.get(flow)
        if (owner === undefined) owners.set(flow, { file: report.file, pipelineId })
        else if (owner.file !== report.file && owner.pipelineId !== pipelineId) {
          const message = `\`${pipelineId}\` writes \`${topic}\` to \`${table}\`, as \`${owner.pipelineId}\` in ${owner.file} does: every message would be there once for each`
          const help =
            'give one of them a table of its own, or the same `consumer_group` where they are one pipeline'
          const place = report.tablePlaces[index]
          if (place !== undefined)
            found.push({
              ...place,
              code: 'TABLE_TOPIC_TWICE',
              severity: 'warning',
              message,
              help,
              suggestion: null,
            })
          break
        }
      }
    }
    return found.length === 0 ? report : { ...report, diagnostics: [...report.diagnostics, ...found] }
  })
}
