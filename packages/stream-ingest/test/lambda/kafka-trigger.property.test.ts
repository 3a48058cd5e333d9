import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { FaultQueue, loadSnapshot, MemoryObjectStore, readCommit, scanTable } from '@stream-ingest/delta'
import fc from 'fast-check'
import type { KafkaMessage } from '../../src/kafka/message-batch.ts'
import { parseEvent } from '../../src/lambda/event.ts'
import type { KafkaEventResponse } from '../../src/lambda/kafka-trigger.ts'
import { KafkaTrigger } from '../../src/lambda/kafka-trigger.ts'
import { DeltaWriter } from '../../src/pipeline/delta-writer.ts'
import { MemoryKafka } from '../../src/testing/memory-source.ts'
import {
  type ConfigParts,
  consumeAll,
  fixedRuntime,
  ingestConfig,
  memoryStore,
  message,
  messages,
  pipelineConfig,
  places,
  rowPlaces,
} from '../pipeline/table-fixture.ts'
import { kafkaEvent } from './lambda-fixture.ts'

function setUp(parts: ConfigParts = {}, store?: MemoryObjectStore) {
  const runtime = fixedRuntime()
  const lake = store ?? memoryStore(runtime)
  const config = ingestConfig(parts)
  const open = () => new KafkaTrigger(config, { runtime, createStore: () => lake })
  const send = (trigger: KafkaTrigger, batch: readonly KafkaMessage[]): Promise<KafkaEventResponse> => {
    const request = parseEvent(JSON.parse(JSON.stringify(kafkaEvent(batch))))
    assert(request.kind === 'kafka')
    return trigger.write(request.event)
  }
  return { runtime, lake, table: lake.at('events'), open, send }
}

function failures({ batchItemFailures }: KafkaEventResponse): [string, number][] {
  return batchItemFailures.map(({ itemIdentifier: { partition, offset } }) => [partition, offset])
}

suite('a Kafka trigger', () => {
  test('commits a batch once, however often it comes', async () => {
    const { table, open, send } = setUp()
    const trigger = open()
    for (let i = 0; i < 3; i++) assert.deepEqual(failures(await send(trigger, messages(0, 10))), [])
    assert.deepEqual(failures(await send(open(), messages(5, 15))), [])
    assert.deepEqual(await rowPlaces(table), places(0, 15))
    assert.equal(await readCommit(table, 3), null, 'a batch that is stored makes no commit')
  })

  test('counts a bad record as stored where it goes into the quarantine', async () => {
    const { lake, table, open, send } = setUp({ processing: '{ on_bad_record: quarantine }' })
    const batch = [message(0), message(1, 'no JSON'), message(2), message(0, '{', 1)]
    for (const trigger of [open(), open()]) assert.deepEqual(failures(await send(trigger, batch)), [])
    assert.deepEqual(await rowPlaces(table), ['0@0000', '0@0002'])
    const snapshot = (await loadSnapshot(lake.at('events_quarantine')))!
    const quarantined: string[] = []
    for await (const rows of scanTable(snapshot)) {
      for (const { partition, offset } of rows) quarantined.push(`${partition}@${offset}`)
    }
    assert.deepEqual(quarantined.sort(), ['0@1', '1@0'])
  })

  test('fails as a whole at more bad records than the configuration allows', async () => {
    const { open, send } = setUp({ processing: '{ on_bad_record: quarantine, max_bad_records: 1 }' })
    const trigger = open()
    await assert.rejects(send(trigger, [message(0), message(1, '{'), message(2, '{'), message(3)]), {
      code: 'RECORD_LIMIT',
    })
    // What came before stands; the rest has a count of its own.
    assert.deepEqual(failures(await send(trigger, [message(1, '{'), message(2, '{'), message(3)])), [])
  })

  test('puts records in order, and passes gaps that filters leave', async () => {
    const { table, open, send } = setUp()
    const trigger = open()
    await send(trigger, [message(3), message(1), message(2), message(2)])
    await send(trigger, [message(9), message(7)])
    assert.deepEqual(
      await rowPlaces(table),
      [1, 2, 3, 7, 9].map(offset => places(offset, offset + 1)[0]),
    )
  })

  test('ends only the partition of a bad record, after what came before it', async () => {
    const { table, open, send } = setUp()
    const batch = [
      ...messages(0, 2),
      message(2, 'no JSON'),
      ...messages(3, 5),
      message(0, '{"id":null}', 1),
      ...messages(1, 3, 1),
      ...messages(0, 4, 2),
    ]
    const trigger = open()
    assert.deepEqual(failures(await send(trigger, batch)), [
      ['t-0', 2],
      ['t-1', 0],
    ])
    assert.deepEqual(await rowPlaces(table), [...places(0, 2), ...places(0, 4, 2)])
    // The failure destination took the bad one; the trigger goes on behind it.
    assert.deepEqual(failures(await send(trigger, messages(3, 5))), [])
    assert.deepEqual(await rowPlaces(table), [...places(0, 2), ...places(3, 5), ...places(0, 4, 2)])
  })

  test('skips bad records where the configuration says so', async () => {
    const { table, open, send } = setUp({ processing: '{ on_bad_record: skip }' })
    assert.deepEqual(failures(await send(open(), [message(0), message(1, '['), message(2)])), [])
    assert.deepEqual(await rowPlaces(table), [...places(0, 1), ...places(2, 3)])
  })

  test('stores nothing in a dry run, and asks for nothing again', async () => {
    const { lake, open, send } = setUp({ processing: '{ dry_run: true }' })
    assert.deepEqual(failures(await send(open(), messages(0, 3))), [])
    for await (const { key } of lake.list('')) assert.fail(`wrote ${key}`)
  })

  test('fails as a whole where the store does, and the same batch later is right', async () => {
    const faults = new FaultQueue()
    const runtime = fixedRuntime()
    const store = new MemoryObjectStore({ now: runtime.now, faults: faults.hook })
    const { table, open, send } = setUp({}, store)
    await send(open(), messages(0, 1))
    faults.add('put', { kind: 'throttled' })
    await assert.rejects(send(open(), messages(1, 5)), /throttled|503/i)
    assert.deepEqual(failures(await send(open(), messages(1, 5))), [])
    assert.deepEqual(await rowPlaces(table), places(0, 5))
  })

  test('refuses a topic that no pipeline reads', async () => {
    const { open, send } = setUp()
    await assert.rejects(send(open(), [{ ...message(0), topic: 'other' }]), {
      code: 'LAMBDA_EVENT',
      message: /no pipeline reads the topic `other`/,
    })
  })

  test('refuses a table whose offsets were written by reading Kafka, and the other way round', async () => {
    const pulled = setUp()
    const kafka = new MemoryKafka(pulled.runtime)
    kafka.createTopic('t')
    kafka.produce('t', 0, [{ value: Buffer.from('{"id":0}') }])
    const config = pipelineConfig()
    const byId = (lake: MemoryObjectStore) =>
      new DeltaWriter(config, { store: lake, runtime: pulled.runtime })
    await byId(pulled.lake).writeBatch(await consumeAll(kafka))
    await assert.rejects(pulled.send(pulled.open(), messages(1, 2)), { code: 'TABLE_OFFSETS_MIXED' })
    const pushed = setUp()
    await pushed.send(pushed.open(), messages(0, 1))
    await assert.rejects(byId(pushed.lake).writeBatch(await consumeAll(kafka)), {
      code: 'TABLE_OFFSETS_MIXED',
    })
  })
})

/** What the poller of one partition does next. */
type Step = {
  readonly partition: number
  readonly count: number
  /** Batches that come again, from as far back. */
  readonly again: number
  readonly shuffled: boolean
  /** The same batch to so many functions at once. */
  readonly at: number
  readonly isFresh: boolean
  readonly fault: boolean
}

suite('whatever a Kafka trigger delivers', () => {
  const step: fc.Arbitrary<Step> = fc.record({
    partition: fc.nat({ max: 2 }),
    count: fc.integer({ min: 1, max: 6 }),
    again: fc.nat({ max: 8 }),
    shuffled: fc.boolean(),
    at: fc.integer({ min: 1, max: 3 }),
    isFresh: fc.boolean(),
    fault: fc.boolean(),
  })

  test('each message is in the table once, and what is not is reported', async () => {
    const property = fc.asyncProperty(
      fc.array(step, { minLength: 1, maxLength: 12 }),
      fc.uniqueArray(fc.nat({ max: 30 }), { maxLength: 4 }),
      fc.boolean(),
      fc.infiniteStream(fc.nat()),
      async (steps, poison, hasFilter, chance) => {
        const random = (max: number): number => chance.next().value % max
        const faults = new FaultQueue()
        const clock = fixedRuntime()
        const { table, open, send } = setUp(
          {},
          new MemoryObjectStore({ now: clock.now, faults: faults.hook }),
        )
        let trigger = open()
        const isPoison = (offset: number): boolean => poison.includes(offset)
        const payload = (offset: number): string | undefined => (isPoison(offset) ? 'not JSON' : undefined)
        /** Where each partition's poller stands. */
        const positions = [0, 0, 0]
        const stored = new Set<string>()
        for (const each of steps) {
          const { partition: p } = each
          const from = Math.max(0, positions[p]! - each.again)
          const offsets = Array.from({ length: positions[p]! + each.count - from }, (_, i) => from + i)
          let batch = offsets
            .filter(o => !(hasFilter && o % 3 === 0))
            // What went to the failure destination does not come again.
            .filter(o => o >= positions[p]! || !isPoison(o))
            .map(o => message(o, payload(o), p))
          if (batch.length === 0) continue
          if (each.shuffled) batch = batch.toSorted(() => random(3) - 1)
          if (each.isFresh) trigger = open()
          if (each.fault) faults.add('putIfAbsent', { kind: 'lost-answer' })
          const others = Array.from({ length: each.at - 1 }, open)
          const answers = await Promise.allSettled([trigger, ...others].map(one => send(one, batch)))
          const good = answers.flatMap(answer => (answer.status === 'fulfilled' ? [answer.value] : []))
          if (good.length === 0) continue
          const first = batch
            .map(({ offset }) => Number(offset))
            .filter(isPoison)
            .sort((a, b) => a - b)[0]
          for (const answer of good) {
            assert.deepEqual(failures(answer), first === undefined ? [] : [[`t-${p}`, first]])
          }
          for (const { offset } of batch) {
            if (first === undefined || Number(offset) < first)
              stored.add(places(Number(offset), Number(offset) + 1, p)[0]!)
          }
          // From the failed one on it comes again; after that it goes to the failure destination.
          positions[p] = first === undefined ? positions[p]! + each.count : first + 1
        }
        const rows = stored.size === 0 ? [] : await rowPlaces(table)
        assert.deepEqual(rows, [...stored].sort())
      },
    )
    await fc.assert(property, { numRuns: Number(process.env.PROPERTY_RUNS ?? 100) })
  })
})
