/**
 * Fills topics of a one-node broker (the dev stack's) with whole record batches of our own encoding, so that tests,
 * examples and benchmarks say exactly which bytes are in the topic: codec, framing, batch size, headers, timestamps.
 *
 * From the command line, one million generated user events in turn over the partitions:
 *
 *   node --conditions=source scripts/kafka-producer.ts --kafka HOST:PORT --topic NAME
 *     [--partitions 4] [--count 1000000] [--codec none|gzip|snappy|lz4|zstd] [--seed 1]
 *
 * @module
 */
import { parseArgs } from 'node:util'
import {
  Admin,
  Connection,
  FetchIsolationLevels,
  listOffsetsV9,
  produceV11,
  ResponseError,
  type ResponseParser,
  Writer,
} from '@platformatic/kafka'
import { COMPRESSION_CODECS, type CompressionCodec } from '../packages/stream-ingest/src/kafka/compression.ts'
import {
  type EncodableRecord,
  encodeRecordBatch,
} from '../packages/stream-ingest/src/kafka/record-batch-encoder.ts'
import { generateMessages } from '../packages/stream-ingest/src/testing/generate-messages.ts'

const PRODUCE = 0
const PRODUCE_VERSION = 11
const LIST_OFFSETS = 2
const LIST_OFFSETS_VERSION = 9
const ACKS_ALL = -1
const REQUEST_TIMEOUT_MS = 60_000
const LEADER_WAIT_MS_MAX = 30_000
const LEADER_POLL_MS = 20
const EARLIEST = -2n
const LATEST = -1n
const IN_FLIGHT_MAX = 5
const BATCH_RECORDS_DEFAULT = 1000

export interface FillOptions {
  readonly codec?: CompressionCodec
  readonly snappyFraming?: 'xerial' | 'raw'
  /** Records in one batch. Default 1000. */
  readonly batchRecords?: number
}

export class KafkaProducer {
  readonly #admin: Admin
  readonly #connection: Connection

  private constructor(admin: Admin, connection: Connection) {
    this.#admin = admin
    this.#connection = connection
  }

  /** `host:port` of a broker that leads every partition it will be sent. */
  static async connect(bootstrapServer: string): Promise<KafkaProducer> {
    const { hostname, port } = new URL(`kafka://${bootstrapServer}`)
    const clientId = 'stream-ingest-producer'
    const connection = new Connection(clientId, { requestTimeout: REQUEST_TIMEOUT_MS })
    await connection.connect(hostname, Number(port))
    return new KafkaProducer(new Admin({ clientId, bootstrapBrokers: [bootstrapServer] }), connection)
  }

  /** Makes a topic; `configs` are Kafka's topic settings, such as `cleanup.policy`. */
  async createTopic(
    name: string,
    partitionCount: number,
    configs: Readonly<Record<string, string>> = {},
  ): Promise<void> {
    await this.#admin.createTopics({
      topics: [name],
      partitions: partitionCount,
      replicas: 1,
      configs: Object.entries(configs).map(([key, value]) => ({ name: key, value })),
    })
    await this.#untilLed(name, partitionCount)
  }

  async deleteTopic(name: string): Promise<void> {
    await this.#admin.deleteTopics({ topics: [name] })
  }

  /** Raises a topic's number of partitions. */
  async addPartitions(name: string, partitionCount: number): Promise<void> {
    await this.#admin.createPartitions({
      // Null, which the types do not know, lets the broker choose; an empty list names brokers for no partition at all.
      topics: [{ name, count: partitionCount, assignments: null as never }],
      validateOnly: false,
    })
    await this.#untilLed(name, partitionCount)
  }

  /** Lets everything below an offset be gone, as retention does. */
  async deleteRecords(topic: string, partition: number, beforeOffset: bigint): Promise<void> {
    await this.#admin.deleteRecords({
      topics: [{ name: topic, partitions: [{ partition, offset: beforeOffset }] }],
    })
  }

  /** The end of each partition: for readers of committed transactions the first offset of one that is still open. */
  async endOffsets(
    topic: string,
    partitionCount: number,
    isolation: 'committed' | 'uncommitted',
  ): Promise<readonly bigint[]> {
    const partitions = Array.from({ length: partitionCount }, (_, partitionIndex) => ({
      partitionIndex,
      timestamp: LATEST,
    }))
    const [listed] = await this.#admin.listOffsets({
      topics: [{ name: topic, partitions }],
      isolationLevel:
        isolation === 'committed'
          ? FetchIsolationLevels.READ_COMMITTED
          : FetchIsolationLevels.READ_UNCOMMITTED,
    })
    const offsets = new Map(listed?.partitions.map(({ partitionIndex, offset }) => [partitionIndex, offset]))
    return partitions.map(({ partitionIndex }) => {
      const offset = offsets.get(partitionIndex)
      if (offset === undefined)
        throw new Error(`the broker answered nothing about ${topic}[${partitionIndex}]`)
      return offset
    })
  }

  /** Appends one batch as it is; the broker checks it and sets its offsets. Returns the first of them. */
  async appendBatch(topic: string, partition: number, batch: Uint8Array): Promise<bigint> {
    const response = await this.#send(
      PRODUCE,
      PRODUCE_VERSION,
      () => produceRequest(topic, partition, batch),
      produceV11.parseResponse,
    )
    const answered = response.responses[0]?.partitionResponses[0]
    if (answered === undefined) throw new Error(`the broker answered nothing about ${topic}[${partition}]`)
    return answered.baseOffset
  }

  /** Appends records as one batch. Returns the first one's offset. */
  append(
    topic: string,
    partition: number,
    records: readonly EncodableRecord[],
    options: FillOptions = {},
  ): Promise<bigint> {
    const { codec = 'none', snappyFraming = 'xerial' } = options
    return this.appendBatch(
      topic,
      partition,
      encodeRecordBatch(records, { baseOffset: 0n, codec, snappyFraming }),
    )
  }

  /**
   * Appends any number of records, the record of index `i` to partition `i` modulo the number of partitions, a few
   * batches on their way at a time. Returns the number of records in each partition.
   */
  async fill(
    topic: string,
    partitionCount: number,
    records: Iterable<EncodableRecord>,
    options: FillOptions = {},
  ): Promise<readonly number[]> {
    const { batchRecords = BATCH_RECORDS_DEFAULT } = options
    const waiting: EncodableRecord[][] = Array.from({ length: partitionCount }, () => [])
    const counts = new Array<number>(partitionCount).fill(0)
    const inFlight: Promise<unknown>[] = []
    const flush = async (partition: number): Promise<void> => {
      const batch = waiting[partition] as EncodableRecord[]
      if (batch.length === 0) return
      waiting[partition] = []
      counts[partition] = (counts[partition] as number) + batch.length
      // The order of requests on one connection is the order in the log.
      const appended = this.append(topic, partition, batch, options)
      appended.catch(() => undefined)
      inFlight.push(appended)
      if (inFlight.length >= IN_FLIGHT_MAX) await inFlight.shift()
    }
    let index = 0
    for (const record of records) {
      const partition = index++ % partitionCount
      const batch = waiting[partition] as EncodableRecord[]
      batch.push(record)
      if (batch.length === batchRecords) await flush(partition)
    }
    for (let partition = 0; partition < partitionCount; partition++) await flush(partition)
    await Promise.all(inFlight)
    return counts
  }

  async close(): Promise<void> {
    await this.#connection.close()
    await this.#admin.close()
  }

  /** A new partition exists for the controller before its leader knows; until then it refuses what it is sent. */
  async #untilLed(topic: string, partitionCount: number): Promise<void> {
    const deadline = performance.now() + LEADER_WAIT_MS_MAX
    while (!(await this.#isLed(topic, partitionCount))) {
      if (performance.now() > deadline)
        throw new Error(`${topic} has no leader after ${LEADER_WAIT_MS_MAX / 1000} s`)
      await new Promise(resolve => setTimeout(resolve, LEADER_POLL_MS))
    }
  }

  async #isLed(topic: string, partitionCount: number): Promise<boolean> {
    const partitions = Array.from({ length: partitionCount }, (_, partitionIndex) => ({
      partitionIndex,
      currentLeaderEpoch: -1,
      timestamp: EARLIEST,
    }))
    try {
      await this.#send(
        LIST_OFFSETS,
        LIST_OFFSETS_VERSION,
        () => listOffsetsV9.createRequest(-1, 0, [{ name: topic, partitions }]),
        listOffsetsV9.parseResponse,
      )
      return true
    } catch (error) {
      if (error instanceof ResponseError) return false
      throw error
    }
  }

  #send<T>(apiKey: number, version: number, request: () => Writer, parse: ResponseParser<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#connection.send(apiKey, version, request, parse, true, true, (error, result) =>
        error ? reject(error) : resolve(result as T),
      )
    })
  }
}

/**
 * Produce Request (Version: 11) => transactional_id acks timeout_ms [topic_data] TAG_BUFFER
 *   topic_data => name [partition_data] TAG_BUFFER
 *     partition_data => index records TAG_BUFFER
 */
function produceRequest(topic: string, partition: number, batch: Uint8Array): Writer {
  const bytes = Buffer.from(batch.buffer, batch.byteOffset, batch.byteLength)
  return Writer.create()
    .appendString(null)
    .appendInt16(ACKS_ALL)
    .appendInt32(REQUEST_TIMEOUT_MS)
    .appendArray([topic], (topicWriter, name) => {
      topicWriter.appendString(name).appendArray([partition], (partitionWriter, index) => {
        partitionWriter.appendInt32(index).appendBytes(bytes)
      })
    })
    .appendTaggedFields()
}

async function main(argv: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      kafka: { type: 'string' },
      topic: { type: 'string' },
      partitions: { type: 'string', default: '4' },
      count: { type: 'string', default: '1000000' },
      codec: { type: 'string', default: 'none' },
      seed: { type: 'string', default: '1' },
    },
  })
  const codec = COMPRESSION_CODECS.find(known => known === values.codec)
  if (values.kafka === undefined || values.topic === undefined || codec === undefined)
    throw new Error(`needs --kafka HOST:PORT, --topic NAME; codecs are ${COMPRESSION_CODECS.join(', ')}`)
  const count = Number(values.count)
  const partitionCount = Number(values.partitions)
  const producer = await KafkaProducer.connect(values.kafka)
  try {
    await producer.createTopic(values.topic, partitionCount)
    const started = performance.now()
    const messages = generateMessages({ seed: Number(values.seed), count })
    await producer.fill(values.topic, partitionCount, messages, { codec })
    const seconds = (performance.now() - started) / 1000
    process.stdout.write(`${count} messages (${codec}) to ${values.topic} in ${seconds.toFixed(1)} s\n`)
  } finally {
    await producer.close()
  }
}

if (import.meta.main) await main(process.argv.slice(2))
