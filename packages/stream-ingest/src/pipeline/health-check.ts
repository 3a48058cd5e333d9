/**
 * Do the parts that pipelines stand on answer? Asked once, reading only, in bounded time.
 *
 * @module
 */
import { assertWritable, loadTableState, type Runtime, withinTime } from '@stream-ingest/delta'
import type { PipelineConfig } from '../config/ingest-config.ts'
import { KafkaError, S3Error, StreamIngestError } from '../error.ts'
import { HEALTH_TIMEOUT_MS } from '../s3/s3-client.ts'
import { type OpenedParts, PIPELINES_AT_ONCE } from './status-report.ts'

/** Health of one part; `detail` says why not. */
export interface PartHealth {
  /** `orders kafka`, `orders table`. */
  readonly name: string
  readonly healthy: boolean
  readonly detail: string
}

export interface HealthReport {
  readonly healthy: boolean
  /** Two for each pipeline, in the order of the configuration. */
  readonly parts: readonly PartHealth[]
}

/** Never throws for an operational failure: the part's `detail` tells. */
export async function checkHealth(
  pipelines: readonly PipelineConfig[],
  open: (config: PipelineConfig) => OpenedParts,
  runtime: Runtime,
): Promise<HealthReport> {
  const parts: PartHealth[] = []
  for (let start = 0; start < pipelines.length; start += PIPELINES_AT_ONCE) {
    const group = pipelines.slice(start, start + PIPELINES_AT_ONCE)
    const found = await Promise.all(group.map(config => checkPipeline(config, open, runtime)))
    parts.push(...found.flat())
  }
  return { healthy: parts.every(({ healthy }) => healthy), parts }
}

async function checkPipeline(
  config: PipelineConfig,
  open: (config: PipelineConfig) => OpenedParts,
  runtime: Runtime,
): Promise<PartHealth[]> {
  const { name } = config
  let opened: OpenedParts
  try {
    opened = open(config)
  } catch (thrown) {
    // What the configuration alone forbids is so for both.
    return [`${name} kafka`, `${name} table`].map(part => unhealthy(part, thrown))
  }
  const { close } = opened
  try {
    return await Promise.all([
      part(`${name} kafka`, () => askKafka(opened, runtime)),
      part(`${name} table`, () => askTable(opened, runtime)),
    ])
  } finally {
    await close().catch(() => {})
  }
}

async function part(name: string, ask: () => Promise<string>): Promise<PartHealth> {
  try {
    return { name, healthy: true, detail: await ask() }
  } catch (thrown) {
    return unhealthy(name, thrown)
  }
}

function unhealthy(name: string, thrown: unknown): PartHealth {
  const { code, message } = StreamIngestError.from(thrown)
  return { name, healthy: false, detail: `${code}: ${message}` }
}

async function askKafka({ source }: OpenedParts, runtime: Runtime): Promise<string> {
  const overdue = (): KafkaError =>
    new KafkaError('KAFKA_UNREACHABLE', `Kafka did not answer within ${HEALTH_TIMEOUT_MS} ms`)
  const ask = async (): Promise<string> => {
    await source.open()
    await source.endOffsets()
    return `${source.assignment.length} partitions`
  }
  try {
    return await withinTime(runtime, HEALTH_TIMEOUT_MS, ask, overdue)
  } finally {
    // Whatever is still under way ends with it.
    await source.close().catch(() => {})
  }
}

async function askTable({ store }: OpenedParts, runtime: Runtime): Promise<string> {
  const overdue = (): S3Error =>
    new S3Error('STORE_UNAVAILABLE', `${store.uri} did not answer within ${HEALTH_TIMEOUT_MS} ms`)
  const ask = async (signal: AbortSignal): Promise<string> => {
    const state = await loadTableState(store, { nowMs: runtime.now(), signal })
    if (state === null) return 'not created yet'
    assertWritable(state.protocol, state.metadata, state.schema)
    return `version ${state.version}`
  }
  return withinTime(runtime, HEALTH_TIMEOUT_MS, ask, overdue)
}
