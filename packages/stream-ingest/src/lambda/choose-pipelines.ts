/**
 * The pipelines that an event names.
 *
 * @module
 */
import type { IngestConfig } from '../config/config.ts'
import type { PipelineConfig } from '../config/ingest-config.ts'
import { nearestWord } from '../config/suggestion.ts'
import { LambdaError } from '../error.ts'

/** @throws LambdaError `LAMBDA_EVENT` for a name that is none */
export function choosePipelines(
  config: IngestConfig,
  names: readonly string[] | null,
): readonly PipelineConfig[] {
  if (names === null) return config.pipelines
  const known = config.pipelines.map(({ name }) => name)
  return names.map(name => {
    const found = config.pipelines.find(pipeline => pipeline.name === name)
    if (found !== undefined) return found
    const near = nearestWord(name, known)
    throw new LambdaError('LAMBDA_EVENT', `there is no pipeline \`${name}\``, {
      hint:
        near === null
          ? `the pipelines are ${known.map(other => `\`${other}\``).join(', ')}`
          : `did you mean \`${near}\`?`,
    })
  })
}
