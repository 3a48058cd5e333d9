/**
 * `validate --show-defaults`: the effective configuration of the files that were checked.
 *
 * @module
 */
import type {
  EffectiveEntry,
  EffectivePipeline,
  PlainValue,
  ValueOrigin,
} from '../config/effective-config.ts'
import { formatEffectiveYaml } from '../config/effective-yaml.ts'
import type { FileReport } from './validate-report.ts'

/** One YAML document for each file without an error. */
export function formatEffective(files: readonly FileReport[]): string {
  const sound = files.filter(({ pipelines }) => pipelines !== null)
  const documents = sound.map(
    ({ file, effective }) => `# ${JSON.stringify(file)}\n${formatEffectiveYaml(effective)}`,
  )
  return documents.join('---\n')
}

/** For the field `effective` of the JSON document. */
export function effectiveDocument(files: readonly FileReport[]): object[] {
  return files.flatMap(({ file, effective }) => effective.map(pipeline => pipelineDocument(file, pipeline)))
}

function pipelineDocument(file: string, { name, pipelineId, sections }: EffectivePipeline): object {
  const origins: Record<string, ValueOrigin> = {}
  const config = Object.fromEntries(
    sections.map(section => [section.key, valuesOf(section, section.key, origins)]),
  )
  return { file, pipeline: name, pipelineId, config, origins }
}

/** Collects the origins by their dotted paths. */
function valuesOf(
  section: Extract<EffectiveEntry, { kind: 'section' }>,
  path: string,
  origins: Record<string, ValueOrigin>,
): Record<string, PlainValue> {
  const values: Record<string, PlainValue> = {}
  for (const entry of section.entries) {
    const at = `${path}.${entry.key}`
    if (entry.kind === 'section') values[entry.key] = valuesOf(entry, at, origins)
    else if (entry.kind === 'value') {
      values[entry.key] = entry.value
      origins[at] = entry.origin
    }
  }
  return values
}
