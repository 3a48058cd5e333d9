/**
 * A Kafka broker in the process: real TCP on 127.0.0.1, the real wire protocol, real record batches, kept in memory.
 *
 * ```ts
 * await using broker = await EmbeddedBroker.start({ topics: [{ name: 'orders', partitions: 4 }] })
 * broker.produce('orders', 0, [{ key: 'a', value: '{"id":1}' }], { codec: 'zstd' })
 * // any Kafka client connects to broker.bootstrapServers
 * ```
 *
 * One broker without replicas, TLS or authentication: for tests and demonstrations.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type Server, type Socket } from 'node:net'
import { IoError, KafkaError } from '../error.ts'
import type { EncodableRecord } from '../kafka/record-batch-encoder.ts'
import type { BrokerContext, Schedule } from './api.ts'
import { ClientConnection, type Rejection } from './client-connection.ts'
import { Cluster, type CommittedOffset, topicError } from './cluster.ts'
import {
  EmbeddedProducer,
  type ProduceOptions,
  produceInProcess,
  requirePartition,
} from './embedded-producer.ts'
import { type Fault, type FaultPlace, FaultPlan } from './fault.ts'
import { GroupCoordinator } from './group-coordinator.ts'
import { API_KEYS, type ApiName, PROTOCOL_ERRORS, type ProtocolErrorName } from './protocol-error.ts'
import type { BatchDamage, StoredBatch } from './stored-batch.ts'
import { TransactionCoordinator } from './transaction-coordinator.ts'

const HOST = '127.0.0.1'
const STORED_BYTES_MAX = 1024 * 1024 * 1024
const BATCH_BYTES_MAX = 64 * 1024 * 1024
/** Apache Kafka's `socket.request.max.bytes`. */
const REQUEST_BYTES_MAX = 100 * 1024 * 1024
const CONNECTIONS_MAX = 256
/** The oldest are forgotten. */
const REJECTIONS_MAX = 100

export interface TopicSpec {
  readonly name: string
  /** Default 1. */
  readonly partitions?: number
}

export interface EmbeddedBrokerOptions {
  readonly topics?: readonly TopicSpec[]
  /** Default 0: a free one. */
  readonly port?: number
  /** Epoch milliseconds; stamps records without a timestamp, and control batches. Default: the system's clock. */
  readonly clock?: () => number
  /** In [0, 1): topic ids and member ids. Default: `Math.random`. */
  readonly random?: () => number
  /** Timers of long polls and group sessions. Default: `setTimeout`. */
  readonly schedule?: Schedule
  /** Over all partitions. Producing beyond it is refused with POLICY_VIOLATION. Default 1 GiB. */
  readonly maxStoredBytes?: number
  /** Of one record batch; beyond it MESSAGE_TOO_LARGE. Default 64 MiB. */
  readonly maxBatchBytes?: number
  /** Of one request; a larger one closes its connection. Default 100 MiB. */
  readonly maxRequestBytes?: number
  /** Further clients are disconnected at once. Default 256. */
  readonly maxConnections?: number
}

export class EmbeddedBroker {
  readonly #context: BrokerContext
  readonly #server: Server
  readonly #faults = new FaultPlan()
  readonly #connections = new Set<ClientConnection>()
  readonly #requestCounts = new Map<number, number>()
  readonly #requestListeners = new Set<(apiKey: number) => void>()
  readonly #rejections: Rejection[] = []
  readonly #maxRequestBytes: number
  readonly #maxConnections: number
  #producerCount = 0

  private constructor(context: BrokerContext, server: Server, options: EmbeddedBrokerOptions) {
    this.#context = context
    this.#server = server
    this.#maxRequestBytes = options.maxRequestBytes ?? REQUEST_BYTES_MAX
    this.#maxConnections = options.maxConnections ?? CONNECTIONS_MAX
    server.on('connection', socket => this.#accept(socket))
  }

  /**
   * Listens, then creates the topics.
   * @throws IoError `IO_FAILED` where the port is taken; KafkaError for a topic that cannot be
   */
  static async start(options: EmbeddedBrokerOptions = {}): Promise<EmbeddedBroker> {
    const random = options.random ?? Math.random
    const schedule = options.schedule ?? scheduleTimeout
    const limits = {
      storedBytesMax: options.maxStoredBytes ?? STORED_BYTES_MAX,
      batchBytesMax: options.maxBatchBytes ?? BATCH_BYTES_MAX,
    }
    const cluster = new Cluster(limits, options.clock ?? Date.now, random)
    for (const { name, partitions = 1 } of options.topics ?? []) createTopic(cluster, name, partitions)
    const server = createServer()
    const port = await listen(server, options.port ?? 0)
    const transactions = new TransactionCoordinator(cluster)
    const groups = new GroupCoordinator(schedule, random)
    return new EmbeddedBroker({ cluster, transactions, groups, schedule, host: HOST, port }, server, options)
  }

  get port(): number {
    return this.#context.port
  }

  /** `127.0.0.1:PORT`, as clients take it. */
  get bootstrapServers(): string {
    return `${this.#context.host}:${this.#context.port}`
  }

  /** @throws KafkaError where the name or the count is not allowed, or the topic exists. @returns the topic id */
  createTopic(name: string, partitions = 1): string {
    return createTopic(this.#context.cluster, name, partitions)
  }

  /** A topic that is created again under the name has another id. @throws KafkaError `KAFKA_TOPIC_NOT_FOUND` */
  deleteTopic(name: string): void {
    if (!this.#context.cluster.deleteTopic(name)) throw topicError('missing', name)
  }

  /** @param partitions the new total. @throws KafkaError where it is no growth */
  addPartitions(name: string, partitions: number): void {
    const problem = this.#context.cluster.checkPartitionCount(name, partitions)
    if (problem !== null) throw topicError(problem, name)
    this.#context.cluster.growTopic(name, partitions)
  }

  /** The UUID of KIP-516. @throws KafkaError `KAFKA_TOPIC_NOT_FOUND` */
  topicId(name: string): string {
    const topic = this.#context.cluster.topic(name)
    if (topic === undefined) throw topicError('missing', name)
    return topic.topicId
  }

  /**
   * Appends one batch of records, or ready-made batches as they are. A stored batch is never compressed anew.
   * @returns the base offset of the (first) batch
   * @throws KafkaError with the reason a client would be given
   */
  produce(
    topic: string,
    partition: number,
    records: readonly EncodableRecord[] | Uint8Array,
    options: ProduceOptions = {},
  ): bigint {
    return produceInProcess(this.#context, topic, partition, records, options, null)
  }

  /** For committed, aborted and open transactions. The same id again fences the earlier producer. */
  createTransactionalProducer(
    transactionalId: string = `embedded-producer-${this.#producerCount}`,
  ): EmbeddedProducer {
    this.#producerCount++
    return new EmbeddedProducer(this.#context, transactionalId)
  }

  /** Log end of each partition, by index. */
  endOffsets(topic: string): bigint[] {
    requirePartition(this.#context, topic, 0)
    return this.#context.cluster.topic(topic)!.partitions.map(log => log.endOffset)
  }

  /** Log start of each partition, by index. */
  startOffsets(topic: string): bigint[] {
    requirePartition(this.#context, topic, 0)
    return this.#context.cluster.topic(topic)!.partitions.map(log => log.startOffset)
  }

  /** What a partition holds, for assertions. */
  storedBatches(topic: string, partition: number): readonly StoredBatch[] {
    return [...requirePartition(this.#context, topic, partition).batches]
  }

  /** As retention does: below `offset`, fetching answers OFFSET_OUT_OF_RANGE. */
  deleteRecordsBefore(topic: string, partition: number, offset: bigint): void {
    const log = requirePartition(this.#context, topic, partition)
    if (offset < 0n || offset > log.endOffset) {
      throw new KafkaError(
        'KAFKA_PROTOCOL',
        `offset \`${offset}\` is not within \`${topic}-${partition}\`, which ends at \`${log.endOffset}\``,
        { retryable: false, hint: 'name an offset up to the log end', context: { topic, partition, offset } },
      )
    }
    log.deleteBefore(offset)
    this.#context.cluster.notifyChange()
  }

  /** As after an election: clients that name the older epoch are fenced until they refresh their metadata. */
  bumpLeaderEpoch(topic: string, partition: number): void {
    requirePartition(this.#context, topic, partition).bumpLeaderEpoch()
    this.#context.cluster.notifyChange()
  }

  /** What a group has committed; undefined where nothing. */
  committedOffset(group: string, topic: string, partition: number): CommittedOffset | undefined {
    return this.#context.cluster.committedOffset(group, topic, partition)
  }

  /** Damages the stored batch that holds `offset`. @throws KafkaError where no batch holds it */
  corruptBatch(topic: string, partition: number, offset: bigint, damage: BatchDamage): void {
    if (requirePartition(this.#context, topic, partition).damage(offset, damage)) return
    throw new KafkaError(
      'KAFKA_PROTOCOL',
      `no batch of \`${topic}-${partition}\` holds offset \`${offset}\``,
      {
        retryable: false,
        hint: 'name an offset that is stored',
        context: { topic, partition, offset },
      },
    )
  }

  /**
   * The next `times` requests of an API fail. Orders are spent in the order in which they were given, each by a request
   * of its API, whether or not the request names `place`.
   */
  failNext(api: ApiName | number, fault: Fault | ProtocolErrorName, times = 1, place: FaultPlace = {}): void {
    assert(Number.isInteger(times) && times > 0, 'a fault happens at least once')
    this.#faults.order(apiKeyOf(api), faultOf(fault), times, place)
  }

  /** Forgets the faults that are ordered and not spent. */
  clearFaults(): void {
    this.#faults.clear()
  }

  /** Closes every client's connection. New ones are accepted. */
  disconnectClients(): void {
    for (const connection of [...this.#connections]) connection.destroy()
  }

  /** Requests received since the start, answered or not. */
  requestCount(api: ApiName | number): number {
    return this.#requestCounts.get(apiKeyOf(api)) ?? 0
  }

  /** Resolves when the next request of the API arrives, before it is answered. */
  nextRequest(api: ApiName | number): Promise<void> {
    const wanted = apiKeyOf(api)
    return new Promise(resolve => {
      const listener = (apiKey: number): void => {
        if (apiKey !== wanted) return
        this.#requestListeners.delete(listener)
        resolve()
      }
      this.#requestListeners.add(listener)
    })
  }

  /** The latest connections that the broker closed because it did not understand or accept a request. */
  get rejections(): readonly Rejection[] {
    return [...this.#rejections]
  }

  get connectionCount(): number {
    return this.#connections.size
  }

  /** Closes every connection and the port. What was stored is gone. */
  async close(): Promise<void> {
    if (!this.#server.listening) return
    const closed = once(this.#server, 'close')
    this.#server.close()
    this.#context.groups.close()
    this.disconnectClients()
    await closed
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #accept(socket: Socket): void {
    if (this.#connections.size >= this.#maxConnections) {
      const reason = `${this.#maxConnections} connections are open already`
      this.#reject({ clientId: null, apiKey: null, apiVersion: null, reason })
      socket.destroy()
      return
    }
    const connection = new ClientConnection(socket, this.#context, {
      requestBytesMax: this.#maxRequestBytes,
      faults: this.#faults,
      onRequest: apiKey => this.#count(apiKey),
      onReject: rejection => this.#reject(rejection),
    })
    this.#connections.add(connection)
    socket.on('close', () => this.#connections.delete(connection))
  }

  #count(apiKey: number): void {
    this.#requestCounts.set(apiKey, (this.#requestCounts.get(apiKey) ?? 0) + 1)
    for (const listener of [...this.#requestListeners]) listener(apiKey)
  }

  #reject(rejection: Rejection): void {
    this.#rejections.push(rejection)
    if (this.#rejections.length > REJECTIONS_MAX) this.#rejections.shift()
  }
}

function createTopic(cluster: Cluster, name: string, partitions: number): string {
  const problem = cluster.checkNewTopic(name, partitions)
  if (problem !== null) throw topicError(problem, name)
  return cluster.createTopic(name, partitions).topicId
}

async function listen(server: Server, port: number): Promise<number> {
  server.listen(port, HOST)
  try {
    await once(server, 'listening')
  } catch (cause) {
    throw new IoError('IO_FAILED', `the embedded broker cannot listen on \`${HOST}:${port}\``, {
      hint: 'name another port, or none for a free one',
      cause,
    })
  }
  const address = server.address()
  assert(address !== null && typeof address === 'object', 'a TCP server has an address and a port')
  return address.port
}

function scheduleTimeout(delayMs: number, callback: () => void): () => void {
  const timer = setTimeout(callback, delayMs)
  return () => clearTimeout(timer)
}

function apiKeyOf(api: ApiName | number): number {
  return typeof api === 'number' ? api : API_KEYS[api]
}

function faultOf(fault: Fault | ProtocolErrorName): Fault {
  if (typeof fault === 'number') return fault
  if (fault === 'disconnect' || fault === 'lose-response' || fault === 'hang') return fault
  return PROTOCOL_ERRORS[fault]
}
