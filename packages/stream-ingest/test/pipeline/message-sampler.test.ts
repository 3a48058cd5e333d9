import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { MessageSource, SourceChunk } from '../../src/kafka/message-source.ts'
import { readRecords } from '../../src/kafka/record-batch.ts'
import { RecordSlab } from '../../src/kafka/record-slab.ts'
import {
  MessageSampler,
  type OffsetSpan,
  SAMPLE_BYTES_MAX,
  type SampledMessage,
} from '../../src/pipeline/message-sampler.ts'
import { MemoryKafka } from '../../src/testing/memory-source.ts'
import { fixedRuntime } from './table-fixture.ts'

class Scene {
  readonly runtime = fixedRuntime()
  readonly kafka: MemoryKafka = new MemoryKafka(this.runtime)
  readonly decoded: bigint[] = []

  constructor() {
    this.kafka.createTopic('t', 2)
  }

  /** One batch. */
  produce(partition: number, count: number): void {
    this.kafka.produce(
      't',
      partition,
      Array.from({ length: count }, () => ({ value: 'v' })),
    )
  }

  /** Two offsets without a message to read. */
  abort(partition: number): void {
    const producer = this.kafka.createTransactionalProducer(`p${partition}`)
    producer.produce('t', partition, [{ value: 'v' }])
    producer.abort()
  }

  async open(): Promise<{ source: MessageSource; spans: OffsetSpan[] }> {
    const source = this.kafka.createSource({ topics: ['t'] })
    await source.open()
    const spans = Array.from(await source.endOffsets(), ([topicPartition, { startOffset, endOffset }]) => ({
      topicPartition,
      fromOffset: startOffset,
      untilOffset: endOffset,
    })).filter(({ fromOffset, untilOffset }) => untilOffset > fromOffset)
    return { source, spans }
  }

  sampler(source: MessageSource, messagesMax = 1000): MessageSampler<SampledMessage> {
    return new MessageSampler(source, this.runtime, (chunk, max) => this.decode(chunk, max), messagesMax)
  }

  private decode({ topicPartition, fromOffset, nextOffset, batches }: SourceChunk, max: number) {
    const { topic, partition } = topicPartition
    const slab = new RecordSlab()
    const found: SampledMessage[] = []
    for (const batch of batches) {
      readRecords(batch, slab, topic, partition)
      for (let i = 0; i < slab.count && found.length < max; i++) {
        const offset = slab.offsetAt(i)
        if (offset < fromOffset || offset >= nextOffset) continue
        this.decoded.push(offset)
        found.push({ topic, partition, offset })
      }
    }
    return found
  }
}

function placesOf(sampler: MessageSampler<SampledMessage>): string[] {
  return sampler.inOrder().map(({ partition, offset }) => `${partition}@${offset}`)
}

describe('a sample of messages', () => {
  test('is the last ones of each partition, and decodes no more than these', async () => {
    const scene = new Scene()
    scene.produce(0, 500)
    scene.produce(1, 2)
    const { source, spans } = await scene.open()
    const sampler = scene.sampler(source)
    assert.equal(await sampler.readLast(spans, 3), true)
    assert.deepEqual(placesOf(sampler), ['0@497', '0@498', '0@499', '1@0', '1@1'])
    assert.equal(scene.decoded.length, 5)
  })

  test('goes further back where offsets hold no message, a bounded number of times', async () => {
    const scene = new Scene()
    scene.produce(0, 5)
    for (let i = 0; i < 100; i++) scene.abort(0)
    const { source, spans } = await scene.open()
    const sampler = scene.sampler(source)
    assert.equal(await sampler.readLast(spans, 2), true)
    assert.deepEqual(placesOf(sampler), ['0@3', '0@4'])
    // Nothing but aborted transactions, more than it goes back for one message: 1 + 8 + 64 + 512 + 4096 + 32768 offsets.
    const empty = new Scene()
    empty.produce(0, 1)
    const far = empty.kafka.createTransactionalProducer('far')
    far.produce(
      't',
      0,
      Array.from({ length: 40_000 }, () => ({ value: 'v' })),
    )
    far.abort()
    const opened = await empty.open()
    const bounded = empty.sampler(opened.source)
    assert.equal(await bounded.readLast(opened.spans, 1), false)
    assert.deepEqual(placesOf(bounded), [])
  })

  test('is the first ones from an offset on, and decodes no more than it was asked for', async () => {
    const scene = new Scene()
    scene.produce(0, 500)
    const { source, spans } = await scene.open()
    const sampler = scene.sampler(source)
    assert.equal(await sampler.readFrom([{ ...spans[0]!, fromOffset: 100n }], 2), true)
    assert.deepEqual(placesOf(sampler), ['0@100', '0@101'])
    assert.equal(scene.decoded.length, 2)
    assert.equal(await scene.sampler(source).readFrom(spans, 0), true)
  })

  test('holds no more messages than it may, and says that it stopped', async () => {
    const scene = new Scene()
    for (let i = 0; i < 10; i++) scene.produce(0, 10)
    const { source, spans } = await scene.open()
    const sampler = scene.sampler(source, 25)
    assert.equal(await sampler.readFrom([{ ...spans[0]!, untilOffset: 99n }], 1000), false)
    assert.equal(sampler.inOrder().length, 25)
  })

  test('ends where nothing comes any more, and at its bound of bytes', async () => {
    const scene = new Scene()
    scene.produce(0, 5)
    const { source, spans } = await scene.open()
    const { topicPartition } = spans[0]!
    const span = { topicPartition, fromOffset: 0n, untilOffset: 50n }
    assert.equal(await scene.sampler(source).readFrom([span], 100), false)
    const chunkOf = (fromOffset: bigint): SourceChunk => ({
      topicPartition,
      fromOffset,
      nextOffset: fromOffset + 1n,
      batches: [],
      sizeBytes: SAMPLE_BYTES_MAX / 4,
      abortedRecordCount: 0,
      endOffset: 50n,
    })
    let reads = 0
    const heavy: MessageSource = Object.assign(Object.create(source) as MessageSource, {
      seek: () => {},
      read: async () => [chunkOf(BigInt(reads++))],
    })
    assert.equal(await scene.sampler(heavy).readFrom([span], 100), false)
    assert.equal(reads, 4)
  })
})
