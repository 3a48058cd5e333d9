/**
 * What every message source does: one suite, run on each implementation.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { KafkaConfig } from '../../src/config/ingest-config.ts'
import { KafkaError } from '../../src/error.ts'
import { COMPRESSION_CODECS, type CompressionCodec } from '../../src/kafka/compression.ts'
import { MessageBatch } from '../../src/kafka/message-batch.ts'
import type {
  MessageSource,
  SourceChunk,
  StartPosition,
  TopicPartition,
} from '../../src/kafka/message-source.ts'

export interface SourceOverrides {
  readonly partitions?: readonly number[]
  readonly isolationLevel?: KafkaConfig['isolationLevel']
  readonly onOffsetOutOfRange?: KafkaConfig['onOffsetOutOfRange']
  readonly consumerGroup?: string
  readonly maxPartitionBytes?: number
}

/** Topics and the sources over them; every topic name of a test is its own. */
export interface SourceHarness {
  createTopic(name: string, partitions: number): Promise<void>
  addPartitions(name: string, total: number): Promise<void>
  /** One batch. */
  produce(
    topic: string,
    partition: number,
    values: readonly string[],
    options?: { readonly codec?: CompressionCodec; readonly timestampMs?: number },
  ): Promise<void>
  /** The same producer for the same name; `open` leaves the transaction undecided. */
  transaction(
    producer: string,
    topic: string,
    partition: number,
    values: readonly string[],
    end: 'commit' | 'abort' | 'open',
  ): Promise<void>
  deleteRecordsBefore(topic: string, partition: number, offset: bigint): Promise<void>
  committedOffset(group: string, topic: string, partition: number): Promise<bigint | undefined>
  createSource(topic: string, overrides?: SourceOverrides): MessageSource
  close(): Promise<void>
}

export interface MessageSourceContract {
  readonly open: () => Promise<SourceHarness>
  /** Why the source cannot be tested here; undefined if it can. */
  readonly skip?: string | undefined
}

const WAIT_MS = 10_000
const MAX_BYTES = 1 << 20

/** Every message as `partition:offset:value`. */
function texts(chunks: readonly SourceChunk[]): string[] {
  return [...new MessageBatch(chunks)].map(
    ({ partition, offset, payload }) => `${partition}:${offset}:${payload}`,
  )
}

/** Reads until each partition is at its end; asserts that the chunks of a partition join. */
async function drain(
  source: MessageSource,
  positions: Map<TopicPartition, bigint>,
  maxBytes = MAX_BYTES,
): Promise<SourceChunk[]> {
  const ends = await source.endOffsets()
  const all: SourceChunk[] = []
  const isBehind = () => [...positions].some(([target, offset]) => offset < ends.get(target)!.endOffset)
  while (isBehind()) {
    const chunks = await source.read({ maxBytes, maxWaitMs: WAIT_MS })
    assert(chunks.length > 0, 'data arrives')
    for (const chunk of chunks) {
      assert.equal(chunk.fromOffset, positions.get(chunk.topicPartition))
      assert(chunk.nextOffset > chunk.fromOffset)
      assert.equal(
        chunk.sizeBytes,
        chunk.batches.reduce((sum, batch) => sum + batch.length, 0),
      )
      positions.set(chunk.topicPartition, chunk.nextOffset)
    }
    all.push(...chunks)
  }
  return all
}

async function start(
  source: MessageSource,
  from: StartPosition = 'earliest',
): Promise<Map<TopicPartition, bigint>> {
  await source.open()
  const positions = await source.resolveStart(source.assignment, from)
  for (const [target, offset] of positions) source.seek(target, offset)
  return positions
}

export function testMessageSource(name: string, contract: MessageSourceContract): void {
  describe(`message source: ${name}`, { skip: contract.skip ?? false }, () => {
    let harness: SourceHarness
    let topicCount = 0
    before(async () => {
      harness = await contract.open()
    })
    after(async () => {
      await harness.close()
    })

    /** A new topic and a source over it, closed at the end. */
    async function withSource(
      partitions: number,
      run: (source: MessageSource, topic: string) => Promise<void>,
      overrides: SourceOverrides & { readonly fill?: (topic: string) => Promise<void> } = {},
    ): Promise<void> {
      const topic = `contract-${process.pid}-${name.replaceAll(/\W/g, '')}-${topicCount++}`
      await harness.createTopic(topic, partitions)
      await overrides.fill?.(topic)
      const source = harness.createSource(topic, overrides)
      try {
        await run(source, topic)
      } finally {
        await source.close()
      }
    }

    test('hands out every record of every partition, whatever the codec', async () => {
      await withSource(3, async (source, topic) => {
        for (const codec of COMPRESSION_CODECS) {
          for (const partition of [0, 1, 2])
            await harness.produce(topic, partition, [codec, `${codec}2`], { codec })
        }
        const positions = await start(source)
        const found = texts(await drain(source, positions)).sort()
        const expected = [0, 1, 2].flatMap(partition =>
          COMPRESSION_CODECS.flatMap((codec, index) => [
            `${partition}:${2 * index}:${codec}`,
            `${partition}:${2 * index + 1}:${codec}2`,
          ]),
        )
        assert.deepEqual(found, expected.sort())
        assert.deepEqual(await source.read({ maxBytes: MAX_BYTES, maxWaitMs: 0 }), [])
      })
    })

    test('lists its partitions in order, with one id per topic', async () => {
      await withSource(3, async source => {
        await source.open()
        assert.deepEqual(
          source.assignment.map(({ partition }) => partition),
          [0, 1, 2],
        )
        assert.equal(new Set(source.assignment.map(({ topicId }) => topicId)).size, 1)
      })
    })

    test('reads only the partitions that are assigned', async () => {
      const fill = async (topic: string) => {
        for (const partition of [0, 1, 2]) await harness.produce(topic, partition, ['x'])
      }
      await withSource(
        3,
        async source => {
          const positions = await start(source)
          assert.deepEqual(texts(await drain(source, positions)), ['1:0:x'])
        },
        { partitions: [1], fill },
      )
    })

    test('starts in the middle of a batch where it was told to', async () => {
      await withSource(1, async (source, topic) => {
        await harness.produce(topic, 0, ['a', 'b', 'c', 'd'])
        await source.open()
        const [target] = source.assignment
        source.seek(target!, 2n)
        const chunks = await drain(source, new Map([[target!, 2n]]))
        assert.deepEqual(texts(chunks), ['0:2:c', '0:3:d'])
      })
    })

    test('drops what it read ahead when it is told to seek', async () => {
      await withSource(
        1,
        async (source, topic) => {
          for (let batch = 0; batch < 20; batch++) await harness.produce(topic, 0, [`${batch}`.repeat(200)])
          const positions = await start(source)
          const [target] = source.assignment
          const first = await source.read({ maxBytes: 1, maxWaitMs: WAIT_MS })
          assert.equal(first.length, 1)
          source.seek(target!, 0n)
          positions.set(target!, 0n)
          const again = await drain(source, positions, 500)
          assert.equal(texts(again).length, 20)
          source.seek(target!, 19n)
          const last = await source.read({ maxBytes: MAX_BYTES, maxWaitMs: WAIT_MS })
          assert.deepEqual(texts(last), [`0:19:${'19'.repeat(200)}`])
        },
        { maxPartitionBytes: 600 },
      )
    })

    test('returns about as much as asked, and one batch at least', async () => {
      await withSource(
        2,
        async (source, topic) => {
          for (const partition of [0, 1]) {
            for (let batch = 0; batch < 5; batch++)
              await harness.produce(topic, partition, ['x'.repeat(3000)])
          }
          const positions = await start(source)
          assert.deepEqual(await source.read({ maxBytes: 0, maxWaitMs: WAIT_MS }), [])
          const small = await source.read({ maxBytes: 1, maxWaitMs: WAIT_MS })
          assert.equal(small.length, 1)
          positions.set(small[0]!.topicPartition, small[0]!.nextOffset)
          assert.equal(texts(await drain(source, positions, 4000)).length + texts(small).length, 10)
        },
        { maxPartitionBytes: 1000 },
      )
    })

    test('returns nothing after the time is over, or when the signal aborts', async () => {
      await withSource(1, async source => {
        await start(source)
        assert.deepEqual(await source.read({ maxBytes: MAX_BYTES, maxWaitMs: 20 }), [])
        const stop = new AbortController()
        const reading = source.read({ maxBytes: MAX_BYTES, maxWaitMs: WAIT_MS * 100, signal: stop.signal })
        stop.abort()
        assert.deepEqual(await reading, [])
        const aborted = AbortSignal.abort()
        assert.deepEqual(await source.read({ maxBytes: MAX_BYTES, maxWaitMs: WAIT_MS, signal: aborted }), [])
      })
    })

    test('wakes up when a record comes', async () => {
      await withSource(1, async (source, topic) => {
        await start(source)
        const reading = source.read({ maxBytes: MAX_BYTES, maxWaitMs: WAIT_MS })
        await harness.produce(topic, 0, ['late'])
        assert.deepEqual(texts(await reading), ['0:0:late'])
      })
    })

    test('finds where to start by time', async () => {
      await withSource(2, async (source, topic) => {
        const nowMs = Date.now()
        for (const minutes of [3, 2, 1]) {
          await harness.produce(topic, 0, [`${minutes}`], { timestampMs: nowMs - minutes * 60_000 })
        }
        await source.open()
        const at = async (from: StartPosition) => [
          ...(await source.resolveStart(source.assignment, from)).values(),
        ]
        assert.deepEqual(await at('earliest'), [0n, 0n])
        assert.deepEqual(await at('latest'), [3n, 0n])
        assert.deepEqual(await at({ timestampMs: nowMs - 150_000 }), [1n, 0n])
        assert.deepEqual(await at({ timestampMs: nowMs + 1 }), [3n, 0n])
      })
    })

    test('leaves out aborted transactions, also two of one producer and markers that come later', async () => {
      await withSource(
        1,
        async (source, topic) => {
          await harness.transaction('p', topic, 0, ['yes-1', 'yes-2'], 'commit')
          await harness.transaction('p', topic, 0, ['no-1', 'no-2'], 'abort')
          await harness.transaction('p', topic, 0, ['no-3'], 'abort')
          await harness.produce(topic, 0, ['plain'])
          await harness.transaction('p', topic, 0, ['yes-3'], 'commit')
          const positions = await start(source)
          const chunks = await drain(source, positions)
          assert.deepEqual(texts(chunks), ['0:0:yes-1', '0:1:yes-2', '0:8:plain', '0:9:yes-3'])
          assert.equal(
            chunks.reduce((sum, chunk) => sum + chunk.abortedRecordCount, 0),
            3,
          )
          // Two and two records, one, one and one; four markers.
          assert.deepEqual([...positions.values()], [11n])
        },
        // Each response holds about one batch: a marker is never in the response of its records.
        { maxPartitionBytes: 100 },
      )
    })

    test('ends at the last stable offset while a transaction is open', async () => {
      await withSource(1, async (source, topic) => {
        await harness.transaction('open', topic, 0, ['undecided'], 'open')
        await harness.produce(topic, 0, ['after'])
        await start(source)
        const [ends] = (await source.endOffsets()).values()
        assert.deepEqual(ends, { startOffset: 0n, endOffset: 0n })
        assert.deepEqual(await source.read({ maxBytes: MAX_BYTES, maxWaitMs: 50 }), [])
      })
    })

    test('hands out everything under read_uncommitted', async () => {
      await withSource(
        1,
        async (source, topic) => {
          await harness.transaction('u', topic, 0, ['aborted'], 'abort')
          await harness.transaction('u', topic, 0, ['open'], 'open')
          const positions = await start(source)
          const chunks = await drain(source, positions)
          assert.deepEqual(texts(chunks), ['0:0:aborted', '0:2:open'])
          assert.equal(chunks[0]?.abortedRecordCount, 0)
        },
        { isolationLevel: 'read_uncommitted' },
      )
    })

    const lose = async (topic: string) => {
      for (const value of ['a', 'b', 'c', 'd']) await harness.produce(topic, 0, [value])
      await harness.deleteRecordsBefore(topic, 0, 2n)
    }

    test('fails at an offset that is gone, and says what is there', async () => {
      await withSource(
        1,
        async source => {
          await source.open()
          source.seek(source.assignment[0]!, 0n)
          await assert.rejects(source.read({ maxBytes: MAX_BYTES, maxWaitMs: WAIT_MS }), (error: unknown) => {
            assert(error instanceof KafkaError)
            assert.equal(error.code, 'KAFKA_OFFSET_OUT_OF_RANGE')
            assert.match(error.message, /^offset 0 of `.*-0` is wanted, 2 to 4 are there: 2 offsets are lost/)
            assert.equal(error.context.lostCount, 2n)
            return true
          })
          source.seek(source.assignment[0]!, 9n)
          await assert.rejects(source.read({ maxBytes: MAX_BYTES, maxWaitMs: WAIT_MS }), {
            code: 'KAFKA_OFFSET_OUT_OF_RANGE',
          })
          assert.deepEqual(source.takeLosses(), [])
        },
        { fill: lose },
      )
    })

    for (const [policy, resumed, expected] of [
      ['earliest', 2n, ['0:2:c', '0:3:d', '0:4:new']],
      ['latest', 4n, ['0:4:new']],
    ] as const) {
      test(`goes on at the ${policy} offset where that is allowed, and reports the loss`, async () => {
        await withSource(
          1,
          async (source, topic) => {
            await source.open()
            const [target] = source.assignment
            source.seek(target!, 0n)
            const found: string[] = []
            let isProduced = false
            const stop = new AbortController()
            while (!found.includes('0:4:new')) {
              found.push(
                ...texts(await source.read({ maxBytes: MAX_BYTES, maxWaitMs: 50, signal: stop.signal })),
              )
              const losses = source.takeLosses()
              if (losses.length === 0) continue
              assert(!isProduced, 'the loss is reported once')
              assert.deepEqual(losses, [{ topicPartition: target, wantedOffset: 0n, resumedOffset: resumed }])
              await harness.produce(topic, 0, ['new'])
              isProduced = true
            }
            assert.deepEqual(found, expected)
          },
          { fill: lose, onOffsetOutOfRange: policy },
        )
      })
    }

    test('finds new partitions when asked', async () => {
      await withSource(1, async (source, topic) => {
        const positions = await start(source)
        assert.deepEqual(await source.refreshAssignment(), [])
        await harness.addPartitions(topic, 3)
        const added = await source.refreshAssignment()
        assert.deepEqual(
          added.map(({ partition }) => partition),
          [1, 2],
        )
        assert.equal(source.assignment.length, 3)
        await harness.produce(topic, 2, ['new'])
        for (const target of added) {
          source.seek(target, 0n)
          positions.set(target, 0n)
        }
        assert.deepEqual(texts(await drain(source, positions)), ['2:0:new'])
      })
    })

    test('knows where its partitions end from what it has read, without asking', async () => {
      await withSource(
        2,
        async source => {
          const positions = await start(source)
          const [first, second] = source.assignment
          assert.equal(source.heardEndOffset(first!), null)
          await drain(source, positions)
          await source.read({ maxBytes: MAX_BYTES, maxWaitMs: 0 })
          assert.equal(source.heardEndOffset(first!), 3n)
          // Kafka has answered for the partition that is empty, too.
          assert.equal(source.heardEndOffset(second!), 0n)
        },
        { fill: topic => harness.produce(topic, 0, ['a', 'b', 'c']) },
      )
    })

    test('tells the group how far it is', async () => {
      await withSource(
        2,
        async (source, topic) => {
          await source.open()
          const [first, second] = source.assignment
          await source.commitGroupOffsets(
            new Map([
              [first!, 5n],
              [second!, 7n],
            ]),
          )
          assert.equal(await harness.committedOffset('contract-group', topic, 0), 5n)
          assert.equal(await harness.committedOffset('contract-group', topic, 1), 7n)
        },
        { consumerGroup: 'contract-group' },
      )
    })

    test('refuses a topic that does not exist', async () => {
      const source = harness.createSource('contract-no-such-topic')
      try {
        await assert.rejects(source.open(), { code: 'KAFKA_TOPIC_NOT_FOUND' })
      } finally {
        await source.close()
      }
    })

    test('ends a read that waits when it is closed', async () => {
      await withSource(1, async source => {
        await start(source)
        const reading = source.read({ maxBytes: MAX_BYTES, maxWaitMs: WAIT_MS * 100 })
        const ended = assert.rejects(reading, { code: 'KAFKA_UNREACHABLE' })
        await source.close()
        await ended
      })
    })
  })
}
