import { setTimeout as sleep } from 'node:timers/promises'
import { Admin, Producer, stringSerializers } from '@platformatic/kafka'
import { KafkaProducer } from '../../../../scripts/kafka-producer.ts'
import { createKafkaSource } from '../../src/kafka/kafka-source.ts'
import type { MessageSource } from '../../src/kafka/message-source.ts'
import { DEFAULT_RETRY, type RetryPolicy } from '../../src/kafka/retry.ts'
import { EmbeddedBroker, type EmbeddedProducer, MemoryKafka } from '../../src/testing/index.ts'
import { type SourceHarness, type SourceOverrides, testMessageSource } from '../contract/message-source.ts'
import { kafkaConfig, TEST_RETRY, testRuntime } from './kafka-fixture.ts'

const MARKER_POLL_MS = 10

/** Memory and the embedded broker are filled alike. */
function inProcess(
  kafka: Pick<
    MemoryKafka,
    'addPartitions' | 'createTransactionalProducer' | 'deleteRecordsBefore' | 'produce'
  > & { createTopic(name: string, partitions?: number): unknown },
  rest: Pick<SourceHarness, 'close' | 'committedOffset' | 'createSource'>,
): SourceHarness {
  const producers = new Map<string, EmbeddedProducer>()
  return {
    ...rest,
    createTopic: async (name, partitions) => {
      kafka.createTopic(name, partitions)
    },
    addPartitions: async (name, total) => kafka.addPartitions(name, total),
    produce: async (topic, partition, values, { codec = 'none', timestampMs } = {}) => {
      const records = values.map(value => (timestampMs === undefined ? { value } : { value, timestampMs }))
      kafka.produce(topic, partition, records, { codec })
    },
    transaction: async (name, topic, partition, values, end) => {
      const producer = producers.get(name) ?? kafka.createTransactionalProducer(name)
      producers.set(name, producer)
      producer.produce(
        topic,
        partition,
        values.map(value => ({ value })),
      )
      if (end === 'commit') producer.commit()
      if (end === 'abort') producer.abort()
    },
    deleteRecordsBefore: async (topic, partition, offset) =>
      kafka.deleteRecordsBefore(topic, partition, offset),
  }
}

function overKafka(
  bootstrapServers: string,
  topic: string,
  overrides: SourceOverrides,
  retry: RetryPolicy = TEST_RETRY,
): MessageSource {
  const { partitions, maxPartitionBytes, ...rest } = overrides
  const config = kafkaConfig(bootstrapServers, topic, {
    ...('isolationLevel' in rest ? { isolationLevel: rest.isolationLevel! } : {}),
    ...('onOffsetOutOfRange' in rest ? { onOffsetOutOfRange: rest.onOffsetOutOfRange! } : {}),
    ...('consumerGroup' in rest ? { consumerGroup: rest.consumerGroup! } : {}),
    ...(partitions === undefined ? {} : { assignment: { partitions } }),
    ...(maxPartitionBytes === undefined ? {} : { fetchMaxPartitionBytes: maxPartitionBytes }),
  })
  return createKafkaSource(config, { runtime: testRuntime, retry })
}

testMessageSource('memory', {
  open: async () => {
    const kafka = new MemoryKafka(testRuntime)
    return inProcess(kafka, {
      committedOffset: async (group, topic, partition) => kafka.committedOffset(group, topic, partition),
      createSource: (topic, overrides = {}) => kafka.createSource({ topics: [topic], ...overrides }),
      close: async () => {},
    })
  },
})

testMessageSource('Kafka protocol, embedded broker', {
  open: async () => {
    const broker = await EmbeddedBroker.start()
    return inProcess(broker, {
      committedOffset: async (group, topic, partition) =>
        broker.committedOffset(group, topic, partition)?.offset,
      createSource: (topic, overrides = {}) => overKafka(broker.bootstrapServers, topic, overrides),
      close: () => broker.close(),
    })
  },
})

const server = process.env.SI_TEST_KAFKA
testMessageSource('Kafka protocol, real broker', {
  skip: server === undefined ? 'SI_TEST_KAFKA=host:port names no broker' : undefined,
  open: async () => openRealKafka(server!),
})

/** Fills a real broker through the transport library's own producer. */
async function openRealKafka(bootstrapServers: string): Promise<SourceHarness> {
  const base = { clientId: 'contract', bootstrapBrokers: [bootstrapServers] }
  const admin = new Admin(base)
  const filler = await KafkaProducer.connect(bootstrapServers)
  const plain = new Producer<string, string, string, string>({ ...base, serializers: stringSerializers })
  const producers = new Map<string, Producer<string, string, string, string>>()
  const topics: string[] = []
  return {
    createTopic: async (name, partitions) => {
      await admin.createTopics({ topics: [name], partitions, replicas: 1 })
      topics.push(name)
    },
    addPartitions: async (name, total) => {
      await filler.addPartitions(name, total)
    },
    produce: async (topic, partition, values, { codec = 'none', timestampMs } = {}) => {
      const timestamp = timestampMs === undefined ? {} : { timestamp: BigInt(timestampMs) }
      await plain.send({
        compression: codec,
        messages: values.map(value => ({ topic, partition, value, ...timestamp })),
      })
    },
    transaction: async (name, topic, partition, values, end) => {
      const key = `${name}-${topic}`
      const producer =
        producers.get(key) ??
        new Producer<string, string, string, string>({
          ...base,
          idempotent: true,
          transactionalId: key,
          serializers: stringSerializers,
        })
      producers.set(key, producer)
      const transaction = await producer.beginTransaction()
      await transaction.send({ messages: values.map(value => ({ topic, partition, value })) })
      if (end === 'open') return
      const endOffset = async (): Promise<bigint> =>
        (await filler.endOffsets(topic, partition + 1, 'uncommitted'))[partition]!
      const before = await endOffset()
      await (end === 'commit' ? transaction.commit() : transaction.abort())
      // The answer says that the end is decided; the marker in the log, which takes an offset, comes later.
      while ((await endOffset()) === before) await sleep(MARKER_POLL_MS)
    },
    deleteRecordsBefore: async (topic, partition, offset) => {
      await admin.deleteRecords({ topics: [{ name: topic, partitions: [{ partition, offset }] }] })
    },
    committedOffset: async (group, topic, partition) => {
      const [found] = await admin.listConsumerGroupOffsets({
        groups: [{ groupId: group, topics: [{ name: topic, partitionIndexes: [partition] }] }],
      })
      return found?.topics[0]?.partitions[0]?.committedOffset
    },
    // A broker makes its offsets topic at the first commit of all: the usual patience.
    createSource: (topic, overrides = {}) => overKafka(bootstrapServers, topic, overrides, DEFAULT_RETRY),
    close: async () => {
      await Promise.all([...producers.values()].map(producer => producer.close(true)))
      await plain.close()
      await filler.close()
      await admin.deleteTopics({ topics })
      await admin.close()
    },
  }
}
