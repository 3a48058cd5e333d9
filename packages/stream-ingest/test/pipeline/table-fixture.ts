/**
 * Pipelines of tests: a configuration, messages for it, and what its table holds.
 *
 * @module
 */
import assert from 'node:assert/strict'
import {
  loadSnapshot,
  MemoryObjectStore,
  type ObjectStore,
  type Runtime,
  scanTable,
} from '@stream-ingest/delta'
import { IngestConfig } from '../../src/config/config.ts'
import type { PipelineConfig } from '../../src/config/ingest-config.ts'
import type { KafkaMessage } from '../../src/kafka/message-batch.ts'
import { MessageBatch } from '../../src/kafka/message-batch.ts'
import type { MemoryKafka } from '../../src/testing/memory-source.ts'

export const NOW_MS = 1_800_000_000_000

export interface ConfigParts {
  /** YAML of the sections, in flow or block style, each with its key. */
  readonly processing?: string
  readonly delta?: string
  readonly storage?: string
  /** The columns, in place of `id` and `kind`. */
  readonly schema?: string
}

export function pipelineConfig(parts: ConfigParts = {}): PipelineConfig {
  const [pipeline] = ingestConfig(parts).pipelines
  assert(pipeline !== undefined)
  return pipeline
}

/** `events` from topic `t`: `id` (never null), `kind`, partitioned by `date`. */
export function ingestConfig(parts: ConfigParts = {}): IngestConfig {
  return IngestConfig.parse(`
kafka: { bootstrap_servers: "memory:9092", topic: t, consumer_group: g }
${parts.storage ?? 'local: { path: /unused }'}
delta:
  table_name: events
  partition_columns: [date]
  schema: ${parts.schema ?? '[{ name: id, data_type: int64, nullable: false }, { name: kind, data_type: utf8 }]'}
${(parts.delta ?? '').replace(/^/gm, '  ')}
processing: ${parts.processing ?? '{}'}
`)
}

/** A clock that stands still unless something waits. */
export function fixedRuntime(): Runtime & { nowMs: number } {
  let ids = 0
  const runtime = {
    nowMs: NOW_MS,
    now: () => runtime.nowMs,
    monotonicMs: () => runtime.nowMs,
    random: () => 0.5,
    uuid: () => `00000000-0000-4000-8000-${String(ids++).padStart(12, '0')}`,
    delay: async (ms: number) => {
      runtime.nowMs += Math.ceil(ms)
    },
  }
  return runtime
}

export function memoryStore(runtime: Runtime): MemoryObjectStore {
  return new MemoryObjectStore({ now: runtime.now })
}

/** A plain message of topic `t`; the payload is `{"id": offset}` unless given. */
export function message(offset: number, payload?: string | null, partition = 0): KafkaMessage {
  const text = payload === undefined ? `{"id":${offset},"kind":"k"}` : payload
  return {
    key: null,
    payload: text,
    topic: 't',
    partition,
    offset: BigInt(offset),
    timestamp: NOW_MS,
    headers: {},
    keyBytes: null,
    payloadBytes: text === null ? null : Buffer.from(text),
    headerList: [],
  }
}

export function messages(from: number, to: number, partition = 0): KafkaMessage[] {
  return Array.from({ length: to - from }, (_, i) => message(from + i, undefined, partition))
}

/** What a consumer would get of a topic from its beginning: batches with the topic's id. */
export async function consumeAll(kafka: MemoryKafka, topic = 't'): Promise<MessageBatch> {
  const source = kafka.createSource({ topics: [topic] })
  await source.open()
  for (const tp of source.assignment) source.seek(tp, 0n)
  const batch = new MessageBatch(await source.read({ maxBytes: 1 << 24, maxWaitMs: 0 }))
  await source.close()
  return batch
}

/** `partition@offset` of each row, sorted: duplicates show. */
export async function rowPlaces(table: ObjectStore): Promise<string[]> {
  const snapshot = await loadSnapshot(table)
  assert(snapshot !== null)
  const places: string[] = []
  const columns = ['_kafka_partition', '_kafka_offset']
  for await (const rows of scanTable(snapshot, { columns })) {
    for (const row of rows) {
      places.push(`${row._kafka_partition}@${String(row._kafka_offset).padStart(4, '0')}`)
    }
  }
  return places.sort()
}

/** The places of offsets `[from, to)`. */
export function places(from: number, to: number, partition = 0): string[] {
  return Array.from({ length: to - from }, (_, i) => `${partition}@${String(from + i).padStart(4, '0')}`)
}
