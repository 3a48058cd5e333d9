import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { Table } from 'apache-arrow'
import { ConfigError, SerializationError } from '../../src/error.ts'
import { convertToArrowBatch, createArrowSchema } from '../../src/pipeline/arrow-batch.ts'
import { MemoryKafka } from '../../src/testing/memory-source.ts'
import {
  consumeAll,
  fixedRuntime,
  ingestConfig,
  message,
  messages,
  NOW_MS,
  pipelineConfig,
} from './table-fixture.ts'

const withoutSchema = { ...pipelineConfig(), delta: { ...pipelineConfig().delta, schema: null, fields: [] } }

suite('convertToArrowBatch', () => {
  test('gives the rows that a table would get', () => {
    const config = ingestConfig()
    const batch = convertToArrowBatch([message(7, '{"id":9007199254740993,"kind":null}')], config)
    assert.deepEqual(batch.schema.fields.map(String), createArrowSchema(config).fields.map(String))
    const [row] = new Table([batch]).toArray()
    const { date, _kafka_timestamp, ...rest } = row!.toJSON()
    assert.deepEqual(rest, {
      id: 9_007_199_254_740_993n,
      kind: null,
      _kafka_topic: 't',
      _kafka_partition: 0,
      _kafka_offset: 7n,
    })
    assert.equal(new Date(date).toISOString().slice(0, 10), new Date(NOW_MS).toISOString().slice(0, 10))
    assert.equal(Number(_kafka_timestamp), NOW_MS)
  })

  test('takes consumed batches as well', async () => {
    const kafka = new MemoryKafka(fixedRuntime())
    kafka.createTopic('t', 2)
    for (const partition of [0, 1]) {
      kafka.produce('t', partition, [{ value: '{"id":1}', timestampMs: NOW_MS }], { codec: 'zstd' })
    }
    assert.equal(convertToArrowBatch(await consumeAll(kafka), pipelineConfig()).numRows, 2)
  })

  test('fails on a bad record, or leaves it out', () => {
    const mixed = [message(0), message(1, '{'), message(2, null), message(3)]
    assert.throws(() => convertToArrowBatch(mixed, pipelineConfig()), SerializationError)
    const lenient = pipelineConfig({ processing: '{ on_bad_record: skip }' })
    assert.equal(convertToArrowBatch(mixed, lenient).numRows, 2)
  })

  test('has no bound on table partitions', () => {
    const days = Array.from({ length: 5_000 }, (_, i) => ({ ...message(i), timestamp: i * 86_400_000 }))
    assert.equal(convertToArrowBatch(days, pipelineConfig()).numRows, 5_000)
  })

  test('of nothing is empty', () => {
    assert.equal(convertToArrowBatch([], pipelineConfig()).numRows, 0)
  })

  test('needs a schema', () => {
    assert.throws(() => convertToArrowBatch(messages(0, 1), withoutSchema), ConfigError)
    assert.throws(() => createArrowSchema(withoutSchema), /delta\.schema/)
  })
})
