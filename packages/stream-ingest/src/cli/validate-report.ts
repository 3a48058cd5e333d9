/**
 * What `validate` found in all files, before it is put into a format.
 *
 * @module
 */
import type { ConfigTest } from '../config/config-test.ts'
import type { DiagnosticPlace } from '../config/diagnostic.ts'
import type { EffectivePipeline } from '../config/effective-config.ts'
import type { PipelineConfig } from '../config/ingest-config.ts'
import type { Diagnostic } from '../error.ts'

export interface FileReport {
  readonly file: string
  readonly diagnostics: readonly Diagnostic[]
  /** Null where there are errors. */
  readonly pipelines: readonly PipelineConfig[] | null
  readonly tests: readonly ConfigTest[]
  /** Empty where there are errors. */
  readonly effective: readonly EffectivePipeline[]
  /** Where each pipeline names its table. */
  readonly tablePlaces: readonly DiagnosticPlace[]
}

export interface ValidateReport {
  readonly ok: boolean
  /** In the order given; one for each configuration, of which a Markdown file may hold several. */
  readonly files: readonly FileReport[]
  /** Fences of YAML, and files of a folder, that are no configuration of ours. */
  readonly skipped: number
}

/** Of a file that gives no text. */
export function unreadable(file: string, problem: Diagnostic): FileReport {
  return { file, diagnostics: [problem], pipelines: null, tests: [], effective: [], tablePlaces: [] }
}

/** Of all files, in their order. */
export function findingsOf({ files }: ValidateReport): readonly Diagnostic[] {
  return files.flatMap(({ diagnostics }) => diagnostics)
}
