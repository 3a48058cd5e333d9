import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { checkTable, FaultQueue, MemoryObjectStore, systemRuntime } from '@stream-ingest/delta'
import { ConfigError } from '../../src/error.ts'
import type { CareResult } from '../../src/lambda/care.ts'
import type { DrainResult } from '../../src/lambda/drain.ts'
import { createHandler, type HandlerOptions } from '../../src/lambda/handler.ts'
import { MemoryKafka, type MemorySourceOptions } from '../../src/testing/memory-source.ts'
import {
  type ConfigParts,
  ingestConfig,
  message,
  messages,
  places,
  rowPlaces,
} from '../pipeline/table-fixture.ts'
import { context, kafkaEvent, Lines, ManualClock } from './lambda-fixture.ts'

/** A topic `t` of two partitions, ten messages in each. */
async function setUp(
  parts: ConfigParts = {},
  options: Partial<HandlerOptions> = {},
  source: Partial<MemorySourceOptions> = {},
) {
  const runtime = options.runtime ?? systemRuntime
  const faults = new FaultQueue()
  const store = new MemoryObjectStore({ now: runtime.now, faults: faults.hook })
  const kafka = new MemoryKafka(runtime)
  kafka.createTopic('t', 2)
  const produce = (from: number, to: number, partition: number): void => {
    for (let id = from; id < to; id++) {
      kafka.produce('t', partition, [{ value: Buffer.from(`{"id":${id}}`), timestampMs: runtime.now() }])
    }
  }
  produce(0, 10, 0)
  produce(0, 10, 1)
  const output = new Lines()
  const handler = await createHandler(ingestConfig(parts), {
    runtime,
    output,
    environment: {},
    createStore: () => store,
    createSource: ({ kafka: { topics, assignment } }) =>
      kafka.createSource({
        topics,
        ...(typeof assignment === 'string' ? {} : { partitions: assignment.partitions }),
        ...source,
      }),
    ...options,
  })
  return { faults, store, kafka, produce, output, handler, table: store.at('events') }
}

suite('an invocation that pulls', () => {
  test('drains what is there, answers in plain JSON, and the next one goes on', async () => {
    const { handler, table, produce, output } = await setUp()
    const first = (await handler({}, context())) as DrainResult
    assert.deepEqual(JSON.parse(JSON.stringify(first)), first)
    assert.deepEqual([first.success, first.caughtUp, first.lag, first.rows], [true, true, 0, 20])
    const [pipeline] = first.pipelines as { partitions: unknown[] }[]
    assert.deepEqual(pipeline!.partitions, [
      { topic: 't', partition: 0, fromOffset: 0, nextOffset: 10, lag: 0 },
      { topic: 't', partition: 1, fromOffset: 0, nextOffset: 10, lag: 0 },
    ])
    produce(10, 12, 1)
    assert.equal(((await handler(null, context())) as DrainResult).rows, 2)
    assert.equal(((await handler(undefined, context())) as DrainResult).rows, 0)
    assert.deepEqual(await rowPlaces(table), [...places(0, 10), ...places(0, 12, 1)])
    assert.equal(output.metric('Rows'), 22)
    assert(output.documents.every(({ requestId }) => requestId === 'request-1'))
  })

  test('reads the partitions that the event names, and no others', async () => {
    const { handler, table } = await setUp()
    await handler({ partitions: [1] }, context())
    assert.deepEqual(await rowPlaces(table), places(0, 10, 1))
    await handler({ partitions: [0] }, context())
    assert.deepEqual(await rowPlaces(table), [...places(0, 10), ...places(0, 10, 1)])
  })

  test('writes nothing in a dry run', async () => {
    const { handler, store } = await setUp()
    const { rows } = (await handler({ dry_run: true }, context())) as DrainResult
    assert.equal(rows, 20)
    for await (const { key } of store.list('')) assert.fail(`wrote ${key}`)
  })

  test('stops fetching while there is time to commit, and says that it is not caught up', async () => {
    const clock = new ManualClock()
    let reads = 0
    const { handler, table, produce } = await setUp(
      {},
      {
        runtime: clock,
      },
      {
        // A batch at a time, each of which takes ten seconds.
        maxPartitionBytes: 1,
        beforeCall: async call => {
          if (call !== 'read') return
          reads++
          clock.nowMs += 10_000
          await clock.tick()
        },
      },
    )
    for (let i = 10; i < 100; i++) produce(i, i + 1, 0)
    const startedMs = clock.nowMs
    const answer = (await handler(
      {},
      context(() => startedMs + 120_000 - clock.nowMs),
    )) as DrainResult
    assert.deepEqual([answer.success, answer.caughtUp], [true, false])
    assert.equal((await rowPlaces(table)).length, answer.rows)
    assert(answer.lag! > 0 && answer.rows > 0)
    assert(reads <= 11, `fetched ${reads} times in 100 s`)
  })

  test('fails with the name, code and hint of what went wrong, after committing what it could', async () => {
    const { handler, kafka, table, output } = await setUp()
    kafka.produce('t', 0, [{ value: Buffer.from('no JSON') }])
    await assert.rejects(handler({}, context()), error => {
      assert(error instanceof Error)
      assert.equal(error.name, 'SerializationError')
      assert.match(error.message, /^RECORD_NOT_JSON: t\[0\]@10 .*\(nothing from t\[0\]@10 on is in the table/)
      return true
    })
    assert.deepEqual((await rowPlaces(table)).slice(0, 10), places(0, 10))
    const failed = output.documents.find(({ event }) => event === 'invocation-failed')
    assert.equal(failed?.code, 'RECORD_NOT_JSON')
    assert.equal(output.metric('Failures'), 1)
  })

  test('answers before it is killed, whatever hangs', async () => {
    const clock = new ManualClock()
    const { handler } = await setUp(
      {},
      {
        runtime: clock,
      },
      { beforeCall: () => new Promise(() => {}) },
    )
    const startedMs = clock.nowMs
    let isOver = false
    const answer = handler(
      {},
      context(() => startedMs + 60_000 - clock.nowMs),
    ).finally(() => {
      isOver = true
    })
    const refused = assert.rejects(answer, { name: 'LambdaError', message: /^LAMBDA_DEADLINE: / })
    while (!isOver) await clock.tick()
    await refused
    const leftMs = startedMs + 60_000 - clock.nowMs
    assert(leftMs > 0, 'the answer came in time')
  })

  test('refuses an event that it does not understand', async () => {
    const { handler } = await setUp()
    await assert.rejects(handler({ pipelines: ['event'] }, context()), {
      name: 'LambdaError',
      message: /^LAMBDA_EVENT: there is no pipeline `event` \(did you mean `events`\?\)/,
    })
    await assert.rejects(handler({ Records: [] }, context()), { name: 'LambdaError', message: /`Records`/ })
  })
})

suite('an invocation', () => {
  test('tells health without writing', async () => {
    const { handler, store } = await setUp()
    assert.deepEqual(await handler({ health_check: true }, context()), {
      healthy: true,
      parts: [
        { name: 'events kafka', healthy: true, detail: '2 partitions' },
        { name: 'events table', healthy: true, detail: 'not created yet' },
      ],
    })
    for await (const { key } of store.list('')) assert.fail(`wrote ${key}`)
  })

  test('of a Kafka trigger writes its batch, and survives a failure', async () => {
    const { handler, table, faults, output } = await setUp()
    const event = (from: number, to: number): unknown => kafkaEvent(messages(from, to))
    assert.deepEqual(await handler(event(0, 3), context()), { batchItemFailures: [] })
    faults.add('put', { kind: 'throttled' })
    await assert.rejects(handler(event(3, 5), context()), { name: 'S3Error' })
    assert.deepEqual(await handler(event(3, 5), context()), { batchItemFailures: [] })
    assert.deepEqual(await handler(kafkaEvent([message(5, '{')]), context()), {
      batchItemFailures: [{ itemIdentifier: { partition: 't-0', offset: 5 } }],
    })
    assert.deepEqual(await rowPlaces(table), places(0, 5))
    assert.deepEqual([output.metric('Rows'), output.metric('BadRecords')], [5, 1])
  })

  test('that asks for care compacts the small files of each table once, and no message is touched', async () => {
    const clock = new ManualClock()
    const { handler, table, store } = await setUp({}, { runtime: clock })
    for (let i = 0; i < 9; i++) await handler(kafkaEvent([message(i)]), context())
    const busy = (await handler({ optimize: true }, context())) as CareResult
    assert.equal(busy.tables[0]!.optimize!.filesRemoved, 0, 'the partition is still being written')
    clock.nowMs += 3_600_000
    const before = await rowPlaces(table)
    const answer = (await handler({ optimize: true, vacuum: true }, context())) as CareResult
    assert.deepEqual(answer, {
      success: true,
      finished: true,
      tables: [
        {
          table: table.uri,
          optimize: { ...answer.tables[0]!.optimize!, filesRemoved: 9, filesAdded: 1, conflicts: 0 },
          vacuum: { filesRemoved: 0, filesAdded: 0, bytesRemoved: 0, bytesAdded: 0, conflicts: 0 },
        },
      ],
    })
    assert.deepEqual(await rowPlaces(table), before)
    const again = (await handler({ optimize: true }, context())) as CareResult
    assert.equal(again.tables[0]!.optimize!.filesRemoved, 0)
    await checkTable(store.at('events'))
  })

  test('that asks for care and has no time for it says so, and fails where there is no table', async () => {
    const { handler } = await setUp()
    await assert.rejects(handler({ optimize: true }, context()), {
      name: 'DeltaError',
      message: /^DELTA_TABLE_NOT_FOUND: /,
    })
    for (let i = 0; i < 9; i++) await handler(kafkaEvent([message(i)]), context())
    const clock = { leftMs: 60_000 }
    const stopped = handler(
      { optimize: true },
      // Between the start and the first look at the clock everything but a little has gone by.
      context(() => {
        const { leftMs } = clock
        clock.leftMs = 10_000
        return leftMs
      }),
    )
    assert.equal(((await stopped) as CareResult).finished, false)
  })

  test('uses another configuration only where the function allows it', async () => {
    const { handler } = await setUp()
    await assert.rejects(handler({ config_path: '/etc/passwd' }, context()), { message: /allows none/ })
    const folder = await mkdtemp(join(tmpdir(), 'lambda-config-'))
    try {
      const allowed = (await setUp({}, { configPathPrefix: `${folder}/` })).handler
      for (const path of ['/etc/passwd', `${folder}/../x.yaml`]) {
        await assert.rejects(allowed({ config_path: path }, context()), { message: /is not below/ })
      }
      await assert.rejects(allowed({ config_path: `${folder}/missing.yaml` }, context()), {
        name: 'ConfigError',
        message: /^CONFIG_NOT_FOUND/,
      })
      const yaml = `
kafka: { bootstrap_servers: "memory:9092", topic: t, consumer_group: other }
local: { path: /unused }
delta: { table_name: others, schema: [{ name: id, data_type: int64 }] }
`
      await writeFile(join(folder, 'other.yaml'), yaml)
      const answer = (await allowed({ config_path: `${folder}/other.yaml` }, context())) as DrainResult
      assert.deepEqual(
        answer.pipelines.map(pipeline => (pipeline as { name: string }).name),
        ['others'],
      )
    } finally {
      await rm(folder, { recursive: true })
    }
  })
})

suite('a handler', () => {
  test('is made of a path, a URL, a text or what INGEST_CONFIG names, and refuses a bad one at once', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'lambda-config-'))
    try {
      const file = join(folder, 'pipelines.yaml')
      const yaml = `
kafka: { bootstrap_servers: "\${BROKERS}", topic: t, consumer_group: g }
local: { path: /unused }
delta: { table_name: events, schema: [{ name: id, data_type: int64 }] }
`
      await writeFile(file, yaml)
      const environment = { BROKERS: 'a:9092' }
      for (const source of [file, pathToFileURL(file), yaml])
        assert.equal(typeof (await createHandler(source, { environment })), 'function')
      const fromEnv = createHandler(undefined, { environment: { ...environment, INGEST_CONFIG: file } })
      assert.equal(typeof (await fromEnv), 'function')
      await assert.rejects(createHandler(undefined, { environment }), { code: 'CONFIG_NOT_FOUND' })
      await assert.rejects(createHandler(file, { environment: {} }), error => {
        assert(error instanceof ConfigError)
        assert.match(error.message, /BROKERS/)
        return true
      })
    } finally {
      await rm(folder, { recursive: true })
    }
  })
})
