/**
 * The topic of the demonstration: generated events on the embedded broker, or on a real one.
 *
 * @module
 */
import { setImmediate as nextTurn } from 'node:timers/promises'
import { Admin, ProduceAcks, Producer } from '@platformatic/kafka'
import type { Runtime } from '@stream-ingest/delta'
import type { EncodableRecord } from '../kafka/record-batch-encoder.ts'
import { EmbeddedBroker } from './embedded-broker.ts'
import { generateMessages, type MessageSummary, MessageSummaryBuilder } from './generate-messages.ts'

export interface DemoTopic {
  readonly name: string
  readonly bootstrapServers: string
  /** What a table of these messages must hold. */
  readonly summary: MessageSummary
  /** Messages in each partition: their offsets are 0 to this. */
  readonly partitionCounts: readonly number[]
  close(): Promise<void>
}

export interface DemoTopicOptions {
  readonly rows: number
  readonly partitions: number
  readonly runtime: Runtime
  /** `host:port` of a real broker. */
  readonly kafka?: string
  /** Ends the filling, by throwing its reason. */
  readonly signal?: AbortSignal
  /** Called while the topic is filled, with the messages that are in it. */
  readonly progressed?: (messageCount: number) => void
}

const TOPIC = 'user-events'
/** Messages in one record batch. */
const BATCH_MESSAGES = 1_000
const SEED = 20_261_122

type Send = (partition: number, records: readonly EncodableRecord[]) => Promise<void>

/** Creates the topic and fills it, the messages spread over the partitions in turn. What was opened is closed where that fails. */
export async function openDemoTopic(options: DemoTopicOptions): Promise<DemoTopic> {
  const { kafka } = options
  return kafka === undefined ? await openEmbedded(options) : await openReal(kafka, options)
}

async function openEmbedded(options: DemoTopicOptions): Promise<DemoTopic> {
  const broker = await EmbeddedBroker.start({ topics: [{ name: TOPIC, partitions: options.partitions }] })
  try {
    const filled = await fill(options, async (partition, records) => {
      broker.produce(TOPIC, partition, records, { codec: 'lz4' })
    })
    return { name: TOPIC, bootstrapServers: broker.bootstrapServers, ...filled, close: () => broker.close() }
  } catch (error) {
    await broker.close()
    throw error
  }
}

/** On a real broker the topic has a name of its own and stays there afterwards, for a look at it. */
async function openReal(kafka: string, options: DemoTopicOptions): Promise<DemoTopic> {
  const name = `stream-ingest-demo-${options.runtime.now()}`
  const admin = new Admin({ clientId: 'stream-ingest-demo', bootstrapBrokers: [kafka], retries: 3 })
  try {
    await admin.createTopics({ topics: [name], partitions: options.partitions, replicas: -1 })
  } finally {
    await admin.close()
  }
  const producer = new Producer({ clientId: 'stream-ingest-demo', bootstrapBrokers: [kafka], retries: 3 })
  try {
    const filled = await fill(options, async (partition, records) => {
      await producer.send({
        acks: ProduceAcks.ALL,
        messages: records.map(record => ({
          topic: name,
          partition,
          key: Buffer.from(record.key as Uint8Array),
          value: Buffer.from(record.value as Uint8Array),
          timestamp: BigInt(record.timestampMs ?? 0),
        })),
      })
    })
    return { name, bootstrapServers: kafka, ...filled, close: async () => {} }
  } finally {
    await producer.close()
  }
}

async function fill(
  options: DemoTopicOptions,
  send: Send,
): Promise<{ summary: MessageSummary; partitionCounts: number[] }> {
  const summary = new MessageSummaryBuilder()
  const waiting: EncodableRecord[][] = Array.from({ length: options.partitions }, () => [])
  const partitionCounts = new Array<number>(options.partitions).fill(0)
  let sentCount = 0
  const flush = async (partition: number): Promise<void> => {
    const records = waiting[partition]!
    if (records.length === 0) return
    waiting[partition] = []
    partitionCounts[partition]! += records.length
    await send(partition, records)
    sentCount += records.length
    options.progressed?.(sentCount)
    // The embedded broker takes records at once: without a turn of the event loop no signal would ever come through.
    await nextTurn()
    options.signal?.throwIfAborted()
  }
  for (const message of generateMessages({ seed: SEED, count: options.rows })) {
    summary.add(message)
    const partition = message.index % options.partitions
    waiting[partition]!.push({ key: message.key, value: message.value, timestampMs: message.timestampMs })
    if (waiting[partition]!.length === BATCH_MESSAGES) await flush(partition)
  }
  for (let partition = 0; partition < options.partitions; partition++) await flush(partition)
  return { summary: summary.summary(), partitionCounts }
}
