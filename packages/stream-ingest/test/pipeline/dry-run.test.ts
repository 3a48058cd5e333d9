import assert from 'node:assert/strict'
import { suite, type TestContext, test } from 'node:test'
import { MemoryObjectStore, type ObjectStore, systemRuntime } from '@stream-ingest/delta'
import { type RunCommandOptions, runCommand } from '../../src/cli/run.ts'
import { IngestConfig } from '../../src/config/config.ts'
import { createHandler } from '../../src/lambda/handler.ts'
import { type IngestEventName, subscribe } from '../../src/observe/event.ts'
import { DeltaWriter } from '../../src/pipeline/delta-writer.ts'
import { StreamIngestProcessor } from '../../src/pipeline/stream-ingest-processor.ts'
import { EmbeddedBroker } from '../../src/testing/index.ts'
import { context, kafkaEvent, Lines } from '../lambda/lambda-fixture.ts'
import { ReadOnlyStore } from './read-only-store.ts'
import { message, messages } from './table-fixture.ts'

interface ConfigChanges {
  readonly dryRun: boolean
  readonly delta?: string
  readonly group?: string
}

/** Everything on that writes beside the rows: care, the quarantine, growing schemas. */
function configOf(
  bootstrapServers: string,
  { dryRun, delta = '', group = 'g' }: ConfigChanges,
): IngestConfig {
  return IngestConfig.parse(`
kafka: { bootstrap_servers: "${bootstrapServers}", topic: t, consumer_group: ${group} }
local: { path: /unused }
delta:
  table_name: events
  merge_schema: true
  checkpoint_interval: 1
  optimize: { every: 1m, min_files: 2 }
  vacuum: { every: 1m }
  ${delta}
  schema: [{ name: id, data_type: int64, nullable: false }, { name: kind, data_type: utf8 }]
processing: { on_bad_record: quarantine, batch_size: 4, batch_timeout_ms: 20, dry_run: ${dryRun} }
`)
}

interface Scene {
  readonly broker: EmbeddedBroker
  /** Takes writes. */
  readonly lake: MemoryObjectStore
  /** The same, and takes none. */
  readonly readOnly: ReadOnlyStore
  /** Nothing was tried to be written, and nothing told of anything that is written. */
  assertNothingWritten(): void
}

/** A topic of ten records, one of which is bad and one of which has a new field. */
async function openScene(t: TestContext): Promise<Scene> {
  const broker = await EmbeddedBroker.start({ topics: [{ name: 't' }] })
  t.after(() => broker.close())
  const values = Array.from({ length: 10 }, (_, id) =>
    id === 3 ? 'no JSON' : id === 6 ? `{"id":${id},"added":1}` : `{"id":${id}}`,
  )
  broker.produce(
    't',
    0,
    values.map(value => ({ value })),
  )
  const lake = new MemoryObjectStore()
  const readOnly = new ReadOnlyStore(lake)
  const told: string[] = []
  const names: IngestEventName[] = [
    'commit:attempted',
    'commit:committed',
    'file:written',
    'checkpoint:written',
  ]
  for (const name of names) t.after(subscribe(name, () => told.push(name)))
  return {
    broker,
    lake,
    readOnly,
    assertNothingWritten() {
      assert.deepEqual(readOnly.refused, [])
      assert.deepEqual(told, [])
      assert.equal(broker.committedOffset('g', 't', 0), undefined, 'Kafka’s group was told')
    },
  }
}

/** Three small commits of another pipeline, so that this one has everything still to read. */
async function fillTable({ broker, lake }: Scene): Promise<void> {
  const writer = new DeltaWriter(configOf(broker.bootstrapServers, { dryRun: false, group: 'other' }), {
    store: lake,
  })
  for (const from of [100, 110, 120]) await writer.writeBatch(messages(from, from + 5, 1))
  await writer.close()
}

async function contentOf(store: ObjectStore): Promise<string[]> {
  const keys: string[] = []
  for await (const { key, sizeBytes } of store.list('')) keys.push(`${key} ${sizeBytes}`)
  return keys
}

const RUN: RunCommandOptions = {
  untilLatest: true,
  json: true,
  log: 'json',
  quiet: false,
  verbose: false,
  metricsPartitions: true,
  color: false,
}

/** `run --until-latest --json`; its document. */
async function runDry(config: IngestConfig, store: ObjectStore): Promise<Record<string, number>> {
  let stdout = ''
  let stderr = ''
  const refuse = (): never => assert.fail('the command ends the process')
  const exitCode = await runCommand(
    config,
    RUN,
    {
      stdout: { write: text => (stdout += text) },
      stderr: { write: text => (stderr += text) },
      env: {},
      cwd: '/',
      runtime: systemRuntime,
      onStopSignal: () => () => {},
      exit: refuse,
      kill: refuse,
    },
    { createStore: () => store },
  )
  assert.equal(exitCode, 0, stderr)
  return JSON.parse(stdout).metrics
}

suite('a dry run writes nothing', () => {
  for (const [what, isThere, delta] of [
    ['where there is no table', false, ''],
    ['to a table that exists', true, ''],
    ['where the table is to be replaced', true, 'write_mode: overwrite'],
  ] as const) {
    test(`by \`run\`, ${what}`, async t => {
      const scene = await openScene(t)
      if (isThere) await fillTable(scene)
      const before = await contentOf(scene.lake)
      const config = configOf(scene.broker.bootstrapServers, { dryRun: true, delta })
      const metrics = await runDry(config, scene.readOnly)
      assert.deepEqual(
        [metrics.messages, metrics.rows, metrics.badRecords, metrics.commits],
        [10, 9, 1, 0],
        'and says what it would write',
      )
      if (isThere) assert(metrics.bytesWritten! > 0, 'encoded, to be counted')
      assert.deepEqual(await contentOf(scene.lake), before)
      assert.deepEqual(scene.readOnly.refused, [])
      assert.equal(scene.broker.committedOffset('g', 't', 0), undefined)
    })
  }

  test('by the processor, nor do its health and its status', async t => {
    const scene = await openScene(t)
    const processor = new StreamIngestProcessor(configOf(scene.broker.bootstrapServers, { dryRun: true }), {
      createStore: () => scene.readOnly,
    })
    const result = await processor.processStream({ untilLatest: true })
    assert.deepEqual(result.errors, [])
    assert.equal((await processor.healthCheck()).healthy, true)
    await processor.status({ reconcile: true })
    await processor.close()
    scene.assertNothingWritten()
  })

  test('by a DeltaWriter: batches, a new table, compaction, VACUUM', async t => {
    const scene = await openScene(t)
    const config = configOf(scene.broker.bootstrapServers, { dryRun: true })
    const open = (): DeltaWriter => new DeltaWriter(config, { store: scene.readOnly })
    const fresh = open()
    assert.equal(await fresh.createTableIfNotExists(), false)
    assert.equal((await fresh.writeBatch([message(0), message(1, 'no JSON')])).rowsWritten, 1)
    await fresh.close()
    await fillTable(scene)
    const before = await contentOf(scene.lake)
    const writer = open()
    const { rowsWritten, badRecords, commits } = await writer.writeBatch(messages(0, 9))
    assert.deepEqual([rowsWritten, badRecords, commits], [9, 0, 0])
    assert((await writer.optimizeTable({ minFiles: 2 })).filesRemoved > 1, 'says what it would compact')
    await writer.vacuumTable(168)
    assert.equal((await writer.healthCheck()).ok, true)
    await writer.getTableMetrics()
    await writer.close()
    assert.deepEqual(scene.readOnly.refused, [])
    assert.deepEqual(await contentOf(scene.lake), before)
  })

  test('on Lambda: a drain, a trigger, care, a health check', async t => {
    const scene = await openScene(t)
    await fillTable(scene)
    const before = await contentOf(scene.lake)
    const handlerOf = (dryRun: boolean) =>
      createHandler(configOf(scene.broker.bootstrapServers, { dryRun }), {
        runtime: systemRuntime,
        output: new Lines(),
        environment: {},
        createStore: () => scene.readOnly,
      })
    const byEvent = (await (await handlerOf(false))({ dry_run: true }, context())) as { rows: number }
    assert.equal(byEvent.rows, 9)
    const handler = await handlerOf(true)
    assert.equal(((await handler({}, context())) as { rows: number }).rows, 9)
    assert.deepEqual(await handler(kafkaEvent(messages(0, 5)), context()), { batchItemFailures: [] })
    const care = (await handler({ optimize: true, vacuum: true }, context())) as {
      tables: { optimize: { filesRemoved: number } }[]
    }
    assert(care.tables[0]!.optimize.filesRemoved > 1, 'says what it would compact')
    await handler({ health_check: true }, context())
    assert.deepEqual(scene.readOnly.refused, [])
    assert.deepEqual(await contentOf(scene.lake), before)
    assert.equal(scene.broker.committedOffset('g', 't', 0), undefined)
  })
})
