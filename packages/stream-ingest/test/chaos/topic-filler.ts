/**
 * Fills the topic for as long as the chaos lasts: batches of all codecs and sizes, tombstones, transactions of two
 * producers that interleave, stay open for a while, and end either way.
 *
 * @module
 */
import { setTimeout as delay } from 'node:timers/promises'
import { KafkaProducer } from '../../../../scripts/kafka-producer.ts'
import { TransactionWriter } from '../../../../scripts/transactions/transaction-writer.ts'
import { COMPRESSION_CODECS } from '../../src/kafka/compression.ts'
import type { EncodableRecord } from '../../src/kafka/record-batch-encoder.ts'
import { type Ledger, messageOf, rowOf } from './ledger.ts'
import type { SeededRandom } from './seeded-random.ts'

const TRANSACTIONAL_PRODUCERS = ['chaos-a', 'chaos-b'] as const
const PAUSE_MS = [20, 120] as const
/** Of the pauses, where the allowance is used up: what is read stays in proportion on a slow machine. */
const SLOW_FACTOR = 10
const RECORDS_PER_TURN = 6_000
const TRANSACTION_SHARE = 0.25
const LARGE_BATCH_SHARE = 0.06
const TOMBSTONE_SHARE = 0.05
const MARKER_WAIT_MS_MAX = 30_000
const MARKER_POLL_MS = 50

interface PendingBatch {
  readonly partition: number
  readonly offset: bigint
  readonly numbers: readonly number[]
}

export interface TopicFillerOptions {
  readonly bootstrapServers: string
  readonly topic: string
  readonly ledger: Ledger
  readonly random: SeededRandom
}

export class TopicFiller {
  readonly #options: TopicFillerOptions
  readonly #transactions: TransactionWriter
  /** Of each producer with a transaction open: what it holds. */
  readonly #open = new Map<string, PendingBatch[]>()
  #producer: KafkaProducer
  #loop: Promise<void> = Promise.resolve()
  #stopping = false
  #allowance = 0
  /** Set while the filler is to keep still. */
  #pause: { readonly until: Promise<void>; readonly end: () => void } | null = null
  #acting: Promise<void> = Promise.resolve()

  private constructor(options: TopicFillerOptions, producer: KafkaProducer, transactions: TransactionWriter) {
    this.#options = options
    this.#producer = producer
    this.#transactions = transactions
  }

  /** Makes the topic. */
  static async start(options: TopicFillerOptions): Promise<TopicFiller> {
    const producer = await KafkaProducer.connect(options.bootstrapServers)
    await producer.createTopic(options.topic, options.ledger.partitions.length)
    const codec = options.random.choose(COMPRESSION_CODECS)
    const transactions = await TransactionWriter.start(options.bootstrapServers, codec)
    return new TopicFiller(options, producer, transactions)
  }

  /** A turn begins: there may be more to read. */
  allowMore(): void {
    this.#allowance += RECORDS_PER_TURN
  }

  /** Goes on in the background until {@link finish}. */
  run(): void {
    this.#loop = this.#fill()
    // Met in `finish`, and by whoever asks for `failure` before.
    this.#loop.catch(() => undefined)
  }

  /** Rejects where the filler cannot go on. */
  get failure(): Promise<never> {
    return this.#loop.then(() => new Promise<never>(() => undefined))
  }

  /** Keeps still from when this resolves until {@link resume}: whatever was on its way has been answered. */
  async pause(): Promise<void> {
    const { promise: until, resolve: end } = Promise.withResolvers<void>()
    this.#pause = { until, end }
    await this.#acting
  }

  /** @param reconnect where the broker was started again meanwhile */
  async resume(reconnect: boolean): Promise<void> {
    if (reconnect) {
      await this.#producer.close().catch(() => undefined)
      this.#producer = await KafkaProducer.connect(this.#options.bootstrapServers)
    }
    this.#pause?.end()
    this.#pause = null
  }

  /** Ends all transactions and returns the end offset of each partition, markers included. */
  async finish(): Promise<readonly bigint[]> {
    this.#stopping = true
    await this.#loop
    for (const producer of [...this.#open.keys()]) await this.#endTransaction(producer)
    return this.#endOffsets()
  }

  async close(): Promise<void> {
    this.#stopping = true
    this.#pause?.end()
    await this.#transactions.close()
    await this.#producer.close()
    await this.#loop.catch(() => undefined)
  }

  /** One step of the plan. */
  act(): Promise<void> {
    const { random } = this.#options
    return random.chance(TRANSACTION_SHARE) ? this.#actInTransaction() : this.#append()
  }

  async #fill(): Promise<void> {
    const { random, ledger } = this.#options
    while (!this.#stopping) {
      await this.#pause?.until
      this.#acting = this.act()
      await this.#acting
      const isAhead = ledger.takenCount > this.#allowance
      await delay(random.between(...PAUSE_MS) * (isAhead ? SLOW_FACTOR : 1))
    }
  }

  async #append(): Promise<void> {
    const { random, topic, ledger } = this.#options
    const partition = this.#partition()
    const count = random.chance(LARGE_BATCH_SHARE) ? random.between(500, 2500) : random.between(1, 150)
    const numbers = ledger.take(count).map(number => (random.chance(TOMBSTONE_SHARE) ? null : number))
    const records = numbers.map(
      (number, i): EncodableRecord =>
        number === null
          ? { key: `gone-${i}`, value: null, timestampMs: rowOf(i).atMs }
          : { key: String(number), value: messageOf(number), timestampMs: rowOf(number).atMs },
    )
    const base = await this.#producer.append(topic, partition, records, {
      codec: random.choose(COMPRESSION_CODECS),
      snappyFraming: random.choose(['xerial', 'raw']),
    })
    for (const [i, number] of numbers.entries()) {
      if (number === null) ledger.countTombstone()
      else ledger.expect(partition, base + BigInt(i), number)
    }
  }

  async #actInTransaction(): Promise<void> {
    const { random } = this.#options
    const producer = random.choose(TRANSACTIONAL_PRODUCERS)
    if (!this.#open.has(producer)) {
      await this.#transactions.begin(producer)
      this.#open.set(producer, [])
    } else if (random.chance(0.6)) return this.#endTransaction(producer)
    await this.#send(producer)
  }

  async #send(producer: string): Promise<void> {
    const { random, topic, ledger } = this.#options
    const partition = this.#partition()
    const numbers = ledger.take(random.between(1, 60))
    const offset = await this.#transactions.send(producer, topic, partition, numbers.map(messageOf))
    this.#open.get(producer)?.push({ partition, offset, numbers })
  }

  async #endTransaction(producer: string): Promise<void> {
    const { random, ledger } = this.#options
    const batches = this.#open.get(producer) ?? []
    this.#open.delete(producer)
    if (random.chance(0.5)) {
      await this.#transactions.abort(producer)
      for (const { numbers } of batches) ledger.countAborted(numbers.length)
      return
    }
    await this.#transactions.commit(producer)
    for (const { partition, offset, numbers } of batches) {
      for (const [i, number] of numbers.entries()) ledger.expect(partition, offset + BigInt(i), number)
    }
  }

  #partition(): number {
    return this.#options.random.between(0, this.#options.ledger.partitions.length - 1)
  }

  /** A transaction's markers reach the partitions a little after its end is answered. */
  async #endOffsets(): Promise<readonly bigint[]> {
    const { topic, ledger } = this.#options
    const partitionCount = ledger.partitions.length
    const deadline = performance.now() + MARKER_WAIT_MS_MAX
    for (;;) {
      const [stable, written] = await Promise.all([
        this.#producer.endOffsets(topic, partitionCount, 'committed'),
        this.#producer.endOffsets(topic, partitionCount, 'uncommitted'),
      ])
      if (stable.every((offset, partition) => offset === written[partition])) return stable
      if (performance.now() > deadline) throw new Error(`transactions of ${topic} do not end`)
      await delay(MARKER_POLL_MS)
    }
  }
}
