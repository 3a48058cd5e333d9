import assert from 'node:assert/strict'
import { after, suite, test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import {
  checkTable,
  InjectedCrash,
  loadSnapshot,
  MemoryObjectStore,
  type Runtime,
  type StoreFault,
  scanTable,
} from '@stream-ingest/delta'
import { IngestConfig } from '../../src/config/config.ts'
import type { PipelineConfig } from '../../src/config/ingest-config.ts'
import type { CompressionCodec } from '../../src/kafka/compression.ts'
import { subscribe } from '../../src/observe/event.ts'
import { replayQuarantine } from '../../src/pipeline/quarantine-replay.ts'
import { StreamIngestProcessor } from '../../src/pipeline/stream-ingest-processor.ts'
import { createRandom } from '../../src/testing/generate-messages.ts'
import { MemoryKafka } from '../../src/testing/memory-source.ts'
import { LocalThread } from '../pipeline/local-thread.ts'

/** Scenarios in `npm test`; `SIMULATION_SEEDS=1000` for a long run, `SIMULATION_SEED=n` to repeat one. */
const SEED_COUNT = Number(process.env.SIMULATION_SEEDS ?? 40)
const ONLY_SEED = process.env.SIMULATION_SEED
const ROUNDS = 6
/** A scenario takes a second at most; one that stands still is a failure. */
const SCENARIO_MAX_MS = 120_000
/** Of the records: so many are bad, and as many again doubtful. */
const POISON_SHARE = 0.05
/** Of those who run at once: replays in place of runs. */
const REPLAY_SHARE = 0.3
const CODECS: readonly CompressionCodec[] = ['none', 'gzip', 'snappy', 'lz4', 'zstd']

/** Waiting costs a turn of the event loop and moves the clock. */
function virtualRuntime(random: () => number): Runtime {
  let nowMs = 1_800_000_000_000
  let ids = 0
  return {
    now: () => nowMs,
    monotonicMs: () => nowMs,
    random,
    uuid: () => `00000000-0000-4000-8000-${String(ids++).padStart(12, '0')}`,
    delay: async (ms, signal) => {
      nowMs += Math.ceil(ms)
      await setImmediate()
      signal?.throwIfAborted()
    },
  }
}

function randomFault(random: () => number, share: number, operation: string): StoreFault | undefined {
  if (random() > share) return undefined
  const isWrite = operation === 'put' || operation === 'putIfAbsent'
  const faults: StoreFault[] = [
    { kind: 'crash', moment: 'before' },
    { kind: 'slow', delayMs: 1 },
  ]
  if (operation === 'put') faults.push({ kind: 'crash', moment: 'after' }, { kind: 'partial-upload' })
  if (operation === 'putIfAbsent') {
    faults.push(
      { kind: 'crash', moment: 'after' },
      { kind: 'lost-answer' },
      { kind: 'own-earlier-write' },
      { kind: 'conflict' },
      { kind: 'timeout' },
      { kind: 'late-write' },
    )
  }
  if (!isWrite) faults.push({ kind: 'throttled' })
  return faults[Math.floor(random() * faults.length)]
}

/** A seed gives a scenario, as far as the event loop keeps the order of what is ready at once. */
class Scenario {
  readonly random: () => number
  readonly runtime: Runtime
  readonly kafka: MemoryKafka
  readonly store: MemoryObjectStore
  readonly partitions: number
  /** Offsets of records that a committed reader sees, by partition. */
  readonly expected: Set<bigint>[]
  /** Of those, the ones that no schema takes, and those that a strict one does not take. */
  readonly poison: Set<string> = new Set()
  readonly doubtful: Set<string> = new Set()
  isFaulty = false
  /** Of the store's calls; a start takes a few, so that a high share lets no process get to work. */
  readonly faultShare: number

  constructor(seed: number) {
    this.random = createRandom(seed)
    this.runtime = virtualRuntime(this.random)
    this.kafka = new MemoryKafka(this.runtime)
    this.partitions = 1 + this.pick(4)
    this.faultShare = this.random() * 0.06
    this.expected = Array.from({ length: this.partitions }, () => new Set())
    this.kafka.createTopic('t', this.partitions)
    this.store = new MemoryObjectStore({
      now: this.runtime.now,
      wait: ms => this.runtime.delay(ms),
      faults: ({ operation }) =>
        this.isFaulty ? randomFault(this.random, this.faultShare, operation) : undefined,
    })
  }

  pick(bound: number): number {
    return Math.floor(this.random() * bound)
  }

  produce(): void {
    for (let partition = 0; partition < this.partitions; partition++) {
      for (let batch = this.pick(4); batch > 0; batch--) this.produceBatch(partition)
    }
  }

  private produceBatch(partition: number): void {
    const kinds: ('sound' | 'poison' | 'doubtful')[] = []
    const records = Array.from({ length: 1 + this.pick(30) }, (_, i) => {
      const chance = this.random()
      const kind = chance < POISON_SHARE ? 'poison' : chance < 2 * POISON_SHARE ? 'doubtful' : 'sound'
      kinds.push(kind)
      const text = {
        sound: `{"id":${i},"kind":"k${this.pick(3)}"}`,
        poison: `{"id":${i}`,
        doubtful: `{"id":${i}}`,
      }
      return {
        value: new TextEncoder().encode(text[kind]),
        timestampMs: 1_767_225_600_000 + this.pick(3) * 86_400_000,
      }
    })
    const note = (base: bigint): void => {
      for (const [i, kind] of kinds.entries()) {
        this.expected[partition]!.add(base + BigInt(i))
        if (kind === 'poison') this.poison.add(`${partition}@${base + BigInt(i)}`)
        if (kind === 'doubtful') this.doubtful.add(`${partition}@${base + BigInt(i)}`)
      }
    }
    const codec = CODECS[this.pick(CODECS.length)]!
    const fate = this.pick(4)
    if (fate > 1) {
      const base = this.kafka.produce('t', partition, records, { codec })
      note(base)
      return
    }
    const transaction = this.kafka.createTransactionalProducer()
    const base = transaction.produce('t', partition, records, { codec })
    if (fate === 0) transaction.abort()
    else {
      transaction.commit()
      note(base)
    }
  }

  /** @param isStrict under a schema that refuses the doubtful records */
  async runProcess(isStrict = this.random() < 0.5): Promise<void> {
    const config = new IngestConfig([
      pipelineConfig({ batchSize: 1 + this.pick(60), checkpointInterval: 1 + this.pick(5), isStrict }),
    ])
    const processor = new StreamIngestProcessor(config, {
      runtime: this.runtime,
      createStore: () => this.store,
      createSource: () =>
        this.kafka.createSource({
          topics: ['t'],
          consumerGroup: 'g',
          maxPartitionBytes: 1 + this.pick(4096),
        }),
      threads: Array.from({ length: this.pick(4) }, () => new LocalThread(this.runtime)),
    })
    const { failures } = await processor.processStream({ untilLatest: true })
    for (const { error } of failures) this.assertExpectedFailure(error)
  }

  /** Takes back what fits, a few records at a time. */
  async replay(isStrict: boolean): Promise<void> {
    const config = pipelineConfig({ batchSize: 60, checkpointInterval: 1 + this.pick(5), isStrict })
    try {
      const result = await replayQuarantine(config, {
        runtime: this.runtime,
        store: this.store,
        batchRecords: 1 + this.pick(8),
      })
      assert.equal(result.tried, result.replayed + result.misfits)
      met.replayed += result.replayed
    } catch (error) {
      met.replaysFailed++
      this.assertExpectedFailure(error)
    }
  }

  /** Dead processes and stores that do not answer are part of the scenario; anything else is a bug. */
  private assertExpectedFailure(error: unknown): void {
    for (let at = error; at instanceof Error; at = at.cause) {
      if (at instanceof InjectedCrash || (at as { code?: string }).code?.startsWith('STORE_')) return
    }
    throw error
  }

  /** Each record is once in the table or, if it is a bad one, waits in its quarantine. */
  async assertExactlyOnce(): Promise<void> {
    const rows = await this.places('t')
    const quarantined = await this.places('t_quarantine')
    const marked = await this.places('t_quarantine', true)
    assert.deepEqual(
      marked.filter(place => this.poison.has(place)),
      [],
      'a bad record counts as replayed',
    )
    const all = this.expected.flatMap((offsets, partition) =>
      [...offsets].map(offset => `${partition}@${offset}`),
    )
    assert.deepEqual([...rows, ...quarantined].sort(), all.sort(), 'each record is somewhere, once')
    assert.deepEqual(
      rows.filter(place => this.poison.has(place)),
      [],
      'a bad record is in the table',
    )
    const sound = quarantined.filter(place => !this.poison.has(place) && !this.doubtful.has(place))
    assert.deepEqual(sound, [], 'a sound record is in the quarantine')
  }

  /** Of the table's rows, or of those of the quarantine that wait, or that were replayed. */
  private async places(table: string, replayed = false): Promise<string[]> {
    const snapshot = await loadSnapshot(this.store.at(table))
    const places: string[] = []
    if (snapshot === null) return places
    const isTable = table === 't'
    const place = isTable ? ['_kafka_partition', '_kafka_offset'] : ['partition', 'offset']
    const columns = isTable ? place : [...place, 'replayed_at']
    for await (const rows of scanTable(snapshot, { columns })) {
      for (const row of rows) {
        if (isTable || (row.replayed_at !== null) === replayed)
          places.push(place.map(column => String(row[column])).join('@'))
      }
    }
    return places
  }

  /** What a schema takes that is not strict is in the table. */
  async assertAllReplayed(): Promise<void> {
    assert.deepEqual((await this.places('t_quarantine')).sort(), [...this.poison].sort())
  }

  async assertSound(): Promise<void> {
    for (const table of ['t', 't_quarantine']) {
      const store = this.store.at(table)
      if ((await loadSnapshot(store)) === null) continue
      const { findings } = await checkTable(store, { deep: true, nowMs: this.runtime.now() })
      assert.deepEqual(findings, [], table)
    }
  }
}

function pipelineConfig(options: {
  batchSize: number
  checkpointInterval: number
  isStrict: boolean
}): PipelineConfig {
  const [pipeline] = IngestConfig.parse(`
kafka: { bootstrap_servers: "memory:9092", topic: t, consumer_group: g }
local: { path: /unused }
delta:
  table_name: t
  partition_columns: [date]
  checkpoint_interval: ${options.checkpointInterval}
  schema:
    - { name: id, data_type: int64, nullable: false }
    - { name: kind, data_type: utf8, nullable: ${!options.isStrict} }
processing: { batch_size: ${options.batchSize}, batch_timeout_ms: 1000, on_bad_record: quarantine }
`).pipelines
  return pipeline!
}

/** Scenarios in which nobody fails, is fenced or replays would prove nothing. */
const met = { commits: 0, fenced: 0, failed: 0, quarantined: 0, replayed: 0, replaysFailed: 0 }

suite('whatever fails, and however many run, each message is in the table once', () => {
  const subscriptions = [
    subscribe('commit:committed', () => met.commits++),
    subscribe('commit:conflicted', () => met.fenced++),
    subscribe('quarantine:committed', () => met.quarantined++),
    subscribe('pipeline:failed', () => met.failed++),
  ]
  after(() => {
    for (const end of subscriptions) end()
    if (ONLY_SEED !== undefined) return
    assert(met.commits > 100 && met.fenced > 10 && met.failed > 10, JSON.stringify(met))
    assert(met.quarantined > 100 && met.replayed > 10 && met.replaysFailed > 5, JSON.stringify(met))
  })
  const seeds =
    ONLY_SEED === undefined ? Array.from({ length: SEED_COUNT }, (_, i) => i + 1) : [Number(ONLY_SEED)]
  for (const seed of seeds) {
    test(`scenario ${seed} (repeat with SIMULATION_SEED=${seed})`, { timeout: SCENARIO_MAX_MS }, async () => {
      const scenario = new Scenario(seed)
      for (let round = 0; round < ROUNDS; round++) {
        scenario.produce()
        // The first round creates the table and proves the store, so that the others have something to break.
        scenario.isFaulty = round > 0
        const processes = 1 + scenario.pick(3)
        await Promise.all(
          Array.from({ length: processes }, () => {
            if (round === 0) return scenario.runProcess(false)
            return scenario.random() < REPLAY_SHARE
              ? scenario.replay(scenario.random() < 0.5)
              : scenario.runProcess()
          }),
        )
        scenario.isFaulty = false
        if (scenario.random() < 0.5) scenario.store.deliverLateWrites()
      }
      scenario.produce()
      await scenario.runProcess()
      scenario.store.deliverLateWrites()
      await scenario.runProcess()
      await scenario.replay(true)
      await scenario.assertExactlyOnce()
      await scenario.replay(false)
      await scenario.assertExactlyOnce()
      await scenario.assertAllReplayed()
      await scenario.assertSound()
    })
  }
})
