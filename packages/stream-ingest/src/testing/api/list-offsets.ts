/**
 * ListOffsets: where a partition starts, ends, or reaches a time.
 *
 * @module
 */
import { type Api, type ApiRequest, type BrokerContext, NO_THROTTLE } from '../api.ts'
import { faultCode } from '../fault.ts'
import type { IsolationLevel } from '../partition-log.ts'
import { API_KEYS, PROTOCOL_ERRORS, type ProtocolErrorCode } from '../protocol-error.ts'

/** Special values of `timestamp`. */
const LATEST = -1n
const EARLIEST = -2n
const MAX_TIMESTAMP = -3n
const EARLIEST_LOCAL = -4n
const LATEST_TIERED = -5n

interface ListedOffset {
  readonly partition: number
  readonly errorCode: ProtocolErrorCode
  readonly timestampMs: bigint
  readonly offset: bigint
  readonly leaderEpoch: number
}

/*
  ListOffsets Request (Version: 1 - 11) => replica_id isolation_level(2+) [topics] timeout_ms(10+) TAG_BUFFER(6+)
    replica_id, timeout_ms => INT32
    isolation_level => INT8
    topics => name [partitions] TAG_BUFFER(6+)
      partitions => partition_index current_leader_epoch(4+) timestamp TAG_BUFFER(6+)
        partition_index, current_leader_epoch => INT32
        timestamp => INT64

  ListOffsets Response (Version: 1 - 11) => throttle_time_ms(2+) [topics] TAG_BUFFER(6+)
    topics => name [partitions] TAG_BUFFER(6+)
      partitions => partition_index error_code timestamp offset leader_epoch(4+) TAG_BUFFER(6+)
        partition_index, leader_epoch => INT32
        error_code => INT16
        timestamp, offset => INT64
*/
export const listOffsetsApi: Api = {
  name: 'ListOffsets',
  key: API_KEYS.ListOffsets,
  minVersion: 1,
  maxVersion: 11,
  flexibleFrom: 6,
  handle(request, broker) {
    const { version, reader, response } = request
    reader.int32()
    const isolation = version >= 2 && reader.int8() === 1 ? 'read_committed' : 'read_uncommitted'
    const topics = reader.array(() => {
      const name = reader.string()
      const partitions = reader.array(() => {
        const partition = reader.int32()
        const leaderEpoch = version >= 4 ? reader.int32() : -1
        const timestampMs = reader.int64()
        reader.skipTags()
        return listOffset(request, broker, isolation, name, partition, leaderEpoch, timestampMs)
      })
      reader.skipTags()
      return { name, partitions }
    })
    if (version >= 10) reader.int32()
    reader.skipTags()

    if (version >= 2) response.int32(NO_THROTTLE)
    response.array(topics, ({ name, partitions }) => {
      response.string(name)
      response.array(partitions, listed => {
        response
          .int32(listed.partition)
          .int16(listed.errorCode)
          .int64(listed.timestampMs)
          .int64(listed.offset)
        if (version >= 4) response.int32(listed.leaderEpoch)
        response.tags()
      })
      response.tags()
    })
    response.tags()
    return 'respond'
  },
}

function listOffset(
  request: ApiRequest,
  broker: BrokerContext,
  isolation: IsolationLevel,
  topic: string,
  partition: number,
  leaderEpoch: number,
  timestampMs: bigint,
): ListedOffset {
  const refuse = (errorCode: ProtocolErrorCode): ListedOffset => ({
    partition,
    errorCode,
    timestampMs: -1n,
    offset: -1n,
    leaderEpoch: -1,
  })
  const ordered = faultCode(request.fault, topic, partition)
  if (ordered !== 0) return refuse(ordered)
  const log = broker.cluster.partition(topic, partition)
  if (log === undefined) return refuse(PROTOCOL_ERRORS.UNKNOWN_TOPIC_OR_PARTITION)
  if (leaderEpoch >= 0 && leaderEpoch < log.leaderEpoch) return refuse(PROTOCOL_ERRORS.FENCED_LEADER_EPOCH)
  if (leaderEpoch > log.leaderEpoch) return refuse(PROTOCOL_ERRORS.UNKNOWN_LEADER_EPOCH)
  const found = { partition, errorCode: PROTOCOL_ERRORS.NONE, timestampMs: -1n, leaderEpoch: log.leaderEpoch }
  const nothing: ListedOffset = { ...found, offset: -1n, leaderEpoch: -1 }
  switch (timestampMs) {
    case LATEST:
      return { ...found, offset: log.readableEnd(isolation) }
    case EARLIEST:
    case EARLIEST_LOCAL:
      return { ...found, offset: log.startOffset }
    case LATEST_TIERED:
      return nothing
    default:
  }
  try {
    const record =
      timestampMs === MAX_TIMESTAMP
        ? log.maxTimestamp()
        : log.findTimestamp(timestampMs, log.readableEnd(isolation))
    return record === null ? nothing : { ...found, ...record }
  } catch {
    // A batch that a test has damaged cannot be searched; a broker says so too.
    return refuse(PROTOCOL_ERRORS.CORRUPT_MESSAGE)
  }
}
