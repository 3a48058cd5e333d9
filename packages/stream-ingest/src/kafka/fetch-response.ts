/**
 * The Fetch response, versions 13 to 17, with the record batches left as they came.
 *
 * ```
 * FetchResponse => throttleTimeMs errorCode sessionId [response] TAG_BUFFER
 *   throttleTimeMs => INT32
 *   errorCode => INT16
 *   sessionId => INT32
 *   response => topicId [partition] TAG_BUFFER
 *     topicId => UUID
 *     partition => partitionIndex errorCode highWatermark lastStableOffset logStartOffset [abortedTransaction]
 *                  preferredReadReplica records TAG_BUFFER
 *       partitionIndex => INT32
 *       errorCode => INT16
 *       highWatermark, lastStableOffset, logStartOffset => INT64
 *       abortedTransaction => producerId firstOffset TAG_BUFFER          (nullable array)
 *         producerId, firstOffset => INT64
 *       preferredReadReplica => INT32
 *       records => COMPACT_RECORDS                                       (nullable)
 *       TAG_BUFFER => divergingEpoch (0), currentLeader (1), snapshotId (2)
 *         currentLeader => leaderId leaderEpoch TAG_BUFFER
 *   TAG_BUFFER => nodeEndpoints (0, from version 16)
 * ```
 * Arrays and records are compact: an unsigned var-int of length + 1, 0 for null. An error of one partition stays with
 * that partition: the data of the others is as good as ever.
 *
 * @module
 */
import { KafkaError } from '../error.ts'

export interface AbortedTransaction {
  readonly producerId: bigint
  readonly firstOffset: bigint
}

export interface FetchedPartition {
  readonly topicId: string
  readonly partition: number
  readonly errorCode: number
  readonly highWatermark: bigint
  readonly lastStableOffset: bigint
  readonly logStartOffset: bigint
  readonly abortedTransactions: readonly AbortedTransaction[]
  /** Whole and cut batches, a view of the response; empty where there are none. */
  readonly records: Uint8Array
  /** The leader as this broker knows it, where it is no longer itself; null where it does not say. */
  readonly currentLeader: { readonly nodeId: number; readonly epoch: number } | null
}

export interface FetchResponse {
  readonly throttleTimeMs: number
  readonly errorCode: number
  readonly partitions: readonly FetchedPartition[]
}

const UUID_BYTES = 16
const TAG_CURRENT_LEADER = 1

/**
 * @param body the response after its header, in one piece
 * @throws KafkaError `KAFKA_PROTOCOL` where the response is malformed
 */
export function parseFetchResponse(body: Buffer): FetchResponse {
  try {
    return readResponse(new WireCursor(body))
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
    throw new KafkaError('KAFKA_PROTOCOL', 'a Fetch response is malformed', { cause: error })
  }
}

function readResponse(cursor: WireCursor): FetchResponse {
  const throttleTimeMs = cursor.readInt32()
  const errorCode = cursor.readInt16()
  cursor.readInt32() // sessionId
  const partitions: FetchedPartition[] = []
  const topicCount = cursor.readCompactLength()
  for (let topic = 0; topic < topicCount; topic++) {
    const topicId = cursor.readUuid()
    const partitionCount = cursor.readCompactLength()
    for (let index = 0; index < partitionCount; index++) partitions.push(readPartition(cursor, topicId))
    cursor.skipTags()
  }
  return { throttleTimeMs, errorCode, partitions }
}

function readPartition(cursor: WireCursor, topicId: string): FetchedPartition {
  const partition = cursor.readInt32()
  const errorCode = cursor.readInt16()
  const highWatermark = cursor.readInt64()
  const lastStableOffset = cursor.readInt64()
  const logStartOffset = cursor.readInt64()
  const abortedTransactions: AbortedTransaction[] = []
  const abortedCount = cursor.readCompactLength()
  for (let index = 0; index < abortedCount; index++) {
    abortedTransactions.push({ producerId: cursor.readInt64(), firstOffset: cursor.readInt64() })
    cursor.skipTags()
  }
  cursor.readInt32() // preferredReadReplica: never set, as no rack is sent.
  const records = cursor.readBytes(Math.max(0, cursor.readCompactLength()))
  let currentLeader: FetchedPartition['currentLeader'] = null
  cursor.readTags((tag, value) => {
    if (tag === TAG_CURRENT_LEADER) currentLeader = { nodeId: value.readInt32(), epoch: value.readInt32() }
  })
  return {
    topicId,
    partition,
    errorCode,
    highWatermark,
    lastStableOffset,
    logStartOffset,
    abortedTransactions,
    records,
    currentLeader,
  }
}

/** Reads forward; past the end it throws a RangeError, as Buffer's own readers do. */
class WireCursor {
  private readonly buffer: Buffer
  private position = 0

  constructor(buffer: Buffer) {
    this.buffer = buffer
  }

  readInt16(): number {
    this.position += 2
    return this.buffer.readInt16BE(this.position - 2)
  }

  readInt32(): number {
    this.position += 4
    return this.buffer.readInt32BE(this.position - 4)
  }

  readInt64(): bigint {
    this.position += 8
    return this.buffer.readBigInt64BE(this.position - 8)
  }

  /** `00112233-4455-6677-8899-aabbccddeeff`, as metadata gives it. */
  readUuid(): string {
    const hex = this.readBytes(UUID_BYTES).toString('hex')
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
  }

  /** A view. */
  readBytes(size: number): Buffer {
    const end = this.position + size
    if (end > this.buffer.length) throw new RangeError(`${size} bytes at ${this.position} lead past the end`)
    const bytes = this.buffer.subarray(this.position, end)
    this.position = end
    return bytes
  }

  /** −1 for null. */
  readCompactLength(): number {
    return this.readUnsignedVarint() - 1
  }

  readUnsignedVarint(): number {
    let value = 0
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.buffer.readUInt8(this.position++)
      value += (byte & 0x7f) * 2 ** shift
      if (byte < 0x80) return value
    }
    throw new RangeError('a variable-length integer has more than 32 bits')
  }

  readTags(read: (tag: number, value: WireCursor) => void): void {
    const count = this.readUnsignedVarint()
    for (let index = 0; index < count; index++) {
      const tag = this.readUnsignedVarint()
      read(tag, new WireCursor(this.readBytes(this.readUnsignedVarint())))
    }
  }

  skipTags(): void {
    this.readTags(() => {})
  }
}
