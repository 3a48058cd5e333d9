import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { LambdaError } from '../../src/error.ts'
import { type DrainOptions, parseEvent } from '../../src/lambda/event.ts'
import { message } from '../pipeline/table-fixture.ts'
import { kafkaEvent } from './lambda-fixture.ts'

const ALL: DrainOptions = { dryRun: false, partitions: null, pipelines: null }

suite('an event', () => {
  test('of a schedule, or none at all, means to drain what is configured', () => {
    const schedule = {
      version: '0',
      id: 'a',
      'detail-type': 'Scheduled Event',
      source: 'aws.events',
      account: '1',
      time: '2026-01-01T00:00:00Z',
      region: 'eu-west-1',
      resources: [],
      detail: {},
    }
    for (const event of [null, undefined, {}, schedule, { ...schedule, source: 'aws.scheduler' }]) {
      assert.deepEqual(parseEvent(event), { kind: 'drain', options: ALL, configPath: null })
    }
  })

  test('may choose partitions and pipelines, and ask for a dry run, a health check or another configuration', () => {
    assert.deepEqual(
      parseEvent({ partitions: [0, 7], pipelines: ['a'], dry_run: true, config_path: 'x.yaml' }),
      {
        kind: 'drain',
        options: { dryRun: true, partitions: [0, 7], pipelines: ['a'] },
        configPath: 'x.yaml',
      },
    )
    assert.deepEqual(parseEvent({ health_check: true }), { kind: 'health-check', configPath: null })
    assert.deepEqual(parseEvent({ health_check: false }), { kind: 'drain', options: ALL, configPath: null })
  })

  test('may ask for care of the tables instead, in an order that is always the same', () => {
    assert.deepEqual(parseEvent({ vacuum: true, optimize: true, pipelines: ['a'] }), {
      kind: 'care',
      options: { operations: ['optimize', 'vacuum'], pipelines: ['a'] },
      configPath: null,
    })
    const { options } = parseEvent({ vacuum: true, optimize: false }) as { options: unknown }
    assert.deepEqual(options, { operations: ['vacuum'], pipelines: null })
  })

  test('that is not understood is refused, naming what and the way out', () => {
    const cases: [unknown, RegExp, RegExp?][] = [
      [[], /a list/],
      ['run', /a string/],
      [{ partition: [0] }, /`partition`/, /did you mean `partitions`\?/],
      [{ run: {} }, /`run`/, /`health_check`, `dry_run`/],
      [{ partitions: 0 }, /`partitions` is not a list/],
      [{ partitions: [] }, /`partitions`/],
      [{ partitions: [-1] }, /`partitions`/],
      [{ partitions: [1, 1] }, /`partitions`/],
      [{ pipelines: 'a' }, /`pipelines`/],
      [{ dry_run: 'yes' }, /`dry_run` is not `true` or `false`/],
      [{ optimize: {} }, /`optimize` is not `true` or `false`/],
      [{ optimize: true, dry_run: true }, /`dry_run` is of ingestion/, /leave one of them out/],
      [{ vacuum: true, partitions: [1] }, /`partitions` is of ingestion/],
      [{ config_path: 1 }, /`config_path` is not a text/],
      [{ Records: [{ eventSource: 'aws:sqs' }] }, /`aws:sqs`/, /Kafka trigger/],
      [{ Records: [{ EventSource: 'aws:sns' }] }, /`aws:sns`/],
      [{ eventSource: 'aws:rmq' }, /`aws:rmq`/],
      [{ records: {} }, /no `eventSource`/],
    ]
    for (const [event, message, hint] of cases) {
      assert.throws(
        () => parseEvent(event),
        error =>
          error instanceof LambdaError &&
          error.code === 'LAMBDA_EVENT' &&
          message.test(error.message) &&
          (hint === undefined || hint.test(error.hint)),
        JSON.stringify(event),
      )
    }
  })
})

suite('an event of a Kafka trigger', () => {
  const original = {
    ...message(15, '{"key":"välue"}', 3),
    keyBytes: Buffer.from('recordKey'),
    headerList: [
      ['a', Uint8Array.of(104, 101, 195, 171)],
      ['a', new Uint8Array(0)],
      ['b', null],
    ] as [string, Uint8Array | null][],
  }

  test('of either flavour holds its messages, headers in signed bytes included', () => {
    for (const flavour of ['msk', 'self-managed'] as const) {
      const request = parseEvent(kafkaEvent([original, message(2, null, 4)], flavour))
      assert(request.kind === 'kafka')
      const [first, second] = request.event.partitions
      assert.deepEqual([first!.identifier, first!.topic, first!.partition], ['t-3', 't', 3])
      const [read] = first!.messages
      assert.equal(read!.payload, original.payload)
      assert.equal(read!.key, 'recordKey')
      assert.equal(read!.offset, 15n)
      assert.equal(read!.timestamp, original.timestamp)
      assert.deepEqual(
        read!.headerList.map(([name, value]) => [name, value === null ? null : [...value]]),
        [
          ['a', [104, 101, 195, 171]],
          ['a', []],
          ['b', null],
        ],
      )
      assert.deepEqual([second!.messages[0]!.payloadBytes, second!.messages[0]!.keyBytes], [null, null])
    }
  })

  test('takes topic and partition from the records, not from the key: a name may hold a hyphen', () => {
    const request = parseEvent(kafkaEvent([{ ...message(1), topic: 'a-1-2' }]))
    assert(request.kind === 'kafka')
    assert.deepEqual(
      request.event.partitions.map(({ identifier, topic, partition }) => [identifier, topic, partition]),
      [['a-1-2-0', 'a-1-2', 0]],
    )
  })

  test('knows absent, null and empty values apart as far as they can be', () => {
    const record = { topic: 't', partition: 0, offset: 0, timestamp: -1, key: '' }
    const read = (value: Record<string, unknown>) => {
      const request = parseEvent({ eventSource: 'aws:kafka', records: { 't-0': [{ ...record, ...value }] } })
      assert(request.kind === 'kafka')
      return request.event.partitions[0]!.messages[0]!
    }
    assert.deepEqual([read({}).payloadBytes, read({ value: null }).payloadBytes], [null, null])
    assert.equal(read({ value: '' }).payloadBytes?.length, 0)
    assert.deepEqual([read({}).keyBytes, read({}).timestamp], [null, null])
  })

  test('that is malformed is refused, naming the place', () => {
    const good = { topic: 't', partition: 0, offset: 1, timestamp: 1, value: 'e30=', headers: [] }
    const cases: [unknown, RegExp][] = [
      [undefined, /`records` is not an object/],
      [[], /`records`/],
      [{ 't-0': {} }, /`records\["t-0"\]` is not a list/],
      [{ 't-0': [null] }, /`records\["t-0"\]\[0\]` is not an object/],
      [{ 't-0': [{ ...good, topic: 1 }] }, /\[0\]\.topic`/],
      [{ 't-0': [{ ...good, partition: -1 }] }, /\[0\]\.partition`/],
      [{ 't-0': [good, { ...good, offset: '2' }] }, /\[1\]\.offset`/],
      [{ 't-0': [{ ...good, offset: 2 ** 53 }] }, /2\^53/],
      [{ 't-0': [{ ...good, timestamp: 'now' }] }, /\.timestamp`/],
      [{ 't-0': [{ ...good, value: 'e30' }] }, /\.value` is not base64, or was cut off/],
      [{ 't-0': [{ ...good, value: 'e3*=' }] }, /\.value`/],
      [{ 't-0': [{ ...good, value: 5 }] }, /\.value`/],
      [{ 't-0': [{ ...good, headers: {} }] }, /\.headers`/],
      [{ 't-0': [{ ...good, headers: [{ a: [300] }] }] }, /\.headers\[0\]\.a`/],
      [{ 't-0': [{ ...good, headers: [{ a: 'x' }] }] }, /\.headers\[0\]\.a`/],
      [{ 't-0': [good, { ...good, partition: 1 }] }, /another topic or partition/],
    ]
    for (const [records, expected] of cases) {
      assert.throws(
        () => parseEvent({ eventSource: 'aws:kafka', records }),
        error => error instanceof LambdaError && expected.test(error.message),
        String(expected),
      )
    }
  })
})
