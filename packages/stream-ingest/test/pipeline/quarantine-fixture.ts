/**
 * A topic, the table that it goes into and its quarantine, all in memory, with faults on demand.
 *
 * @module
 */
import assert from 'node:assert/strict'
import {
  checkTable,
  loadSnapshot,
  loadTableState,
  MemoryObjectStore,
  type ObjectStore,
  readCommit,
  type StoreCall,
  type StoreFault,
  scanTable,
  type TableRow,
} from '@stream-ingest/delta'
import type { EncodableRecord } from '../../src/kafka/record-batch-encoder.ts'
import type { RunOptions } from '../../src/pipeline/pipeline.ts'
import { readQuarantine } from '../../src/pipeline/quarantine-reader.ts'
import {
  type ReplayOptions,
  type ReplayResult,
  replayQuarantine,
} from '../../src/pipeline/quarantine-replay.ts'
import { type ProcessingResult, StreamIngestProcessor } from '../../src/pipeline/stream-ingest-processor.ts'
import { MemoryKafka } from '../../src/testing/memory-source.ts'
import {
  type ConfigParts,
  fixedRuntime,
  ingestConfig,
  NOW_MS,
  pipelineConfig,
  rowPlaces,
} from './table-fixture.ts'

export const QUARANTINE = '{ on_bad_record: quarantine, retry_base_delay_ms: 1 }'
/** Under which `{"id":7}` is bad, and good by default. */
export const STRICT =
  '[{ name: id, data_type: int64, nullable: false }, { name: kind, data_type: utf8, nullable: false }]'

export class QuarantineSetting {
  readonly runtime = fixedRuntime()
  readonly kafka = new MemoryKafka(this.runtime)
  fault: (call: StoreCall) => StoreFault | undefined = () => undefined
  /** What a slow answer of the store waits for. */
  wait: () => Promise<unknown> = async () => {}
  readonly store = new MemoryObjectStore({
    now: this.runtime.now,
    faults: call => this.fault(call),
    wait: async () => void (await this.wait()),
  })
  readonly table: ObjectStore = this.store.at('events')
  readonly quarantine: ObjectStore = this.store.at('events_quarantine')

  constructor(partitions = 1) {
    this.kafka.createTopic('t', partitions)
  }

  /** One batch; texts are values, one minute apart. */
  produce(values: readonly (string | null | EncodableRecord)[], partition = 0): void {
    const records = values.map((value, i) =>
      typeof value === 'string' || value === null ? { value, timestampMs: NOW_MS + i * 60_000 } : value,
    )
    this.kafka.produce('t', partition, records)
  }

  run(parts: ConfigParts = {}, options: RunOptions = { untilLatest: true }): Promise<ProcessingResult> {
    const processor = new StreamIngestProcessor(ingestConfig({ processing: QUARANTINE, ...parts }), {
      runtime: this.runtime,
      createStore: () => this.store,
      createSource: () => this.kafka.createSource({ topics: ['t'] }),
    })
    return processor.processStream(options)
  }

  replay(parts: ConfigParts = {}, options: ReplayOptions = {}): Promise<ReplayResult> {
    const config = pipelineConfig({ processing: QUARANTINE, ...parts })
    const { store, runtime } = this
    return replayQuarantine(config, { runtime, store, ...options })
  }

  /** Every row of the quarantine, whether it counts or not. */
  async rows(): Promise<TableRow[]> {
    const snapshot = await loadSnapshot(this.quarantine)
    const rows: TableRow[] = []
    if (snapshot === null) return rows
    for await (const batch of scanTable(snapshot)) rows.push(...batch)
    return rows.sort((a, b) => Number((a.offset as bigint) - (b.offset as bigint)))
  }

  /** `partition@offset` of what counts, and was not replayed. */
  async waiting(): Promise<string[]> {
    const reading = await readQuarantine(this.table, this.quarantine, this.runtime.now())
    if (reading === null) return []
    const { view } = reading
    return (await this.rows())
      .filter(row => view.doesCount(row) && !view.isReplayed(row))
      .map(placeOf)
      .sort()
  }

  async tablePlaces(): Promise<string[]> {
    return rowPlaces(this.table)
  }

  /** The metrics of every commit of the table from version 1 on. */
  async commitMetrics(): Promise<Record<string, string>[]> {
    const { version } = (await loadTableState(this.table))!
    const all: Record<string, string>[] = []
    for (let v = 1; v <= version; v++) {
      for (const action of (await readCommit(this.table, v))!) {
        if ('commitInfo' in action) all.push({ ...action.commitInfo.operationMetrics })
      }
    }
    return all
  }

  /** In each commit: what was consumed is somewhere. */
  async assertReconciled(): Promise<void> {
    for (const metrics of await this.commitMetrics()) {
      const of = (name: string): number => Number(metrics[name] ?? 0)
      assert.equal(
        of('numConsumedRecords'),
        of('numOutputRows') + of('numBadRecords') + of('numSkippedRecords') + of('numFilteredRecords'),
        JSON.stringify(metrics),
      )
      assert.equal(of('numQuarantinedRecords'), of('numBadRecords'), JSON.stringify(metrics))
    }
  }

  async assertSound(): Promise<void> {
    for (const store of [this.table, this.quarantine]) {
      if ((await loadSnapshot(store)) === null) continue
      const { findings } = await checkTable(store, { deep: true, nowMs: this.runtime.now() })
      assert.deepEqual(findings, [])
    }
  }
}

export function placeOf({ partition, offset }: TableRow): string {
  return `${partition}@${String(offset).padStart(4, '0')}`
}

export const sound = (id: number): string => `{"id":${id},"kind":"k"}`
