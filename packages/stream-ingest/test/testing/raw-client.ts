/** A client that speaks the protocol by hand, one request at a time: what no client library would send can be sent. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createConnection, type Socket } from 'node:net'
import type { EmbeddedBroker } from '../../src/testing/index.ts'
import { WireReader, WireWriter } from '../../src/testing/wire.ts'

export interface RawRequest {
  readonly apiKey: number
  readonly version: number
  readonly flexible: boolean
  /** ApiVersions answers without a tag buffer in its header. */
  readonly flexibleResponseHeader?: boolean
  readonly body: (writer: WireWriter) => void
}

export class RawClient {
  readonly #socket: Socket
  readonly #closed: Promise<unknown>
  #received: Buffer = Buffer.alloc(0)
  #correlationId = 0

  private constructor(socket: Socket) {
    this.#socket = socket
    this.#closed = once(socket, 'close')
    socket.on('error', () => {})
    socket.on('data', chunk => {
      this.#received = Buffer.concat([this.#received, chunk as Buffer])
    })
  }

  static async connect(broker: EmbeddedBroker): Promise<RawClient> {
    const socket = createConnection({ host: '127.0.0.1', port: broker.port })
    await once(socket, 'connect')
    return new RawClient(socket)
  }

  /** Resolves when the broker closes the connection. */
  async closed(): Promise<void> {
    await this.#closed
  }

  write(bytes: Uint8Array): void {
    this.#socket.write(bytes)
  }

  send(request: RawRequest): number {
    const correlationId = ++this.#correlationId
    const writer = new WireWriter(request.flexible)
    writer.int16(request.apiKey).int16(request.version).int32(correlationId).int16(4)
    for (const byte of Buffer.from('test')) writer.int8(byte)
    writer.tags()
    request.body(writer)
    const body = Buffer.concat(writer.finish())
    const size = Buffer.alloc(4)
    size.writeInt32BE(body.length)
    this.#socket.write(Buffer.concat([size, body]))
    return correlationId
  }

  /** The body of the next answer, after its header. */
  async receive(correlationId: number, flexible: boolean, flexibleHeader = flexible): Promise<WireReader> {
    while (this.#received.length < 4 || this.#received.length < 4 + this.#received.readInt32BE(0)) {
      const hasClosed = this.#closed.then(() => assert.fail('the broker closed the connection'))
      await Promise.race([once(this.#socket, 'data'), hasClosed])
    }
    const end = 4 + this.#received.readInt32BE(0)
    const reader = new WireReader(this.#received.subarray(4, end), flexible)
    this.#received = this.#received.subarray(end)
    assert.equal(reader.int32(), correlationId)
    if (flexibleHeader) reader.skipTags()
    return reader
  }

  async request(request: RawRequest): Promise<WireReader> {
    const correlationId = this.send(request)
    return this.receive(correlationId, request.flexible, request.flexibleResponseHeader ?? request.flexible)
  }

  [Symbol.dispose](): void {
    this.#socket.destroy()
  }
}

export interface FetchOptions {
  readonly topicId: string
  readonly partitions: readonly {
    readonly partition: number
    readonly offset: bigint
    readonly maxBytes?: number
    readonly leaderEpoch?: number
  }[]
  readonly maxWaitMs?: number
  readonly minBytes?: number
  readonly maxBytes?: number
  readonly readCommitted?: boolean
  readonly sessionId?: number
}

export interface FetchedPartition {
  readonly partition: number
  readonly errorCode: number
  readonly highWatermark: bigint
  readonly lastStableOffset: bigint
  readonly startOffset: bigint
  readonly aborted: readonly { readonly producerId: bigint; readonly firstOffset: bigint }[]
  readonly records: Uint8Array
}

/** Fetch version 17 of one topic. */
export function fetchRequest(options: FetchOptions): RawRequest {
  return {
    apiKey: 1,
    version: 17,
    flexible: true,
    body: writer => {
      writer
        .int32(options.maxWaitMs ?? 0)
        .int32(options.minBytes ?? 1)
        .int32(options.maxBytes ?? 1 << 20)
      writer
        .int8(options.readCommitted === true ? 1 : 0)
        .int32(options.sessionId ?? 0)
        .int32(-1)
      writer.array([options], () => {
        writer.uuid(options.topicId)
        writer.array(options.partitions, wanted => {
          writer
            .int32(wanted.partition)
            .int32(wanted.leaderEpoch ?? -1)
            .int64(wanted.offset)
            .int32(-1)
          writer
            .int64(-1n)
            .int32(wanted.maxBytes ?? 1 << 20)
            .tags()
        })
        writer.tags()
      })
      writer
        .array([], () => {})
        .string('')
        .tags()
    },
  }
}

export function readFetchResponse(reader: WireReader): {
  readonly errorCode: number
  readonly partitions: readonly FetchedPartition[]
} {
  assert.equal(reader.int32(), 0)
  const errorCode = reader.int16()
  assert.equal(reader.int32(), 0, 'there are no sessions')
  const topics = reader.array(() => {
    reader.uuid()
    const partitions = reader.array(readFetchedPartition)
    reader.skipTags()
    return partitions
  })
  reader.skipTags()
  assert.equal(reader.remainingBytes, 0)
  return { errorCode, partitions: topics.flat() }
}

function readFetchedPartition(reader: WireReader): FetchedPartition {
  const partition = reader.int32()
  const errorCode = reader.int16()
  const highWatermark = reader.int64()
  const lastStableOffset = reader.int64()
  const startOffset = reader.int64()
  const aborted = reader.array(() => {
    const entry = { producerId: reader.int64(), firstOffset: reader.int64() }
    reader.skipTags()
    return entry
  })
  assert.equal(reader.int32(), -1)
  const records = reader.nullableBytes() ?? new Uint8Array(0)
  reader.skipTags()
  return { partition, errorCode, highWatermark, lastStableOffset, startOffset, aborted, records }
}

export async function fetchPartitions(
  client: RawClient,
  options: FetchOptions,
): Promise<readonly FetchedPartition[]> {
  const { errorCode, partitions } = readFetchResponse(await client.request(fetchRequest(options)))
  assert.equal(errorCode, 0)
  return partitions
}

/** Asserts that there is one partition and returns it. */
export async function fetchOne(client: RawClient, options: FetchOptions): Promise<FetchedPartition> {
  const [first, ...rest] = await fetchPartitions(client, options)
  assert(first !== undefined && rest.length === 0)
  return first
}
