import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { checkTable, loadSnapshot, MemoryObjectStore, scanTable } from '@stream-ingest/delta'
import { freeBytes } from '@stream-ingest/delta/column'
import fc from 'fast-check'
import { IngestConfig } from '../../src/config/config.ts'
import type { MessageSource, SourceChunk } from '../../src/kafka/message-source.ts'
import { type IngestEvents, subscribe } from '../../src/observe/event.ts'
import { PART_MAX_BYTES } from '../../src/pipeline/part-queue.ts'
import { type ProcessingResult, StreamIngestProcessor } from '../../src/pipeline/stream-ingest-processor.ts'
import type { DecodeThread } from '../../src/pipeline/thread-pool.ts'
import { MemoryKafka } from '../../src/testing/memory-source.ts'
import { LocalThread } from './local-thread.ts'
import { fixedRuntime, NOW_MS } from './table-fixture.ts'

const DAY_MS = 86_400_000
const RUNS = 60

type Kind = 'sound' | 'other' | 'broken' | 'null'

interface Batch {
  readonly partition: number
  readonly kinds: readonly Kind[]
  readonly codec: 'none' | 'gzip' | 'snappy' | 'lz4' | 'zstd'
  readonly isAborted: boolean
}

interface Settings {
  readonly processing: string
  readonly mergeSchema?: boolean
  readonly writeMode?: string
}

/** A topic, and tables that it goes into, one for each run. */
class World {
  readonly runtime = fixedRuntime()
  readonly kafka = new MemoryKafka(this.runtime)
  /** Chunks that were read and not given back, over all runs. */
  readonly unreleased = new Set<SourceChunk>()

  constructor(partitions = 3) {
    this.kafka.createTopic('t', partitions)
  }

  produce({ partition, kinds, codec, isAborted }: Batch): void {
    const records = kinds.map((kind, i) => ({
      value: {
        sound: `{"id":${i},"kind":"k${i % 5}"}`,
        other: `{"id":${i},"kind":7,"more":{"a":[${i}]}}`,
        broken: `{"id":${i}`,
        null: null,
      }[kind],
      timestampMs: NOW_MS + (i % 3) * DAY_MS,
    }))
    if (!isAborted) {
      this.kafka.produce('t', partition, records, { codec })
      return
    }
    const transaction = this.kafka.createTransactionalProducer()
    transaction.produce('t', partition, records, { codec })
    transaction.abort()
  }

  /** The memory of its chunks is gone when they are released: a late reader finds nothing. */
  private createSource(): MessageSource {
    const source: MessageSource = this.kafka.createSource({
      topics: ['t'],
      maxPartitionBytes: 3 * PART_MAX_BYTES,
    })
    const read = source.read.bind(source)
    source.read = async budget => (await read(budget)).map(chunk => this.lend(chunk))
    return source
  }

  private lend(chunk: SourceChunk): SourceChunk {
    const batches = chunk.batches.map(batch => Uint8Array.from(batch))
    const release = (): void => {
      for (const batch of batches) freeBytes(batch)
      this.unreleased.delete(lent)
    }
    const lent: SourceChunk = { ...chunk, batches, release }
    this.unreleased.add(lent)
    return lent
  }

  async run(settings: Settings, threads: readonly DecodeThread[]): Promise<Outcome> {
    const store = new MemoryObjectStore({ now: this.runtime.now })
    const commits: IngestEvents['commit:committed'][] = []
    const end = subscribe('commit:committed', event => commits.push(event))
    try {
      const processor = new StreamIngestProcessor(configOf(settings), {
        runtime: this.runtime,
        createStore: () => store,
        createSource: () => this.createSource(),
        threads,
      })
      const result = await processor.processStream({ untilLatest: true })
      return { result, commits, ...(await contentOf(store)) }
    } finally {
      end()
    }
  }
}

interface Outcome {
  readonly result: ProcessingResult
  readonly commits: readonly IngestEvents['commit:committed'][]
  readonly rows: readonly Record<string, unknown>[]
  /** Columns of the table. */
  readonly columns: readonly string[]
  readonly quarantined: readonly string[]
}

function configOf({ processing, mergeSchema = false, writeMode = 'append' }: Settings): IngestConfig {
  return IngestConfig.parse(`
kafka: { bootstrap_servers: "memory:9092", topic: t, consumer_group: g }
local: { path: /unused }
delta:
  table_name: events
  partition_columns: [date]
  write_mode: ${writeMode}
  merge_schema: ${mergeSchema}
  schema: [{ name: id, data_type: int64, nullable: false }, { name: kind, data_type: utf8 }]
processing: ${processing}
`)
}

async function contentOf(
  store: MemoryObjectStore,
): Promise<Pick<Outcome, 'rows' | 'columns' | 'quarantined'>> {
  const table = store.at('events')
  const snapshot = await loadSnapshot(table)
  if (snapshot === null) return { rows: [], columns: [], quarantined: [] }
  const { findings } = await checkTable(table, { deep: true, nowMs: NOW_MS })
  assert.deepEqual(findings, [])
  const rows: Record<string, unknown>[] = []
  for await (const batch of scanTable(snapshot)) rows.push(...batch)
  rows.sort((a, b) => (placeOf(a) < placeOf(b) ? -1 : 1))
  const quarantined: string[] = []
  const quarantine = store.at('events_quarantine')
  if ((await loadSnapshot(quarantine)) !== null) {
    for await (const batch of scanTable((await loadSnapshot(quarantine))!)) {
      for (const { partition, offset, value, error_code: code } of batch) {
        quarantined.push(`${partition}@${offset} ${code} ${Buffer.from(value as Uint8Array).toString()}`)
      }
    }
  }
  const columns = snapshot.state.schema.fields.map(field => field.name).sort()
  return { rows, columns, quarantined: quarantined.sort() }
}

function placeOf(row: Record<string, unknown>): string {
  return `${row._kafka_partition}@${String(row._kafka_offset).padStart(8, '0')}`
}

/** What must not depend on who decodes. */
function told({ result, rows, columns, quarantined }: Outcome): unknown {
  const { metrics } = result
  const errors = result.failures.map(({ error }) => [error.code, error.context.offset])
  const { messages, rows: rowCount, badRecords, quarantined: quarantinedCount, skipped, filtered } = metrics
  const counts = { messages, rowCount, badRecords, quarantinedCount, skipped, filtered }
  const ends = result.pipelines[0]?.partitions.map(({ nextOffset }) => nextOffset)
  return { errors, counts, ends, rows, columns, quarantined }
}

const localThreads = (count: number): LocalThread[] => Array.from({ length: count }, () => new LocalThread())

const decodedOn = (thread: LocalThread): number => thread.kinds.filter(kind => kind === 'decode').length

suite('decoding on threads', () => {
  const kind = (poison: readonly Kind[]): fc.Arbitrary<Kind> =>
    fc.oneof({ weight: 12, arbitrary: fc.constant<Kind>('sound') }, ...poison.map(each => fc.constant(each)))
  const batches = (
    poison: readonly Kind[],
    partitions: number,
    isAborted: fc.Arbitrary<boolean>,
  ): fc.Arbitrary<Batch[]> =>
    fc.array(
      fc.record({
        partition: fc.nat(partitions - 1),
        kinds: fc.array(kind(poison), { minLength: 1, maxLength: 40 }),
        codec: fc.constantFrom('none', 'gzip', 'snappy', 'lz4', 'zstd'),
        isAborted,
      }),
      { maxLength: 12 },
    )

  const POLICIES: readonly (readonly [name: string, settings: Settings, poison: readonly Kind[]])[] = [
    ['good messages', { processing: '{ batch_size: 50 }' }, []],
    [
      'bad records left out',
      { processing: '{ batch_size: 50, on_bad_record: skip }' },
      ['broken', 'other', 'null'],
    ],
    [
      'bad records set aside',
      { processing: '{ batch_size: 30, on_bad_record: quarantine }' },
      ['broken', 'other'],
    ],
    ['a limit of bad records', { processing: '{ on_bad_record: skip, max_bad_records: 3 }' }, ['broken']],
    ['a bad record that ends the run', { processing: '{ batch_size: 20 }' }, ['broken']],
    ['tombstones as rows', { processing: '{ on_null_value: row, on_bad_record: skip }' }, ['null']],
    [
      'messages that add columns',
      { processing: '{ batch_size: 25, on_bad_record: skip }', mergeSchema: true },
      ['other'],
    ],
    [
      'a table that is replaced',
      { processing: '{ batch_size: 25, on_bad_record: quarantine }', writeMode: 'overwrite' },
      ['broken'],
    ],
  ]
  for (const [name, settings, poison] of POLICIES) {
    // What is read of other partitions before a run ends is not the same in every run.
    const partitions = name.startsWith('a limit') || name.startsWith('a bad record') ? 1 : 3
    // Aborted records before the place where an epoch is read again are counted nowhere, as after a restart.
    const isAborted = settings.mergeSchema === true ? fc.constant(false) : fc.boolean()
    test(`comes to what the main thread comes to: ${name}`, async () => {
      await fc.assert(
        fc.asyncProperty(
          batches(poison, partitions, isAborted),
          fc.integer({ min: 1, max: 4 }),
          async (topic, threadCount) => {
            const world = new World()
            for (const batch of topic) world.produce(batch)
            const inline = await world.run(settings, [])
            const threaded = await world.run(settings, localThreads(threadCount))
            assert.deepEqual(told(threaded), told(inline))
          },
        ),
        { numRuns: RUNS },
      )
    })
  }

  test('one topic partition keeps several threads busy, and a commit has `batch_size` messages', async () => {
    const world = new World(1)
    const kinds = Array<Kind>(30).fill('sound')
    for (let i = 0; i < 40; i++) {
      world.kafka.produce(
        't',
        0,
        kinds.map((_, n) => ({ value: `{"id":${n},"kind":"${'x'.repeat(2_000)}"}` })),
      )
    }
    const threads = localThreads(3)
    const { result, commits } = await world.run({ processing: '{ batch_size: 500 }' }, threads)
    assert.equal(result.success, true)
    assert.deepEqual(
      commits.map(({ rowCount }) => rowCount),
      [500, 500, 200],
    )
    for (const thread of threads) assert.ok(decodedOn(thread) > 0)
  })

  test('a few messages are one thread’s, so that they are one file', async () => {
    const world = new World(3)
    for (const partition of [0, 1, 2]) {
      world.produce({ partition, kinds: ['sound'], codec: 'none', isAborted: false })
    }
    const threads = localThreads(3)
    const { commits } = await world.run({ processing: '{}' }, threads)
    assert.deepEqual(
      commits.map(({ rowCount, fileCount }) => [rowCount, fileCount]),
      [[3, 2]],
    )
  })

  for (const threadCount of [0, 1, 3]) {
    test(`each chunk is given back when it is decoded, by ${threadCount} threads`, async () => {
      const world = new World(3)
      for (const codec of ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const) {
        for (const partition of [0, 1, 2]) {
          world.produce({
            partition,
            kinds: ['sound', 'broken', 'sound'],
            codec,
            isAborted: codec === 'zstd',
          })
        }
      }
      const settings = { processing: '{ batch_size: 4, on_bad_record: quarantine }' }
      const { result, rows } = await world.run(settings, localThreads(threadCount))
      assert.equal(result.success, true)
      assert.deepEqual([rows.length, world.unreleased.size], [24, 0])
    })
  }

  test('a batch that is larger than a task goes alone', async () => {
    const world = new World(1)
    const value = `{"id":1,"kind":"${'é'.repeat(PART_MAX_BYTES)}"}`
    world.kafka.produce('t', 0, [{ value }, { value: '{"id":2}' }])
    world.kafka.produce('t', 0, [{ value: '{"id":3}' }])
    const { rows } = await world.run({ processing: '{}' }, localThreads(2))
    assert.deepEqual(
      rows.map(({ id }) => id),
      [1n, 2n, 3n],
    )
    assert.equal(rows[0]!.kind, 'é'.repeat(PART_MAX_BYTES))
  })

  test('a damaged batch ends the run after what comes before it', async () => {
    const world = new World(1)
    for (let i = 0; i < 3; i++)
      world.produce({ partition: 0, kinds: ['sound'], codec: 'lz4', isAborted: false })
    world.kafka.corruptBatch('t', 0, 1n, { flipBit: 8 * 70 })
    const { result, rows } = await world.run({ processing: '{}' }, localThreads(2))
    assert.deepEqual(
      result.failures.map(({ error }) => error.code),
      ['KAFKA_CORRUPT_BATCH'],
    )
    assert.deepEqual(rows.map(placeOf), ['0@00000000'])
  })

  test('a thread that fails ends the run; the next one goes on from the table', async () => {
    const world = new World(1)
    for (let i = 0; i < 8; i++)
      world.produce({ partition: 0, kinds: ['sound'], codec: 'lz4', isAborted: false })
    const dying = new LocalThread()
    const { request } = dying
    let decodes = 0
    dying.request = async (kindOf, ...rest) => {
      if (kindOf === 'decode' && ++decodes > 3) throw new Error('out of memory')
      return request.call(dying, kindOf, ...rest) as never
    }
    const { result, rows } = await world.run({ processing: '{ batch_size: 2, max_retries: 0 }' }, [dying])
    assert.match(result.errors[0]!, /out of memory/)
    assert.ok(rows.length < 8 && rows.length % 2 === 0)
  })

  test('after an epoch that needs the main thread, threads go on', async () => {
    const world = new World(1)
    const thread = new LocalThread()
    world.produce({ partition: 0, kinds: ['sound', 'other'], codec: 'none', isAborted: false })
    for (let i = 0; i < 6; i++) {
      world.produce({ partition: 0, kinds: ['sound', 'sound'], codec: 'none', isAborted: false })
    }
    const settings = { processing: '{ batch_size: 2, on_bad_record: skip }', mergeSchema: true }
    const { result, columns } = await world.run(settings, [thread])
    assert.equal(result.success, true)
    assert.ok(columns.includes('more'))
    // The first epoch was taken back; those behind it were cut on the thread.
    assert.equal(thread.kinds.filter(each => each === 'cut').length, 6)
  })
})
